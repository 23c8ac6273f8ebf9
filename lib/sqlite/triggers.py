"""Work on a database's rows while none of its triggers runs."""

import contextlib
import sqlite3
from collections.abc import Iterator

CELLS = ("type", "name", "tbl_name", "sql")
# substr gives the bytes the database's encoding; a bound blob would be taken for UTF-8
TEXT = "CAST(substr(?, 1) AS TEXT)"


@contextlib.contextmanager
def taken_out(connection: sqlite3.Connection) -> Iterator[None]:
    """Take all triggers out of the schema, and put them back byte for byte: one may name its table in another case."""
    cells = ", ".join(f"CAST({cell} AS BLOB)" for cell in CELLS)
    found = connection.execute(f"SELECT rowid, {cells} FROM main.sqlite_master WHERE type = 'trigger'").fetchall()
    _write(connection, "DELETE FROM main.sqlite_master WHERE type = 'trigger'", [()])
    yield
    entry = f"INSERT INTO main.sqlite_master (rowid, {', '.join(CELLS)}, rootpage) VALUES (?, {', '.join([TEXT] * 4)}, 0)"
    _write(connection, entry, found)


def _write(connection: sqlite3.Connection, statement: str, rows: list[tuple]) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(statement, rows)
    connection.execute("PRAGMA writable_schema = RESET")
