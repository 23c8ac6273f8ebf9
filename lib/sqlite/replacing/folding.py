"""Fold what a crash has left in a database's journals into its file, so that one rename moves all that was committed."""

import contextlib
import os
import sqlite3
from pathlib import Path

from lib.sqlite.files import lock
from lib.sqlite.files.opening import uri
from lib.sqlite.replacing.safety_copies import COMPANIONS

MAGIC = b"SQLite format 3\0"


def fold(path: Path) -> bool:
    """Let SQLite bring the journals into the file, as the bot's next query would; return whether it could.

    It cannot where the file is damaged: then all stays as it is. Raise Problem where a program uses the file.
    """
    if not has_journals(path):
        return True
    if not is_database(path):  # SQLite would throw the journals away
        return False
    try:
        with opened(path) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA user_version").fetchone()  # this rolls back what was not committed
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError as error:
        refuse_passing(path, error)
        return False
    return True


def opened(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """Open a file to write, which must be there; a lock of somebody else's is not waited for."""
    return contextlib.closing(sqlite3.connect(uri(path, "rw"), uri=True, isolation_level=None, timeout=0))


def refuse_passing(path: Path, error: sqlite3.DatabaseError) -> None:
    """Raise what says nothing against the file: it is in use, or there is no space for it."""
    if "locked" in str(error):
        raise lock.in_use(path) from error
    if "full" in str(error):
        raise error


def has_journals(path: Path) -> bool:
    """Whether a -wal, a -shm or a -journal is beside the file."""
    return any(os.path.lexists(f"{path}{companion}") for companion in COMPANIONS[1:])


def remove_spent(path: Path) -> None:
    """Remove journals that hold nothing (any more), from a file that nobody uses."""
    for companion in ("-wal", "-journal"):
        _remove_if_spent(Path(f"{path}{companion}"))
    if not os.path.lexists(f"{path}-wal"):  # it is only an index of the -wal
        Path(f"{path}-shm").unlink(missing_ok=True)


def _remove_if_spent(journal: Path) -> None:
    """A journal is spent when it is empty or, as SQLite leaves it with PRAGMA journal_mode = PERSIST, begins with zeros."""
    if journal.is_file() and not journal.is_symlink():
        with open(journal, "rb") as file:
            is_spent = file.read(1) in (b"", b"\0")
        if is_spent:
            journal.unlink()


def is_database(path: Path) -> bool:
    """Whether the file begins as every SQLite database does; an empty one does not."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC
