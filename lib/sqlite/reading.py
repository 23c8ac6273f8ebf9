"""Open SQLite files that nobody writes: snapshots, and files that were rebuilt."""

import sqlite3
from pathlib import Path

from lib.sqlite import standins
from lib.sqlite.exact import register


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a database file that nobody writes, with stand-ins for what only the bot knows."""
    connection = open_as_it_is(path)
    # Compiling the check, without running it, asks for every collation and function of the schema.
    standins.tried(connection, lambda: connection.execute("EXPLAIN PRAGMA integrity_check(1)"), [])
    return connection


def open_as_it_is(path: Path) -> sqlite3.Connection:
    # The thread that checks the file is not the one that opens it.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    register(connection)
    return connection
