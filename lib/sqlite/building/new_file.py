"""Build a SQLite file from a stored schema; insert_rows.py fills it.

Tables and indexes are created by their own SQL. Views, triggers and virtual tables, which hold no rows, are entered into
sqlite_master word for word: nothing of theirs runs while the file is built.
"""

import contextlib
import functools
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from lib.sqlite.building import authorizer
from lib.sqlite.building.triggers import TEXT
from lib.sqlite.files import older, stand_ins
from lib.sqlite.files.functions import register
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import trust_own_functions
from lib.tables.plan import Definition
from lib.tables.schema import SchemaObject

# Before the first table; the others may be set at any time.
EARLY_PRAGMAS = ("page_size", "encoding", "auto_vacuum")
LATE_PRAGMAS = ("user_version", "application_id")
# An index that does not follow the order of the rows is filled all over.
CACHE_KB = 8_000


@contextlib.contextmanager
def building(path: Path, definition: Definition, missing: list[str]) -> Iterator[sqlite3.Connection]:
    """Create the file with its tables, let the caller fill them, then add all that must come after the rows.

    Collations and functions that only the bot knows are noted in `missing`.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        _prepare(connection, definition["pragmas"])
        register(connection)
        _create_tables(connection, definition, missing)
        yield connection
        for index in _objects(definition, "index"):
            if index["sql"]:
                _create(connection, index, missing)
        _enter_rowless_objects(connection, definition)
        for pragma in LATE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma} = {int(definition['pragmas'][pragma])}")
        connection.execute("COMMIT")


def clear(connection: sqlite3.Connection, table: str) -> None:
    """Remove the rows of a table: the counters that other tables have left, or rows of a table that refuses one of them."""
    connection.execute(f"DELETE FROM {quoted(table)}")


def set_journal_mode(path: Path, journal_mode: str) -> None:
    """Last of all: a file in WAL mode cannot be read without writing beside it."""
    if journal_mode == "wal":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA writable_schema = ON")  # the schema may call what only the bot knows
            connection.execute("PRAGMA journal_mode = WAL")


def _prepare(connection: sqlite3.Connection, pragmas: dict[str, str | int]) -> None:
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


def _create(connection: sqlite3.Connection, entry: SchemaObject, missing: list[str]) -> None:
    try:
        stand_ins.tried(connection, lambda: authorizer.make(connection, sayable(entry["sql"] or "")), missing)
    except sqlite3.OperationalError as error:
        raise older.explained(entry["name"], error) from error


def _create_tables(connection: sqlite3.Connection, definition: Definition, missing: list[str]) -> None:
    """Create the tables in their order; SQLite makes its own, or lets them be made while writable_schema is on."""
    for table in _objects(definition, "table"):
        if not table["is_virtual"] and not table["name"].startswith("sqlite_"):
            _create(connection, table, missing)
            prepared = f"EXPLAIN INSERT INTO {quoted(table['name'])} DEFAULT VALUES"
            stand_ins.tried(connection, functools.partial(connection.execute, prepared), missing)
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.execute("PRAGMA writable_schema = ON")
    for table in _objects(definition, "table"):
        if table["name"].startswith("sqlite_") and table["name"] not in there:
            _create(connection, table, missing)
    connection.execute("PRAGMA writable_schema = OFF")


def _objects(definition: Definition, kind: str) -> list[SchemaObject]:
    return [entry for entry in definition["objects"] if entry["type"] == kind]


def _enter_rowless_objects(connection: sqlite3.Connection, definition: Definition) -> None:
    rowless = [entry for entry in definition["objects"] if entry["is_virtual"] or entry["type"] in ("view", "trigger")]
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(
        f"INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?, {TEXT}, {TEXT}, 0, {TEXT})",
        [(entry["type"], _raw(entry["name"]), _raw(entry["table"]), _raw(entry["sql"])) for entry in rowless],
    )
    for entry in definition["objects"]:
        if entry not in rowless and (raw := _raw(entry["sql"])) != entry["sql"]:
            update = f"UPDATE sqlite_master SET name = {TEXT}, sql = {TEXT} WHERE type = ? AND name = ?"
            connection.execute(update, [_raw(entry["name"]), raw, entry["type"], sayable(entry["name"])])
    connection.execute("PRAGMA writable_schema = OFF")
