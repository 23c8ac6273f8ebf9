"""Make the indexes of a table's keys after its rows, sorted, as CREATE INDEX does; row by row they would be filled all over."""

import contextlib
import sqlite3
from collections.abc import Iterator

from lib.sqlite.building import declaration
from lib.sqlite.files.names import quoted
from lib.sqlite.files.read_schema import is_without_rowid

# From so many rows on the index of a key that does not follow their order is larger than the cache.
MANY_ROWS = 200_000


@contextlib.contextmanager
def made_last(connection: sqlite3.Connection, table: str, rows: int) -> Iterator[None]:
    """Let an empty table have no key while the caller inserts so many rows; raise IntegrityError where two have the same."""
    keyless = _keyless(connection, table) if rows >= MANY_ROWS else None
    if keyless is None:
        yield
        return
    with declaration.replaced(connection, table, keyless, keys=False):
        yield
    connection.execute(f"REINDEX main.{quoted(table)}")  # a bare name may be a collation's


def _keyless(connection: sqlite3.Connection, table: str) -> str | None:
    """Return a declaration that stores the rows alike; None where there is no key to leave out, or where the rows are in it."""
    columns = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    keys = connection.execute(f"SELECT 1 FROM {declaration.KEYS}", [table]).fetchall()
    is_any = any(kind.upper() == "ANY" for _, _, kind, *_ in columns)  # it converts, but not in a STRICT table
    if not keys or is_any or is_without_rowid(connection, table) or any(hidden for *_, hidden in columns):
        return None
    kinds = {name: f" {quoted(kind)}" for _, name, kind, *_ in columns if kind} | declaration.rowid_alias(connection, table)
    parts = [quoted(name) + kinds.get(name, "") for _, name, *_ in columns]
    return f"CREATE TABLE {quoted(table)} ({', '.join(parts)})"
