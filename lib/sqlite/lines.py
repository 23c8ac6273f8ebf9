"""Write rows as CSV lines, by the expressions of lib/sqlite/expressions.py, which SQLite evaluates; Python only joins them."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lib.digest import Digest
from lib.errors import Problem
from lib.plan import MOST_COLUMNS, TablePlan
from lib.sqlite import expressions, pieces
from lib.sqlite.exact import as_bytes
from lib.sqlite.names import quoted

ROWS_AT_ONCE = 500
# A line of COPY and a field may have 1 GB, and a blob is written in hex.
LARGEST = 500_000_000


class Lines:
    """The lines of some rows, as a file that COPY reads; `digest` grows as they are read. Large rows come last, in pieces.

    Source: psycopg2's copy_expert calls `read` until it returns nothing; it takes more bytes than it asked for.
    """

    def __init__(self, connection: sqlite3.Connection, query: str, large: Callable[[Digest], Iterator[bytes]]):
        self.digest, self.bytes = Digest(), 0
        with as_bytes(connection):
            rows = connection.execute(query)
        self._chunks = self._small_then(large, connection, rows)

    def read(self, _size: int) -> bytes:
        chunk = next(self._chunks, b"")
        self.bytes += len(chunk)
        return chunk

    def read_ahead(self, size: int) -> int:
        """Read about so many bytes before anybody takes them; return how many."""
        ahead, length = [], 0
        while length < size and (chunk := next(self._chunks, b"")):
            ahead.append(chunk)
            length += len(chunk)
        self._chunks = itertools.chain(ahead, self._chunks)
        return length

    def _small_then(self, large: Callable, connection: sqlite3.Connection, rows: sqlite3.Cursor) -> Iterator[bytes]:
        """Yield some lines at a time; the query gives NULL for a large row's line."""
        has_large = False
        while found := _some(connection, rows):
            lines = [row[0] for row in found]
            if None in lines:
                has_large = True
                found = [row for row in found if row[0] is not None]
                lines = [row[0] for row in found]
            self.digest.add([row[-1] for row in found])
            if lines:
                yield b"\n".join([*lines, b""])
        if has_large:
            yield from large(self.digest)


def _some(connection: sqlite3.Connection, rows: sqlite3.Cursor) -> list[tuple]:
    with as_bytes(connection):
        return rows.fetchmany(ROWS_AT_ONCE)


@dataclass(frozen=True)
class Rows:
    """Which rows of a table are read, and from which of the attached files."""

    file: str = "main"
    where: str = "true"

    def of(self, table: TablePlan, condition: str = "true") -> str:
        """Return what stands behind FROM."""
        return f"{self.file}.{quoted(table.name)} WHERE {self.where} AND {condition}"


EVERY_ROW = Rows()


def digest(connection: sqlite3.Connection, table: TablePlan) -> Digest:
    """Return the digest of all of a table's rows, misfits included."""
    parts = [of_misfits(connection, table)] + ([of_mirror(connection, table)] if table.mirror else [])
    return sum(map(read_through, parts), Digest())


def digest_without_misfits(connection: sqlite3.Connection, table: TablePlan) -> Digest:
    """Return the digest of a table that should have no misfits: whatever else a row may be, its line tells."""
    return read_through(_mirror_lines(connection, table, EVERY_ROW.of(table, expressions.has_classes(table))))


def read_through(part: Lines) -> Digest:
    """Return the digest of lines that nobody wants to have."""
    while part.read(0):
        pass
    return part.digest


def of_mirror(connection: sqlite3.Connection, table: TablePlan, rows: Rows = EVERY_ROW) -> Lines:
    """Return the lines of the rows that the mirror can hold."""
    return _mirror_lines(connection, table, rows.of(table, expressions.fits(table)))


def _mirror_lines(connection: sqlite3.Connection, table: TablePlan, source: str) -> Lines:
    is_small = expressions.is_small_line(table)
    kinds = dict.fromkeys((expressions.mirror_line(table), expressions.digest_line(table)))
    wanted = ", ".join(f"CASE WHEN {is_small} THEN {line} END" for line in kinds)

    def large(digest: Digest) -> Iterator[bytes]:
        _refuse_too_large(connection, table)
        return pieces.of_mirror(connection, table, f"{source} AND NOT {is_small}", digest)

    return Lines(connection, f"SELECT {wanted} FROM {source}", large)


class Misfits:
    """The misfits of several tables as one file that COPY reads: the table's label and the line."""

    def __init__(self, connection: sqlite3.Connection, tables: list[TablePlan]):
        self.parts = {table.label: of_misfits(connection, table) for table in tables}
        self._left = list(self.parts.values())

    def read(self, size: int) -> bytes:
        while self._left:
            if chunk := self._left[0].read(size):
                return chunk
            self._left.pop(0)
        return b""


def of_misfits(connection: sqlite3.Connection, table: TablePlan) -> Lines:
    """Return the lines of the rows that are kept whole, each as one CSV field behind the table's label."""
    source = EVERY_ROW.of(table, f"NOT ({expressions.fits(table)})" if table.mirror else "true")
    is_small, label = expressions.is_small_misfit(table), _csv_field(table.label)

    def large(digest: Digest) -> Iterator[bytes]:
        _refuse_too_large(connection, table)
        return pieces.of_misfits(connection, table, f"{source} AND NOT {is_small}", label, digest)

    query = f"""SELECT {_literal(label)} || ',"' || replace(line, '"', '""') || '"', line
        FROM (SELECT CASE WHEN {is_small} THEN {expressions.misfit_line(table)} END AS line FROM {source})"""
    return Lines(connection, query, large)


def rows(connection: sqlite3.Connection, table: TablePlan) -> int:
    return connection.execute(f"SELECT count(*) FROM main.{quoted(table.name)}").fetchone()[0]


def _refuse_too_large(connection: sqlite3.Connection, table: TablePlan) -> None:
    for column in table.columns[:MOST_COLUMNS]:
        length = f"length(CAST({quoted(column.name)} AS BLOB))"
        (size,) = connection.execute(f"SELECT max({length}) FROM main.{quoted(table.name)}").fetchone()
        if (size or 0) > LARGEST:
            raise Problem(_too_large(connection, table, column.name, size), "store it in a file, and its path in the database")


def _too_large(connection: sqlite3.Connection, table: TablePlan, column: str, size: int) -> str:
    keys = [key for key in table.key if key.name != column] or [key for key in table.columns if key.is_rowid]
    shown = ", ".join(f"quote({quoted(key.name)})" for key in keys) or "'?'"
    where = f"length(CAST({quoted(column)} AS BLOB)) = {size}"
    found = connection.execute(f"SELECT {shown} FROM main.{quoted(table.name)} WHERE {where}").fetchone()
    row = ", ".join(f"{key.name} = {value}" for key, value in zip(keys, found, strict=False))
    return f"{table.printable}.{column} holds {size:,} bytes in the row {row}; Postgres takes {LARGEST:,} at most."


def _csv_field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
