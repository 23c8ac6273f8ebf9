"""What a table is declared as, replaced by another declaration of the same shape while the table is filled."""

import contextlib
import sqlite3
from collections.abc import Iterator

from lib.sqlite.files.names import quoted

# The indexes of keys, which SQLite makes with the table.
KEYS = "sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NULL"


@contextlib.contextmanager
def replaced(connection: sqlite3.Connection, table: str, text: str, keys: bool = True) -> Iterator[None]:
    """Let an empty table be declared as `text`, and without `keys` have none of their indexes, as long as this lasts."""
    (was,) = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", [table]).fetchone()
    aside = [] if keys else connection.execute(f"SELECT rowid, * FROM {KEYS}", [table]).fetchall()
    with _schema_changed(connection):
        _declare(connection, table, text)
        if aside:
            connection.execute(f"DELETE FROM {KEYS}", [table])
    try:
        yield
    finally:
        with _schema_changed(connection):
            _declare(connection, table, was)
            connection.executemany(
                "INSERT INTO sqlite_master (rowid, type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?, ?)", aside
            )


def _declare(connection: sqlite3.Connection, table: str, text: str) -> None:
    connection.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", [text, table])


@contextlib.contextmanager
def _schema_changed(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("PRAGMA writable_schema = ON")
    yield
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA writable_schema = RESET")
    # Old releases, such as 3.35, read the schema again when a statement runs, not when it is compiled.
    connection.execute("SELECT 1 FROM sqlite_master").fetchone()


def rowid_alias(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return the column that is the rowid itself, with what declares it so; nothing where there is none."""
    indexes = connection.execute(f"PRAGMA index_list({quoted(table)})").fetchall()
    key = [name for _, name, *_, place, _ in connection.execute(f"PRAGMA table_xinfo({quoted(table)})") if place]
    is_alias = len(key) == 1 and not any(origin == "pk" for *_, origin, _ in indexes)
    return dict.fromkeys(key, " INTEGER PRIMARY KEY") if is_alias else {}
