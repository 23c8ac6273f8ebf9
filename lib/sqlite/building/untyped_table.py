"""Store cells that SQLite would not take from anybody: those that contradict their declaration, and those that it computes.

SQLite converts what is inserted to the declared type, and computes generated columns itself, with functions that may be the
bot's alone. While such a table is filled, its declaration is replaced by one of the same shape without types, checks, NOT NULL
and expressions; the rows and indexes in the file are the same.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator

from lib.sqlite.building import declaration
from lib.sqlite.files.names import quoted
from lib.sqlite.files.read_schema import STORED, VIRTUAL, is_without_rowid


@contextlib.contextmanager
def declared(connection: sqlite3.Connection, table: str) -> Iterator[None]:
    """Give an empty table a declaration without types while the caller fills it."""
    has_virtual = bool(_generated(connection, table, VIRTUAL))
    try:
        with declaration.replaced(connection, table, _untyped(connection, table)):
            yield
    finally:
        if has_virtual:
            connection.execute(f"REINDEX main.{quoted(table)}")


def is_needed(connection: sqlite3.Connection, table: str, columns: Collection[str]) -> bool:
    """Whether one of the columns that will be filled is computed by SQLite, and would take no value."""
    return not _generated(connection, table, STORED).isdisjoint(columns)


def computed(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the columns that SQLite computes."""
    return _generated(connection, table, STORED) | _generated(connection, table, VIRTUAL)


def _generated(connection: sqlite3.Connection, table: str, kind: int) -> set[str]:
    columns = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    return {name for _, name, *_, hidden in columns if hidden == kind}


def _untyped(connection: sqlite3.Connection, table: str) -> str:
    columns = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    indexes = connection.execute(f"PRAGMA index_list({quoted(table)})").fetchall()
    constraints = sorted((index for index in indexes if index[3] in ("pk", "u")), key=lambda index: _place(index[1]))
    # A virtual column takes no place in a row.
    kinds = declaration.rowid_alias(connection, table)
    kinds |= {name: " AS (NULL)" for _, name, *_, hidden in columns if hidden == VIRTUAL}
    parts = [quoted(name) + kinds.get(name, "") for _, name, *_ in columns]
    parts += [_constraint(connection, name, origin) for _, name, _, origin, _ in constraints]
    suffix = " WITHOUT ROWID" if is_without_rowid(connection, table) else ""
    return f"CREATE TABLE {quoted(table)} ({', '.join(parts)}){suffix}"


def _place(index: str) -> int:
    """SQLite numbers the indexes of constraints in their order: sqlite_autoindex_TABLE_2."""
    return int(index.rsplit("_", 1)[1])


def _constraint(connection: sqlite3.Connection, index: str, origin: str) -> str:
    columns = [
        f"{quoted(name)} COLLATE {quoted(collation)}{' DESC' if descending else ''}"
        for _, _, name, descending, collation, is_key in connection.execute(f"PRAGMA index_xinfo({quoted(index)})")
        if is_key
    ]
    return f"{'PRIMARY KEY' if origin == 'pk' else 'UNIQUE'} ({', '.join(columns)})"
