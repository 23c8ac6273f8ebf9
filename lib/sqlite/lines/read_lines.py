"""Write rows as CSV lines, by the expressions of expressions.py, which SQLite evaluates; Python only joins them."""

import functools
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lib.base.errors import Problem
from lib.sqlite.files.functions import as_bytes
from lib.sqlite.files.names import quoted
from lib.sqlite.lines import expressions, large_rows
from lib.sqlite.lines.frame import BARE, Frame
from lib.tables.digest import Digest
from lib.tables.plan import MOST_COLUMNS, TablePlan
from lib.tables.schema import Table

ROWS_AT_ONCE = 200
Large = Callable[[Digest], Iterator[bytes]]
# Before, group_concat's result ends at the first NUL.
JOINS_WITH_NUL = sqlite3.sqlite_version_info >= (3, 38)
FIRST_ROWID, LAST_ROWID = "-9223372036854775808", "9223372036854775807"
# A line of COPY and a field may have 1 GB, and a blob is written in hex.
LARGEST = 500_000_000
# Lines come many at a time, with NUL between them, which no line has. This one says that a row is large.
LARGE_ROW = b"\x01"


class Lines:
    """The lines of some rows, as a file that COPY reads; `digest` grows as they are read. Large rows come last, in pieces.

    `texts` has some rows at a time, and of each row as many texts as `kinds`: its line, and what is hashed where that is
    something else. `frame` is put around each line that is read, and is not hashed.

    Source: psycopg2's copy_expert calls `read` until it returns nothing; it takes more bytes than it asked for.
    """

    def __init__(self, texts: Iterator[bytes], kinds: int, large: Large, frame: Frame):
        self.digest, self.bytes = Digest(), 0
        self._chunks: Iterator[bytes] = self._small_then(large, texts, kinds, frame)

    @property
    def rows(self) -> int:
        return self.digest.rows

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

    def let_go(self) -> None:
        """Read no more, and keep nothing of what was read: a row may be large."""
        self._chunks = iter(())

    def _small_then(self, large: Large, texts: Iterator[bytes], kinds: int, frame: Frame) -> Iterator[bytes]:
        has_large, between = False, frame.behind + frame.before
        for text in texts:
            lines = text.split(b"\0")
            if LARGE_ROW in text and LARGE_ROW in lines:
                has_large = True
                lines = [line for line in lines if line != LARGE_ROW]
            self.digest.add(lines[kinds - 1 :: kinds])
            if lines:
                yield b"".join((frame.before, between.join(lines[::kinds]), frame.behind))
        if has_large:
            yield from large(self.digest)


class Joined:
    """Several lines, one after the other, as one file that COPY reads; each is asked for when those before it were read."""

    def __init__(self, parts: Iterable[Lines]):
        self._chunks = (chunk for part in parts for chunk in iter(functools.partial(part.read, 0), b""))

    def read(self, _size: int) -> bytes:
        return next(self._chunks, b"")


def _texts(connection: sqlite3.Connection, query: str, rows_at_once: int) -> Iterator[bytes]:
    """Yield what a query finds, so many of its rows at once, NUL between them."""
    with as_bytes(connection):
        rows = connection.execute(query)
    while fetched := _fetch(connection, rows, rows_at_once):
        texts = [text for (text,) in fetched if text is not None]
        if texts:
            yield b"\0".join(texts)


def _fetch(connection: sqlite3.Connection, rows: sqlite3.Cursor, many: int) -> list[Any]:
    with as_bytes(connection):
        return rows.fetchmany(many)


@dataclass(frozen=True)
class Selection:
    """Which rows of a table are read, and from which of the attached files."""

    file: str = "main"
    where: str = "1"

    def of(self, table: TablePlan, condition: str = "1") -> str:
        """Return what stands behind FROM."""
        return f"{self.file}.{quoted(table.name)} WHERE {self.where} AND {condition}"


EVERY_ROW = Selection()


def digest(connection: sqlite3.Connection, table: TablePlan) -> Digest:
    """Return the digest of all of a table's rows, misfits included."""
    return sum(digests(connection, table), Digest())


def digests(connection: sqlite3.Connection, table: TablePlan) -> tuple[Digest, Digest]:
    """Return the digest of the misfits and that of all other rows."""
    others = read_through(of_mirror(connection, table)) if table.mirror else Digest()
    return read_through(of_misfits(connection, table, BARE)), others


