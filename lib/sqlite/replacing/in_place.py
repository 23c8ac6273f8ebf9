"""Write over a database whose name cannot be given to another file: a container mounts a single file by itself.

SQLite writes it in one transaction, whose rollback journal lies beside the file: killed in the middle, the old content is
back when the file is opened next.
"""

import contextlib
import os
import re
import sqlite3
from pathlib import Path

from lib.base import stopping
from lib.base.errors import Problem
from lib.sqlite.files import lock
from lib.sqlite.replacing import folding, safety_copies

MOUNTS = Path("/proc/self/mountinfo")
OCTAL = re.compile(r"\\([0-7]{3})")


def is_mounted(path: Path) -> bool:
    """Whether the file itself is a mount; source: proc(5), the fifth field of mountinfo."""
    try:
        lines = os.fsdecode(MOUNTS.read_bytes().rstrip()).split("\n")
    except OSError:  # not Linux
        return os.path.ismount(path)
    return str(path) in [OCTAL.sub(lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in lines]


def write_over(new: Path, destination: Path) -> Path:
    """Write the content of `new`, which is removed, into the file that is there; return where the old content is kept.

    Raise Problem where a program uses the file.
    """
    kept = safety_copies.free_path(destination)
    with stopping.undisturbed():
        if not _written(new, destination, kept):
            _empty(destination, kept)  # SQLite writes over no file that is not a database
            _write(new, destination, None)
        with contextlib.suppress(Problem), lock.exclusive(destination):  # the bot may be at work again
            folding.remove_spent(destination)
    new.unlink()
    return kept


def _written(new: Path, destination: Path, kept: Path) -> bool:
    """Write over a database; return False, and leave it as it is, where the file is damaged or none."""
    if not folding.is_database(destination):
        return False
    try:
        _write(new, destination, kept)
    except sqlite3.OperationalError as error:
        folding.refuse_passing(destination, error)
        raise
    except sqlite3.DatabaseError:
        return False
    return True


def _write(new: Path, destination: Path, kept: Path | None) -> None:
    with folding.opened(new) as source, folding.opened(destination) as there:
        journal_mode, wanted = _seized(there), source.execute("PRAGMA journal_mode").fetchone()[0]
        try:
            if kept:
                _keep(there, destination, kept, journal_mode)
                safety_copies.note(destination, destination, kept)
            source.execute("PRAGMA journal_mode = DELETE")
            source.backup(there)
            journal_mode = wanted
        finally:
            there.execute(f"PRAGMA journal_mode = {journal_mode}")


def _seized(there: sqlite3.Connection) -> str:
    """Lock the file until it is closed, fold its journals, and return its journal mode."""
    there.execute("PRAGMA locking_mode = EXCLUSIVE")
    journal_mode = there.execute("PRAGMA journal_mode").fetchone()[0]
    there.execute("PRAGMA journal_mode = DELETE")
    there.execute("BEGIN EXCLUSIVE")
    there.execute("COMMIT")
    return journal_mode


def _keep(there: sqlite3.Connection, destination: Path, kept: Path, journal_mode: str) -> None:
    with safety_copies.being_written(kept, destination) as path, folding.opened(path) as copy:
        there.backup(copy)
        copy.execute(f"PRAGMA journal_mode = {journal_mode}")


def _empty(destination: Path, kept: Path) -> None:
    """Keep a file that is no database byte for byte, with its journals, and leave an empty one."""
    with lock.exclusive(destination) as file:
        safety_copies.copy(file, destination, kept)
        safety_copies.move(destination, kept, safety_copies.COMPANIONS[1:])
        safety_copies.note(destination, destination, kept)
        file.truncate(0)
