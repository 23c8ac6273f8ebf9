"""Write over a database whose name cannot be given to another file: a container mounts a single file by itself.

SQLite writes it in one transaction, whose rollback journal lies beside the file: killed in the middle, the old content is
back when the file is opened next.
"""

import contextlib
import sqlite3
from pathlib import Path

from lib.base import stopping
from lib.base.errors import Problem
from lib.sqlite.files import lock
from lib.sqlite.replacing import folding, safety_copies


def write_over(new: Path, destination: Path) -> Path:
    """Write the content of `new`, which is removed, into the file that is there; return its safety copy.

    Raise Problem where a program uses the file.
    """
    safety_copy = safety_copies.free_path(destination)
    with stopping.undisturbed():
        if not _written(new, destination, safety_copy):
            _empty(destination, safety_copy)  # SQLite writes over no file that is not a database
            _write(new, destination, None)
        with contextlib.suppress(Problem), lock.exclusive(destination):  # the bot may be at work again
            folding.remove_spent(destination)
    new.unlink()
    return safety_copy


def _written(new: Path, destination: Path, safety_copy: Path) -> bool:
    """Write over a database; return False, and leave it as it is, where the file is damaged or none."""
    if not folding.is_database(destination):
        return False
    try:
        _write(new, destination, safety_copy)
    except sqlite3.OperationalError as error:
        folding.refuse_passing(destination, error)
        raise
    except sqlite3.DatabaseError:
        return False
    return True


def _write(new: Path, destination: Path, safety_copy: Path | None) -> None:
    with folding.opened(new) as source, folding.opened(destination) as there:
        journal_mode, wanted = _seized(there), source.execute("PRAGMA journal_mode").fetchone()[0]
        try:
            if safety_copy:
                _copy_aside(there, destination, safety_copy, journal_mode)
                safety_copies.note(destination, destination, safety_copy)
            source.execute("PRAGMA journal_mode = DELETE")
            source.backup(there)
            journal_mode = wanted
        finally:
            there.execute(f"PRAGMA journal_mode = {journal_mode}")


def _seized(there: sqlite3.Connection) -> str:
    """Lock the file until it is closed, fold its journals, and return its journal mode."""
    there.execute("PRAGMA locking_mode = EXCLUSIVE")
    journal_mode: str = there.execute("PRAGMA journal_mode").fetchone()[0]
    there.execute("PRAGMA journal_mode = DELETE")
    there.execute("BEGIN EXCLUSIVE")
    there.execute("COMMIT")
    return journal_mode


def _copy_aside(there: sqlite3.Connection, destination: Path, safety_copy: Path, journal_mode: str) -> None:
    with safety_copies.being_written(safety_copy, destination) as path, folding.opened(path) as copy:
        there.backup(copy)
        copy.execute(f"PRAGMA journal_mode = {journal_mode}")


def _empty(destination: Path, safety_copy: Path) -> None:
    """Keep a file that is no database byte for byte, with its journals, and leave an empty one."""
    with lock.exclusive(destination) as file:
        if file is None:  # not even a file: SQLite will say so
            return
        safety_copies.copy(file, destination, safety_copy)
        safety_copies.move(destination, safety_copy, safety_copies.COMPANIONS[1:])
        safety_copies.note(destination, destination, safety_copy)
        file.truncate(0)
