"""Insert rows from the lines in which a target sends them: those of a mirror, misfits, and both as the undo log keeps them.

`lines` are always those of COPY's text format.
"""

import binascii
import json
import re
import sqlite3
from collections.abc import Callable, Iterator

from lib.sqlite.building.triggers import TEXT
from lib.sqlite.files.names import quoted
from lib.sqlite.lines import parse_misfit
from lib.tables.plan import TablePlan

LARGE_BYTES = 1 << 18
ROWS_AT_ONCE = 50
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def _read_bytea(cell: str) -> bytes:
    return bytes.fromhex(cell[2:])


# By the mirror's type; other cells are text.
READ_CELL: dict[str, Callable[..., object]] = {"double precision": float, "bytea": _read_bytea}
# The same of what is JSON in the undo log: there, numbers and booleans are no text.
READ_JSON: dict[str, Callable[..., object]] = {"bigint": int, "boolean": int, "text": str, **READ_CELL}
# SQLite turns text into a number only where the column's declared type says so.
CELL = {"bigint": "CAST(? AS INTEGER)", "boolean": "CAST(? AS INTEGER)"}


class MirrorRows:
    """Inserts the rows of a mirror."""

    def __init__(self, connection: sqlite3.Connection, table: TablePlan):
        self._kinds = [column.mirror_type for column in table.columns]
        self._readers = [(place, READ_CELL[kind]) for place, kind in enumerate(self._kinds) if kind in READ_CELL]
        row = f"({', '.join(CELL.get(kind, '?') for kind in self._kinds)})"
        self._insert_one = f"INSERT INTO {_with_columns(table)} VALUES {row}"
        self._insert_many = ", ".join([self._insert_one, *[row] * (ROWS_AT_ONCE - 1)])
        self._connection = connection

    def take(self, lines: list[bytes]) -> None:
        """Insert these rows, several a statement: that takes two thirds of the time."""
        if max(map(len, lines)) > LARGE_BYTES:
            self._take_large(lines)
            return
        values, width = self._values(lines), len(self._kinds)
        many = len(values) - len(values) % (width * ROWS_AT_ONCE)
        self._connection.executemany(self._insert_many, _parts(values, 0, many, width * ROWS_AT_ONCE))
        self._connection.executemany(self._insert_one, _parts(values, many, len(values), width))

    def _values(self, lines: list[bytes]) -> list[object]:
        """Return the values of all these rows in one list."""
        text = b"".join(lines).decode()[:-1]
        texts = text.replace("\n", "\t").split("\t")
        values: list[object] = [*texts]
        if "\\" in text:
            values = [_cell(cell) if "\\" in cell else cell for cell in texts]
        for place, read in self._readers:
            column = slice(place, None, len(self._kinds))
            values[column] = [None if cell is None else read(cell) for cell in values[column]]
        return values

    def _take_large(self, lines: list[bytes]) -> None:
        """Insert rows with large values, with as few copies of them as can be."""
        for line in lines:
            cells = zip(self._kinds, line[:-1].split(b"\t"), strict=True)
            self._connection.execute(self._insert_one, [_large_cell(kind, cell) for kind, cell in cells])


def old_rows(connection: sqlite3.Connection, table: TablePlan, lines: list[bytes]) -> None:
    """Insert rows of a mirror that are JSON."""
    insert = f"INSERT INTO {_with_columns(table)} VALUES ({', '.join('?' * len(table.columns))})"
    for line in lines:
        connection.execute(insert, values_of(table, unescaped(line)))


def values_of(table: TablePlan, line: str) -> list[object]:
    """Return the values of a row that is JSON, in the order of the columns."""
    row = json.loads(line, parse_int=_number)
    cells = ((column.mirror_type, row.get(column.mirror_name)) for column in table.columns)
    return [None if cell is None else READ_JSON[kind](cell) for kind, cell in cells]


def values_of_cells(table: TablePlan, line: bytes) -> list[object]:
    """Return the values of a mirror's row, in the order of the columns."""
    cells = zip(table.columns, line[:-1].split(b"\t"), strict=True)
    return [None if cell == b"\\N" else READ_JSON[column.mirror_type](_unescaped(cell.decode())) for column, cell in cells]


def _number(text: str) -> float:
    return -0.0 if text == "-0" else int(text)


def misfits(connection: sqlite3.Connection, table: TablePlan, lines: list[bytes]) -> None:
    """Insert misfits."""
    for line in lines:
        _insert_misfit(connection, table, unescaped(line))


def old_misfits(connection: sqlite3.Connection, table: TablePlan, lines: list[bytes]) -> None:
    """Insert misfits that are JSON."""
    for line in lines:
        _insert_misfit(connection, table, json.loads(unescaped(line))["line"])


def unescaped(line: bytes) -> str:
    """Return a line without its end and its escapes."""
    return _unescaped(line.decode()[:-1])


def _insert_misfit(connection: sqlite3.Connection, table: TablePlan, line: str) -> None:
    cells = list(parse_misfit.read(line))
    marks = ", ".join(TEXT if isinstance(cell, parse_misfit.BadText) else "?" for cell in cells)
    connection.execute(f"INSERT INTO {_with_columns(table)} VALUES ({marks})", cells)


def _with_columns(table: TablePlan) -> str:
    return f"{quoted(table.name)} ({', '.join(quoted(column.name) for column in table.columns)})"


def _parts(values: list[object], start: int, end: int, size: int) -> Iterator[list[object]]:
    return (values[at : at + size] for at in range(start, end, size))


def _cell(cell: str) -> str | None:
    return None if cell == "\\N" else ESCAPE.sub(_character, cell)


def _large_cell(kind: str, cell: bytes) -> object:
    if cell == b"\\N":
        return None
    if kind == "bytea":
        return binascii.unhexlify(memoryview(cell)[len(b"\\\\x") :])
    return READ_CELL.get(kind, str)(_unescaped(cell.decode()))


def _unescaped(text: str) -> str:
    return ESCAPE.sub(_character, text) if "\\" in text else text


def _character(escape: re.Match[str]) -> str:
    return ESCAPES.get(escape[1], escape[1])
