"""Compare the tables of two SQLite files, matched by key: how many rows were added, changed and removed between them."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from lib.base.errors import Problem
from lib.sqlite.compare import changed_row, find_changes
from lib.sqlite.files import read_schema as schemas
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_read_only
from lib.tables.schema import Table


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
    """Compare every table of both files; without a first file, every row is added. Raise Problem for files of two encodings."""
    theirs = _tables(then)
    ours = _tables(now) if now else {}
    with contextlib.closing(open_read_only(then)) as connection:
        try:
            if now:
                find_changes.attach(connection, now, "present")
        except sqlite3.OperationalError as error:
            raise Problem(
                f"the present file and the rebuilt one cannot be compared: {error}.",
                "rebuild it elsewhere and look:  python3 restore.py --to FOLDER",
            ) from error
        names = [*theirs, *(name for name in ours if name not in theirs)]
        return [_table(connection, name, ours.get(name), theirs.get(name)) for name in names]


def _tables(path: Path) -> dict[str, Table]:
    with contextlib.closing(open_read_only(path)) as connection:
        return {table.name: table for table in schemas.read(connection).own_tables}


def _table(connection: sqlite3.Connection, name: str, ours: Table | None, theirs: Table | None) -> Difference:
    rows_now = _count(connection, f"present.{quoted(name)}") if ours else 0
    rows_then = _count(connection, f"main.{quoted(name)}") if theirs else 0
    if not ours or not theirs or not ours.key or (ours.key, ours.columns) != (theirs.key, theirs.columns):
        return Difference(name, rows_now, rows_then, rows_then, 0, rows_now)
    same_key = _same_key(ours)
    added = _count(connection, _missing(name, "main", "present", same_key))
    removed = _count(connection, _missing(name, "present", "main", same_key))
    return Difference(name, rows_now, rows_then, added, _count(connection, _changed(ours, same_key)), removed)


def _same_key(table: Table) -> str:
    """Match rows by key; where it is NULL, which it may be in several rows, by rowid as well."""
    same = [f"old.{quoted(key)} IS new.{quoted(key)}" for key in table.key]
    for rowid in (quoted(column.name) for column in table.columns if column.is_rowid and column.name not in table.key):
        has_key = " AND ".join(f"new.{quoted(key)} NOT NULL" for key in table.key)
        same.append(f"({has_key} OR old.{rowid} = new.{rowid})")
    return " AND ".join(same)


def _count(connection: sqlite3.Connection, rows: str) -> int:
    """Return how many there are of what stands behind FROM."""
    ((count,),) = connection.execute(f"SELECT count(*) FROM {rows}")
    return int(count)


def _missing(table: str, here: str, there: str, same_key: str) -> str:
    where = f"WHERE NOT EXISTS (SELECT 1 FROM {there}.{quoted(table)} AS new WHERE {same_key})"
    return f"{here}.{quoted(table)} AS old {where}"


def _changed(table: Table, same_key: str) -> str:
    differs = changed_row.condition(column.name for column in table.columns)
    return f"present.{quoted(table.name)} AS old JOIN main.{quoted(table.name)} AS new ON {same_key} WHERE {differs}"
