"""Build a SQLite file from a stored schema and rows.

Tables and indexes are created by their own SQL. Views, triggers and virtual tables, which hold no rows, are entered into
sqlite_master word for word: nothing of theirs runs while the file is built.
"""

import binascii
import contextlib
import functools
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from lib.sqlite.building import authorizer
from lib.sqlite.building.triggers import TEXT
from lib.sqlite.files import older, stand_ins
from lib.sqlite.files.functions import register
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import trust_own_functions
from lib.sqlite.lines import parse_misfit
from lib.tables.plan import PlannedColumn, TablePlan

LARGE_BYTES = 1 << 18
ROWS_AT_ONCE = 50
# Before the first table; the others may be set at any time.
EARLY_PRAGMAS = ("page_size", "encoding", "auto_vacuum")
LATE_PRAGMAS = ("user_version", "application_id")
# An index that does not follow the order of the rows is filled all over.
CACHE_KB = 8_000
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@contextlib.contextmanager
def building(path: Path, definition: dict, missing: list[str]) -> Iterator[sqlite3.Connection]:
    """Create the file with its tables, let the caller fill them, then add all that must come after the rows.

    Collations and functions that only the bot knows are noted in `missing`.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        _prepare(connection, definition["pragmas"])
        register(connection)
        _create_tables(connection, definition, missing)
        yield connection
        for found in _objects(definition, "index"):
            if found["sql"]:
                _execute(connection, found, missing)
        _enter_rowless_objects(connection, definition)
        for pragma in LATE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma} = {int(definition['pragmas'][pragma])}")
        connection.execute("COMMIT")


def set_journal_mode(path: Path, definition: dict) -> None:
    """Last of all: a file in WAL mode cannot be read without writing beside it."""
    if definition["pragmas"]["journal_mode"] == "wal":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA writable_schema = ON")  # the schema may call what only the bot knows
            connection.execute("PRAGMA journal_mode = WAL")


def _prepare(connection: sqlite3.Connection, pragmas: dict) -> None:
    for pragma in EARLY_PRAGMAS:
        connection.execute(f"PRAGMA {pragma} = {quoted(str(pragmas[pragma]))}")
    for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KB}", "ignore_check_constraints = ON"):
        connection.execute(f"PRAGMA {setting}")
    trust_own_functions(connection)
    connection.execute("BEGIN")
    # The encoding is written with the first table; a database may have none.
    connection.execute("CREATE TABLE first (a)")
    connection.execute("DROP TABLE first")


def _raw(text: str | None) -> str | bytes | None:
    """Return text as it can be bound for TEXT: as bytes, where it is not UTF-8."""
    return text.encode("utf-8", "surrogateescape") if text and text != sayable(text) else text


def sayable(text: str) -> str:
    """Return SQL without the bytes that are not UTF-8, which sqlite3 could not pass on; they are put back at the end."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _execute(connection: sqlite3.Connection, found: dict, missing: list[str]) -> None:
    try:
        stand_ins.tried(connection, lambda: authorizer.make(connection, sayable(found["sql"])), missing)
    except sqlite3.OperationalError as error:
        raise older.explained(found["name"], error) from error


def _create_tables(connection: sqlite3.Connection, definition: dict, missing: list[str]) -> None:
    """Create the tables in their order; SQLite makes its own, or lets them be made while writable_schema is on."""
    for found in _objects(definition, "table"):
        if not found["is_virtual"] and not found["name"].startswith("sqlite_"):
            _execute(connection, found, missing)
            prepared = f"EXPLAIN INSERT INTO {quoted(found['name'])} DEFAULT VALUES"
            stand_ins.tried(connection, functools.partial(connection.execute, prepared), missing)
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.execute("PRAGMA writable_schema = ON")
    for found in _objects(definition, "table"):
        if found["name"].startswith("sqlite_") and found["name"] not in there:
            _execute(connection, found, missing)
    connection.execute("PRAGMA writable_schema = OFF")


def _objects(definition: dict, kind: str) -> list[dict]:
    return [found for found in definition["objects"] if found["type"] == kind]


def _enter_rowless_objects(connection: sqlite3.Connection, definition: dict) -> None:
    rowless = [found for found in definition["objects"] if found["is_virtual"] or found["type"] in ("view", "trigger")]
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(
        f"INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?, {TEXT}, {TEXT}, 0, {TEXT})",
        [(found["type"], _raw(found["name"]), _raw(found["table"]), _raw(found["sql"])) for found in rowless],
    )
    for found in definition["objects"]:
        if found not in rowless and (raw := _raw(found["sql"])) != found["sql"]:
            update = f"UPDATE sqlite_master SET name = {TEXT}, sql = {TEXT} WHERE type = ? AND name = ?"
            connection.execute(update, [_raw(found["name"]), raw, found["type"], sayable(found["name"])])
    connection.execute("PRAGMA writable_schema = OFF")


