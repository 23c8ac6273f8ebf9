"""Lock a database file against every program that uses it, without SQLite.

Source: https://sqlite.org/lockingv3.html and os.h; every reader holds a lock on the shared range, in WAL mode for as long as it
is connected. The lock is gone as soon as this process closes any descriptor of the file, SQLite's too.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lib.base.errors import Problem

IS_NEEDED = sys.platform != "win32"  # Windows refuses to rename a file that is open, which is what the lock is for
if IS_NEEDED:
    import fcntl

PENDING_BYTE = 0x40000000
LOCK_BYTES = 512


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[BinaryIO | None]:
    """Yield the file, locked; nothing where it is no file or needs no lock. Raise Problem where a program uses it."""
    if not IS_NEEDED or not path.is_file():
        yield None
        return
    with open(path, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCK_BYTES, PENDING_BYTE)
        except OSError as error:
            raise in_use(path) from error
        yield file


def in_use(path: Path) -> Problem:
    """Return what is told of a file that a program uses."""
    return Problem(f"{path} is in use by another program.", "stop the bot, then run this again", "The file was not touched.")
