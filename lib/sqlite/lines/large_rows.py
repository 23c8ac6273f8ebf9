"""Write rows that hold large values as CSV lines piece by piece.

A line built in one expression would be copied at every `||` and again on its way to the socket: twenty times a value of 64 MB.
Here SQLite gives the parts of a cell, and they are sent in slices; the line and its hash are the same as in expressions.py.
"""

import sqlite3
import struct
from collections.abc import Iterator
from itertools import chain
from typing import Any

from lib.sqlite.files.functions import as_bytes, codec_of, is_plain_text
from lib.sqlite.files.names import quoted
from lib.sqlite.lines.frame import Frame
from lib.tables.digest import Digest, row_md5
from lib.tables.plan import TablePlan

SLICE_BYTES = 1 << 20
# What SQLite gives, text as bytes.
Value = int | float | bytes | None

QUOTE = """CASE WHEN {c} IS NULL THEN '' ELSE '"' END"""
# The parts of a mirror's cell, each with what it is for: to be sent, to be hashed, or both.
PARTS = {
    "bigint": [("both", "{c}")],
    "boolean": [("both", "{c}")],
    "text": [("both", QUOTE), ("both", """replace({c}, '"', '""')"""), ("both", QUOTE)],
    "bytea": [("both", r"""CASE WHEN {c} IS NULL THEN '' ELSE '"\x' END"""), ("both", "hex({c})"), ("both", QUOTE)],
    "double precision": [("sent", "real_text({c})"), ("hashed", "real_bits({c})")],
}


def _sent(pairs: Iterator[tuple[str, bytes]], digest: Digest) -> Iterator[bytes]:
    """Take (purpose, bytes) pairs: `sent`, `hashed` or `both`; a row ends with `end`. Yield what is to be sent."""
    row = row_md5(usedforsecurity=False)
    for purpose, part in pairs:
        if purpose in ("both", "hashed"):
            row.update(part)
        if purpose == "end":
            digest.add_row(row.digest())
            row = row_md5(usedforsecurity=False)
        if purpose != "hashed" and part:
            yield part


def of_mirror(connection: sqlite3.Connection, table: TablePlan, source: str, digest: Digest, frame: Frame) -> Iterator[bytes]:
    """Yield the large rows' lines in pieces; `source` stands behind FROM, `digest` grows."""
    parts = [
        (purpose, part.format(c=quoted(column.name)))
        for column in table.columns
        for purpose, part in [("both", "','"), *PARTS[column.mirror_type]]
    ][1:]
    rows = _rows(connection, [part for _, part in parts], source)
    purposes = [purpose for purpose, _ in parts]
    return _sent(chain.from_iterable(_mirror_line(purposes, row, frame) for row in rows), digest)


def _mirror_line(purposes: list[str], row: tuple[Value, ...], frame: Frame) -> Iterator[tuple[str, bytes]]:
    yield "sent", frame.before
    for purpose, part in zip(purposes, row, strict=True):
        for piece in _slices(part):
            yield purpose, piece
    yield "end", frame.behind


def of_misfits(connection: sqlite3.Connection, table: TablePlan, source: str, digest: Digest, frame: Frame) -> Iterator[bytes]:
    """Return the misfits' lines, each one CSV field: its quotes are doubled once more."""
    cells = [
        part.format(c=quoted(column.name))
        for column in table.columns
        for part in ("typeof({c})", "CASE WHEN typeof({c}) = 'text' THEN CAST({c} AS BLOB) ELSE {c} END")
    ]
    rows, codec = _rows(connection, cells, source), codec_of(connection)
    return _sent(chain.from_iterable(_misfit_line(row, codec, frame) for row in rows), digest)


def _misfit_line(row: tuple[Any, ...], codec: str, frame: Frame) -> Iterator[tuple[str, bytes]]:
    yield "sent", frame.before + b'"'
    for place in range(0, len(row), 2):
        cell = _misfit_cell(row[place].decode(), row[place + 1], codec)
        for piece in chain([b","] if place else [], cell):
            yield "hashed", piece
            yield "sent", piece.replace(b'"', b'""')
    yield "end", b'"' + frame.behind


def _misfit_cell(storage_class: str, value: Any, codec: str) -> Iterator[bytes]:
    if storage_class == "null":
        yield b"n"
    elif storage_class == "integer":
        yield b"i%d" % value
    elif storage_class == "real":
        yield b"r" + struct.pack(">d", value).hex().encode()
    elif storage_class == "blob":
        yield from chain([b"b"], _hex(value))
    elif is_plain_text(value, codec):
        text = value if codec == "utf-8" else value.decode(codec).encode()
        yield from chain([b'"t'], (piece.replace(b'"', b'""') for piece in _slices(text)), [b'"'])
    else:
        yield from chain([b"x"], _hex(value))


def _rows(connection: sqlite3.Connection, wanted: list[str], source: str) -> Iterator[tuple[Any, ...]]:
    with as_bytes(connection):
        rows = connection.execute(f"SELECT {', '.join(wanted)} FROM {source}")
    while True:
        with as_bytes(connection):
            row = rows.fetchone()
        if row is None:
            return
        yield row


def _hex(raw: bytes) -> Iterator[bytes]:
    return (piece.hex().upper().encode() for piece in _slices(raw))


def _slices(part: Value) -> Iterator[bytes]:
    if part is not None:
        raw = part if isinstance(part, bytes) else str(part).encode()
        view = memoryview(raw)
        for start in range(0, len(raw), SLICE_BYTES):
            yield bytes(view[start : start + SLICE_BYTES])
