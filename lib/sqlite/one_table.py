"""Put one table's rows from a rebuilt file into a copy of the present database, and leave everything else as it is."""

import contextlib
import sqlite3
from pathlib import Path

from lib.errors import Problem
from lib.sqlite import schema as schemas
from lib.sqlite import untyped
from lib.sqlite.names import quoted


def put_back(copy: Path, rebuilt: Path, table: str) -> None:
    """Replace the rows of `table` in `copy` by those in `rebuilt`; no trigger runs, and the counters only grow."""
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        shared = _shared_columns(connection, rebuilt, table)
        columns, is_computed = ", ".join(map(quoted, shared)), untyped.is_needed(connection, table, shared)
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("ATTACH ? AS rebuilt", [str(rebuilt)])
        connection.execute("BEGIN")
        triggers = _removed_triggers(connection, table)
        connection.execute(f"DELETE FROM main.{quoted(table)}")
        with untyped.declared(connection, table) if is_computed else contextlib.nullcontext():
            connection.execute(f"INSERT INTO main.{quoted(table)} ({columns}) SELECT {columns} FROM rebuilt.{quoted(table)}")
        _enter_triggers(connection, triggers)
        connection.execute("COMMIT")


def _shared_columns(connection: sqlite3.Connection, rebuilt: Path, table: str) -> list[str]:
    now = _columns(connection, table)
    with contextlib.closing(sqlite3.connect(rebuilt)) as other:
        then = _columns(other, table)
    if not now:
        raise Problem(f"there is no table {table} in the present database.", "restore the whole database instead")
    return [name for name in then if name in now]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    found = [found for found in schemas.read(connection).own_tables if found.name == table]
    return [column.name for column in found[0].columns] if found else []


def _removed_triggers(connection: sqlite3.Connection, table: str) -> list[tuple]:
    query = "SELECT type, name, tbl_name, rootpage, sql FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
    triggers = connection.execute(query, [table]).fetchall()
    for _, name, *_ in triggers:
        connection.execute(f"DROP TRIGGER main.{quoted(name)}")
    return triggers


def _enter_triggers(connection: sqlite3.Connection, triggers: list[tuple]) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany("INSERT INTO main.sqlite_master VALUES (?, ?, ?, ?, ?)", triggers)
    connection.execute("PRAGMA writable_schema = OFF")