def digest_without_misfits(connection: sqlite3.Connection, table: TablePlan) -> Digest:
    """Return the digest of a table that should have no misfits: whatever else a row may be, its line tells."""
    return read_through(_mirror_lines(connection, table, EVERY_ROW, expressions.has_classes(table)))


def read_through(part: Lines) -> Digest:
    """Read lines for their digest alone."""
    while part.read(0):
        pass
    return part.digest


def of_mirror(connection: sqlite3.Connection, table: TablePlan, rows: Selection = EVERY_ROW, frame: Frame = BARE) -> Lines:
    """Return the lines of the rows that the mirror can hold."""
    return _mirror_lines(connection, table, rows, expressions.fits(table), frame)


def _mirror_lines(
    connection: sqlite3.Connection, table: TablePlan, rows: Selection, condition: str, frame: Frame = BARE
) -> Lines:
    is_small, source = expressions.is_small_line(table), rows.of(table, condition)
    kinds = list(dict.fromkeys((expressions.mirror_line(table), expressions.sqlite_digest_line(table))))
    line = f"CASE WHEN {is_small} THEN {_with_nul(kinds)} ELSE {_with_nul(['char(1)'] * len(kinds))} END"
    rowid = next((quoted(column.name) for column in table.columns if column.is_rowid), None)

    def large(digest: Digest) -> Iterator[bytes]:
        _refuse_too_large(connection, table)
        return large_rows.of_mirror(connection, table, f"{source} AND NOT {is_small}", digest, frame)

    if rows == EVERY_ROW and rowid and JOINS_WITH_NUL:
        texts = _texts(connection, _in_groups(line, quoted(table.name), rowid, condition), 1)
    else:
        texts = _texts(connection, f"SELECT {line} FROM {source}", ROWS_AT_ONCE)
    return Lines(texts, len(kinds), large, frame)


def _in_groups(line: str, name: str, rowid: str, condition: str) -> str:
    """Return the query of a table's lines, those of some rows in one result: a result a row takes a sixth longer."""

    def first_behind(first: str) -> str:
        return f"(SELECT {rowid} FROM main.{name} WHERE {rowid} >= {first} ORDER BY {rowid} LIMIT 1 OFFSET {ROWS_AT_ONCE})"

    in_group = f"{rowid} BETWEEN group__.first AND ifnull(group__.behind - 1, {LAST_ROWID})"
    return f"""WITH RECURSIVE group__ (first, behind) AS (
            SELECT {FIRST_ROWID}, {first_behind(FIRST_ROWID)}
            UNION ALL SELECT behind, {first_behind("group__.behind")} FROM group__ WHERE behind NOT NULL
        )
        SELECT (SELECT group_concat({line}, char(0)) FROM main.{name} AS row__ WHERE {in_group} AND {condition}) FROM group__"""


def _with_nul(texts: list[str]) -> str:
    return " || char(0) || ".join(texts)


def of_misfits(connection: sqlite3.Connection, table: TablePlan, frame: Frame) -> Lines:
    """Return the misfits' lines, each as one CSV field."""
    source = EVERY_ROW.of(table, f"NOT ({expressions.fits(table)})" if table.mirror else "1")
    is_small = expressions.is_small_misfit(table)

    def large(digest: Digest) -> Iterator[bytes]:
        _refuse_too_large(connection, table)
        return large_rows.of_misfits(connection, table, f"{source} AND NOT {is_small}", digest, frame)

    csv = """'"' || replace(line, '"', '""') || '"'"""
    query = f"""SELECT ifnull({_with_nul([csv, "line"])}, {_with_nul(["char(1)"] * 2)})
        FROM (SELECT CASE WHEN {is_small} THEN {expressions.misfit_line(table)} END AS line FROM {source})"""
    return Lines(_texts(connection, query, ROWS_AT_ONCE), 2, large, frame)


def rows(connection: sqlite3.Connection, table: TablePlan | Table) -> int:
    """Return how many rows a table has."""
    ((count,),) = connection.execute(f"SELECT count(*) FROM main.{quoted(table.name)}")
    return int(count)


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
    values = connection.execute(f"SELECT {shown} FROM main.{quoted(table.name)} WHERE {where}").fetchone()
    row = ", ".join(f"{key.name} = {value}" for key, value in zip(keys, values, strict=False))
    return f"{table.printable}.{column} holds {size:,} bytes in the row {row}; Postgres takes {LARGEST:,} at most."
