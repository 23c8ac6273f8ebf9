"""Open SQLite files that nobody writes: snapshots, and files that were rebuilt."""

import sqlite3
from pathlib import Path

from lib.sqlite.files import older, stand_ins
from lib.sqlite.files.functions import register


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a database file that nobody writes, with stand-ins for what only the bot knows."""
    connection = open_as_it_is(path)
    stand_in(connection)
    register(connection)
    return connection


def uri(path: Path, mode: str = "ro") -> str:
    """Return how a file is named to SQLite, which must not create it; `mode` is SQLite's: ro or rw."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def open_as_it_is(path: Path, mode: str = "ro") -> sqlite3.Connection:
    """Open a file; rw is for what is rolled back."""
    # The thread that checks the file is not the one that opens it.
    connection = sqlite3.connect(uri(path, mode), uri=True, isolation_level=None, check_same_thread=False)
    trust_own_functions(connection)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    return connection


def stand_in(connection: sqlite3.Connection) -> list[str]:
    """Register stand-ins for what only the bot knows, and return its names; raise TooOld where the schema is not understood."""
    try:
        return stand_ins.complete(connection)
    except sqlite3.DatabaseError as error:
        raise older.judged(connection, error) from error


def trust_own_functions(connection: sqlite3.Connection) -> None:
    """Let indexes, generated columns and defaults call what this connection knows: SQLite's functions, ours and stand-ins.

    No schema may ever call those with side effects, such as load_extension. Without this SQLite 3.40 refuses JSON.
    """
    connection.execute("PRAGMA trusted_schema = ON")
