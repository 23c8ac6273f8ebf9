"""Put a rebuilt file in a database's place: lock the old one, move it aside with its journals, rename the new one.

Source for the lock: https://sqlite.org/lockingv3.html and os.h; every reader holds a lock on the shared range, in WAL mode
for as long as it is connected. The lock is taken on the file itself, because an SQLite connection that is closed after the
swap would delete the new file's -wal by name.
"""

import contextlib
import glob
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from lib import stopping
from lib.errors import Problem

try:
    import fcntl
except ImportError:  # Windows refuses to rename a file that is open, which is what the lock is for
    fcntl = None

PENDING_BYTE = 0x40000000
LOCK_BYTES = 512
COMPANIONS = ("", "-wal", "-shm", "-journal")
SUFFIX = "restoring"


def safety_path(destination: Path) -> Path:
    """Return a free name for the file that is replaced: NAME.before-restore-<UTC time>."""
    stamp = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    wanted = destination.with_name(f"{destination.name}.before-restore-{stamp}")
    count = 1
    while any(os.path.lexists(f"{wanted}{companion}") for companion in COMPANIONS):
        count += 1
        wanted = destination.with_name(f"{destination.name}.before-restore-{stamp}-{count}")
    return wanted


def safety_copies(destination: Path) -> list[Path]:
    """Return the files that restores have replaced here, newest first."""
    found = destination.parent.glob(f"{glob.escape(destination.name)}.before-restore-*")
    return sorted((path for path in found if not path.name.endswith(COMPANIONS[1:])), key=_age_of, reverse=True)


def _age_of(copy: Path) -> tuple[str, int]:
    stamp, _, count = copy.name.partition(".before-restore-")[2].partition("Z-")
    return stamp.removesuffix("Z"), int(count or 1)


def exchange(copy: Path, destination: Path) -> Path | None:
    """Put a kept file back, with its journals, and return where what was there is kept now."""
    if not _exists(destination):
        with stopping.undisturbed():
            _move(copy, destination)
        _sync(destination.parent)
        return None
    kept = safety_path(destination)
    with _locked(destination), stopping.undisturbed():
        _keep(destination, kept, [destination, copy])
        _move(copy, destination)
    _sync(destination.parent)
    return kept


def into_place(built: Path, destination: Path) -> Path | None:
    """Swap the files, and return where the old one is kept; raise Problem where a program uses it."""
    _sync(built)
    if not _exists(destination):
        os.replace(built, destination)
        _sync(destination.parent)
        return None
    kept = safety_path(destination)
    with _locked(destination), stopping.undisturbed():
        _take_over_owner(built, destination)
        _keep(destination, kept, [destination])
        os.replace(built, destination)
    _sync(destination.parent)
    return kept


def _exists(path: Path) -> bool:
    return any(os.path.lexists(f"{path}{companion}") for companion in COMPANIONS)


def _has_journals(path: Path) -> bool:
    return any(os.path.lexists(f"{path}{companion}") for companion in COMPANIONS[1:])


def _keep(path: Path, kept: Path, concerned: list[Path]) -> None:
    """Give the old file its second name, so that a kill at no moment leaves none at the first; journals must go with it."""
    if any(map(_has_journals, concerned)) or not path.is_file() or path.is_symlink():
        _move(path, kept)
        return
    try:
        os.link(path, kept)
    except OSError:  # a file system without hard links
        _move(path, kept)


def _move(source: Path, destination: Path) -> None:
    """Rename a database and its journals; the journals first, so that no moment has a file with a foreign journal."""
    for companion in reversed(COMPANIONS):
        if os.path.lexists(f"{source}{companion}"):
            os.replace(f"{source}{companion}", f"{destination}{companion}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    if fcntl is None or not path.is_file():
        yield
        return
    with open(path, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCK_BYTES, PENDING_BYTE)
        except OSError as error:
            raise Problem(
                f"{path} is in use by another program.",
                "stop the bot, then run this again",
                "The file was not touched.",
            ) from error
        yield


def _take_over_owner(built: Path, old: Path) -> None:
    if old.exists():
        shutil.copymode(old, built)
        if os.name == "posix" and os.geteuid() == 0:
            os.chown(built, old.stat().st_uid, old.stat().st_gid)


def _sync(path: Path) -> None:
    """Make the file, or the names in the folder, survive a power cut."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
