"""Work on the rows of a file of our own while none of its triggers runs."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

CELLS = ("type", "name", "tbl_name", "sql")
# substr gives the bytes the database's encoding; a bound blob would be taken for UTF-8
TEXT = "CAST(substr(?, 1) AS TEXT)"


@contextlib.contextmanager
def taken_out(path: Path) -> Iterator[None]:
    """Take all triggers out of the schema, and put them back byte for byte; one may name its table in another case.

    Open the file meanwhile, not before: a connection knows the triggers that it has read.
    """
    cells = ", ".join(f"CAST({cell} AS BLOB)" for cell in CELLS)
    with _writing_schema(path) as connection:
        entries = connection.execute(f"SELECT rowid, {cells} FROM sqlite_master WHERE type = 'trigger'").fetchall()
        connection.execute("DELETE FROM sqlite_master WHERE type = 'trigger'")
    yield
    insert = f"INSERT INTO sqlite_master (rowid, {', '.join(CELLS)}, rootpage) VALUES (?, {', '.join([TEXT] * 4)}, 0)"
    with _writing_schema(path) as connection:
        connection.executemany(insert, entries)


@contextlib.contextmanager
def _writing_schema(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        yield connection
