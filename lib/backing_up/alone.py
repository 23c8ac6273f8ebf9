"""One live process for one settings file: whoever has the lock is it, for as long as he lives."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from lib.base import leftovers, owners
from lib.base.errors import Problem
from lib.base.leftovers import HAS_LOCKS
from lib.settings.config import Settings

if HAS_LOCKS:
    import fcntl


# Whoever only looks whether a process is there has the lock for an instant.
LOOKS, LOOK_SECONDS = 5, 0.05
_ours: list[None] = []


@contextlib.contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Hold the lock; raise Problem where another process has it."""
    leftovers.make_private(settings.snapshots)
    path = _path(settings)
    owners.make_file(path)
    with open(path, "r+b") as file:
        for _ in range(LOOKS):
            if _is_taken(file.fileno()):
                break
            time.sleep(LOOK_SECONDS)
        else:
            raise Problem(
                f"live backups with {settings.folder / settings.file} run already.",
                "see which process that is:  pgrep -af 'backup.py.* --live'",
            )
        _ours.append(None)
        yield
        _ours.clear()


def is_ours() -> bool:
    """Whether this process has the lock: whoever starts it again makes an ordinary run first."""
    return bool(_ours)


def is_held(settings: Settings) -> bool:
    """Whether a live process is there; False where nobody can tell."""
    try:
        with open(_path(settings), "r+b") as file:
            return not _is_taken(file.fileno())
    except OSError:
        return False


def _is_taken(descriptor: int) -> bool:
    """Take the lock, unless somebody else has it; where there are no locks, nobody has."""
    try:
        if HAS_LOCKS:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _path(settings: Settings) -> Path:
    return settings.record("live", ".lock")
