"""What a killed script leaves behind is removed by the next one: private folders, whose owner holds a lock as long as he lives.

A name proves nothing, nor does the number of a process: anybody writes the one; a later process, or a container, has the other.
"""

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lib.base import causes, owners
from lib.base.errors import Problem

HAS_LOCKS = sys.platform != "win32"  # there, what is left behind stays
if HAS_LOCKS:
    import fcntl

LOCK = "hybrid-backup.lock"

_locks: dict[Path, int] = {}


def make(parent: Path, stem: str, suffix: str) -> Path:
    """Make a private folder that is ours until `clear`, and remove those that dead processes have left beside it."""
    if HAS_LOCKS:
        for path in parent.glob(f"*.{suffix}"):
            _remove_if_abandoned(path)
    folder = Path(tempfile.mkdtemp(f".{suffix}", f"{stem}.", parent))
    try:
        _locks[folder] = _lock(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def clear(folder: Path) -> None:
    """Remove a folder that `make` has made, and all that is in it."""
    if folder in _locks:
        os.close(_locks.pop(folder))
        shutil.rmtree(folder, ignore_errors=True)


def make_private(folder: Path) -> None:
    """Make a folder for its owner alone, where it is not there yet; raise Problem where it is another user's."""
    with _named(f"the folder {folder} cannot be made", folder.parent):
        _make_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK) and (taken_over := owners.remedy(folder, "")):
        raise Problem(f"this user cannot write to the folder {folder}.", taken_over)


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        owners.give(folder, folder.parent)


def lasting(folder: Path) -> Path:
    """Return the folder, or the one around those that `clear` will remove: what an operator is told to look at must be there."""
    ours = [place for place in (folder, *folder.parents) if place in _locks]
    return ours[-1].parent if ours else folder


@contextlib.contextmanager
def within(parent: Path, stem: str, suffix: str) -> Iterator[Path]:
    """Make a private folder in another one; it is removed at the end, and the other one if it was made for it."""
    with as_it_was(parent):
        make_private(parent)
        with _named(f"the folder {parent} cannot be written to", parent):
            folder = make(parent, stem, suffix)
        try:
            yield folder
        finally:
            clear(folder)


@contextlib.contextmanager
def as_it_was(folder: Path) -> Iterator[None]:
    """Remove at the end those of this folder and the ones around it that were not there, where nothing was put into them."""
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # something is in it now
            for place in missing:
                place.rmdir()


def temporary(stem: str, suffix: str) -> contextlib.AbstractContextManager[Path]:
    """Make a private folder among the system's temporary files; it is removed at the end."""
    return within(Path(tempfile.gettempdir()), stem, suffix)


@contextlib.contextmanager
def _named(what: str, place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Problem(f"{what}: {error.strerror}.", causes.remedy(error, place)) from error


def _lock(folder: Path) -> int:
    """Make the folder's lock; nobody sees it before it is held, nor where the file system has no locks."""
    descriptor = os.open(folder / "new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    if HAS_LOCKS:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.rename(folder / "new", folder / LOCK)
    return descriptor


def _remove_if_abandoned(folder: Path) -> None:
    """Remove what this user's script has made, and nobody holds any more; links are not followed, here and inside."""
    with (
        contextlib.suppress(OSError),
        _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as place,
        _opened(LOCK, os.O_RDWR | os.O_NONBLOCK, place) as lock,
    ):
        if _is_ours(place) and _is_ours(lock) and stat.S_ISREG(os.fstat(lock).st_mode):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _empty(place)
            os.unlink(LOCK, dir_fd=place)
            os.rmdir(folder)


@contextlib.contextmanager
def _opened(name: Path | str, flags: int, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    """Whether this user has made it, and no other one may write to it."""
    status = os.fstat(descriptor)
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _empty(folder: int) -> None:
    """Remove all but the lock, which goes last: what cannot be removed now is found again."""
    for path, folders, files, place in os.fwalk(".", topdown=False, dir_fd=folder):
        for name in [*folders, *files]:
            if (path, name) != (".", LOCK):
                is_folder = stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
                (os.rmdir if is_folder else os.unlink)(name, dir_fd=place)