class MirrorRows:
    """Takes the lines of COPY's text format, and inserts them as rows of the table."""

    CELL = {"bigint": "CAST(? AS INTEGER)", "boolean": "CAST(? AS INTEGER)"}
    READ = {"double precision": float, "bytea": lambda cell: bytes.fromhex(cell[2:])}

    def __init__(self, connection: sqlite3.Connection, table: TablePlan):
        row = ", ".join(self.CELL.get(column.mirror_type, "?") for column in table.columns)
        into = f"INSERT INTO {_with_columns(table)} VALUES"
        self._insert_one, self._insert_many = f"{into} ({row})", f"{into} {', '.join([f'({row})'] * ROWS_AT_ONCE)}"
        self._readers = [(place, self.READ[c.mirror_type]) for place, c in enumerate(table.columns) if c.mirror_type in self.READ]
        self._kinds = [column.mirror_type for column in table.columns]
        self._connection = connection

    def take(self, given: list[bytes]) -> None:
        """Insert these rows, several a statement: that takes two thirds of the time."""
        if max(map(len, given)) > LARGE_BYTES:
            for line in given:
                cells = zip(self._kinds, line[:-1].split(b"\t"), strict=True)
                self._connection.execute(self._insert_one, [self._large(kind, cell) for kind, cell in cells])
            return
        cells, width = self._cells(given), len(self._kinds)
        many = len(cells) - len(cells) % (width * ROWS_AT_ONCE)
        self._connection.executemany(self._insert_many, _parts(cells, 0, many, width * ROWS_AT_ONCE))
        self._connection.executemany(self._insert_one, _parts(cells, many, len(cells), width))

    def _cells(self, given: list[bytes]) -> list[str | float | bytes | None]:
        """Return the cells of all these rows in one list."""
        text = b"".join(given).decode()[:-1]
        cells: list = text.replace("\n", "\t").split("\t")
        if "\\" in text:
            cells = [_cell(cell) if "\\" in cell else cell for cell in cells]
        for place, read in self._readers:
            column = slice(place, None, len(self._kinds))
            cells[column] = [None if cell is None else read(cell) for cell in cells[column]]
        return cells

    def _large(self, kind: str, cell: bytes) -> object:
        """Read one cell of a row with large values, with as few copies of them as can be."""
        if cell == b"\\N":
            return None
        if kind == "bytea":
            return binascii.unhexlify(memoryview(cell)[len(b"\\\\x") :])
        text = cell.decode()
        return self.READ.get(kind, str)(ESCAPE.sub(_unescaped, text) if b"\\" in cell else text)


class OldRows:
    """Takes rows of a mirror as JSON, as the undo log keeps them, and inserts them as rows of the table."""

    READ = {
        "bigint": int,
        "boolean": int,
        "text": str,
        "double precision": float,
        "bytea": lambda cell: bytes.fromhex(cell[2:]),
    }

    def __init__(self, connection: sqlite3.Connection, table: TablePlan):
        self._connection, self._columns = connection, table.columns
        self._insert = f"INSERT INTO {_with_columns(table)} VALUES ({', '.join('?' * len(table.columns))})"

    def take(self, given: list[bytes]) -> None:
        for line in given:
            row = json.loads(unescaped(line))
            cells = [self._cell(row.get(column.mirror_name), column) for column in self._columns]
            self._connection.execute(self._insert, cells)

    def _cell(self, value: object, column: PlannedColumn) -> object:
        return None if value is None else self.READ[column.mirror_type](value)


class MisfitRows:
    """Takes the lines of a table's kept rows, and inserts them."""

    def __init__(self, connection: sqlite3.Connection, table: TablePlan):
        self._connection, self._table = connection, table

    def take(self, given: list[bytes]) -> None:
        for line in given:
            self.insert(unescaped(line))

    def insert(self, line: str) -> None:
        cells = list(parse_misfit.read(line))
        marks = ", ".join(TEXT if isinstance(cell, parse_misfit.BadText) else "?" for cell in cells)
        self._connection.execute(f"INSERT INTO {_with_columns(self._table)} VALUES ({marks})", cells)


class OldMisfitRows:
    """Takes kept rows as JSON, as the undo log keeps them, and inserts them."""

    def __init__(self, rows: MisfitRows):
        self._rows = rows

    def take(self, given: list[bytes]) -> None:
        for line in given:
            self._rows.insert(json.loads(unescaped(line))["line"])


def clear_internal(connection: sqlite3.Connection, table: TablePlan) -> None:
    """Remove the counters that inserting the other tables' rows has left."""
    connection.execute(f"DELETE FROM {quoted(table.name)}")


def _with_columns(table: TablePlan) -> str:
    return f"{quoted(table.name)} ({', '.join(quoted(column.name) for column in table.columns)})"


def unescaped(line: bytes) -> str:
    """Return a line of COPY's text format without its end and its escapes."""
    text = line.decode()[:-1]
    return ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _parts(cells: list, start: int, end: int, size: int) -> Iterator[list]:
    return (cells[at : at + size] for at in range(start, end, size))


def _cell(cell: str) -> str | None:
    return None if cell == "\\N" else ESCAPE.sub(_unescaped, cell)


def _unescaped(match: re.Match) -> str:
    return ESCAPES.get(match[1], match[1])
