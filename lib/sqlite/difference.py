"""Compare the tables of two SQLite files: which rows were added, changed and removed between them."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from lib.sqlite import schema as schemas
from lib.sqlite.names import quoted
from lib.sqlite.schema import Table
from lib.sqlite.snapshot import open_read_only


@dataclass(frozen=True)
class Difference:
    """What putting the second file in the first one's place would do to one table."""

    table: str
    rows_now: int
    rows_then: int
    added: int
    changed: int
    removed: int


def between(now: Path | None, then: Path) -> list[Difference]:
    """Compare every table of both files; without a first file, every row is added."""
    theirs = _tables(then)
    ours = _tables(now) if now else {}
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("ATTACH ? AS rebuilt", [str(then)])
        connection.execute("ATTACH ? AS present", [str(now) if now else ":memory:"])
        names = [*theirs, *(name for name in ours if name not in theirs)]
        return [_table(connection, name, ours.get(name), theirs.get(name)) for name in names]


def _tables(path: Path) -> dict[str, Table]:
    with contextlib.closing(open_read_only(path)) as connection:
        return {table.name: table for table in schemas.read(connection).own_tables}


def _table(connection: sqlite3.Connection, name: str, ours: Table | None, theirs: Table | None) -> Difference:
    rows_now = _count(connection, "present", name) if ours else 0
    rows_then = _count(connection, "rebuilt", name) if theirs else 0
    if not ours or not theirs or not ours.key or (ours.key, ours.columns) != (theirs.key, theirs.columns):
        return Difference(name, rows_now, rows_then, rows_then, 0, rows_now)
    same_key = " AND ".join(f"a.{quoted(key)} IS b.{quoted(key)}" for key in ours.key)
    added = _count_missing(connection, name, "rebuilt", "present", same_key)
    removed = _count_missing(connection, name, "present", "rebuilt", same_key)
    return Difference(name, rows_now, rows_then, added, _count_changed(connection, ours, same_key), removed)


def _count(connection: sqlite3.Connection, side: str, table: str) -> int:
    return connection.execute(f"SELECT count(*) FROM {side}.{quoted(table)}").fetchone()[0]


def _count_missing(connection: sqlite3.Connection, table: str, here: str, there: str, same_key: str) -> int:
    query = f"SELECT count(*) FROM {here}.{quoted(table)} AS a"
    where = f"WHERE NOT EXISTS (SELECT 1 FROM {there}.{quoted(table)} AS b WHERE {same_key})"
    return connection.execute(f"{query} {where}").fetchone()[0]


def _count_changed(connection: sqlite3.Connection, table: Table, same_key: str) -> int:
    differs = " OR ".join(
        f"a.{column} IS NOT b.{column} OR typeof(a.{column}) <> typeof(b.{column})"
        for column in (quoted(found.name) for found in table.columns)
    )
    joined = f"present.{quoted(table.name)} AS a JOIN rebuilt.{quoted(table.name)} AS b ON {same_key}"
    return connection.execute(f"SELECT count(*) FROM {joined} WHERE {differs}").fetchone()[0]
