"""What SQLite must write beside a database to read it: in WAL mode -wal and -shm, after a crash what a journal undoes."""

import os
from pathlib import Path

WAL_VERSION = b"\2"
READ_VERSION = slice(19, 20)


def lacking(source: Path) -> str:
    """Say what this user lacks to read a sound database, or nothing where that is not the reason."""
    real = source.resolve()
    if os.access(real.parent, os.W_OK):
        return ""
    if os.path.exists(f"{real}-journal"):
        why = "a crash has left a -journal, which SQLite must roll back to read the file"
    elif _is_wal_file(real):
        why = "the database is in WAL mode: to read it SQLite needs -wal and -shm beside it, and makes them where no bot runs"
    else:
        return ""
    writable = f"let this user write to the folder {real.parent} (a container: mount it without :ro)"
    return f"{writable}, or back up while the bot runs; {why}"


def is_in_wal_mode(header: bytes) -> bool:
    """Whether a file that begins like this is in WAL mode. Source: https://sqlite.org/fileformat2.html, offset 19."""
    return header[READ_VERSION] == WAL_VERSION


def _is_wal_file(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return is_in_wal_mode(file.read(READ_VERSION.stop))
    except OSError:
        return False
