"""Read the line of a misfit back into its cells, as lib/sqlite/lines/expressions.py has written it."""

import struct
from collections.abc import Callable, Iterator

Cell = int | float | str | bytes | None


def read(line: str) -> Iterator[Cell]:
    """Yield the cells of a line; what is BadText among the bytes is text."""
    for cell in _fields(line):
        yield READ_CELL[cell[0]](cell[1:])


def _fields(line: str) -> Iterator[str]:
    """Split a CSV line; the csv module would take sixteen times the size of a large value for it."""
    at = 0
    while at <= len(line):
        if line.startswith('"', at):
            end = line.index('"', at + 1)
            while line.startswith('"', end + 1):
                end = line.index('"', end + 2)
            yield line[at + 1 : end].replace('""', '"')
            at = end + 2
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            yield line[at:end]
            at = end + 1


class BadText(bytes):
    """Text whose bytes are not valid in the database's encoding, or hold a NUL; stored with a CAST."""


READ_CELL: dict[str, Callable[[str], Cell]] = {
    "n": lambda _: None,
    "i": int,
    "r": lambda bits: struct.unpack(">d", bytes.fromhex(bits))[0],
    "t": str,
    "b": bytes.fromhex,
    "x": lambda raw: BadText(bytes.fromhex(raw)),
}
