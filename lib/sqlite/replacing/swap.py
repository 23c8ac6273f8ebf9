"""Put a file in a database's place: fold its journals, lock it, give it a second name, rename the new one over it.

The lock is taken on the file itself, because an SQLite connection that is closed after the swap would delete the new file's -wal
by name; and SQLite's closing would end the lock. So SQLite folds before, whether the journals are still gone is looked at under
the lock, and nothing opens the file meanwhile.
"""

import os
from pathlib import Path
from typing import BinaryIO

from lib.base import stopping
from lib.sqlite.files import lock, other_names
from lib.sqlite.replacing import folding, in_place, safety_copies
from lib.sqlite.replacing.safety_copies import COMPANIONS


def into_place(new: Path, destination: Path) -> Path | None:
    """Swap the files; return the safety copy of the old one, if there was one. Raise Problem where a program uses it.

    At every moment the destination is the old file with all that was committed, or the new one.
    """
    if folding.fold(new):
        folding.remove_spent(new)
    _sync(new)
    if not os.path.lexists(destination):
        _into_empty_place(new, destination)
        return None
    if other_names.is_mounted(destination):
        return in_place.write_over(new, destination)
    was_folded, safety_copy = folding.fold(destination), safety_copies.free_path(destination)
    with lock.exclusive(destination) as file, stopping.undisturbed():
        folding.remove_spent(destination)
        if was_folded and folding.has_journals(destination):
            raise lock.in_use(destination)
        safety_copies.remove_unfinished(destination)
        _replace(new, destination, safety_copy, file)
    _sync(destination.parent)
    return safety_copy


def _into_empty_place(new: Path, destination: Path) -> None:
    """Journals without a database would be taken for the new one's: they are kept, under another name."""
    with stopping.undisturbed():
        safety_copies.move(destination, safety_copies.free_path(destination), reversed(COMPANIONS))
        safety_copies.note(destination, new, None)
        safety_copies.move(new, destination, COMPANIONS)
    _sync(destination.parent)


def _replace(new: Path, destination: Path, safety_copy: Path, file: BinaryIO | None) -> None:
    try:
        _set_aside(destination, safety_copy, file)
        safety_copies.note(destination, new, safety_copy)
        os.replace(new, destination)
    except BaseException:
        _take_back(safety_copy, destination)
        raise
    safety_copies.move(new, destination, COMPANIONS[1:])


def _set_aside(path: Path, safety_copy: Path, file: BinaryIO | None) -> None:
    """Give the old file a second name, so that a kill at no moment leaves none at the first; a damaged one's journals go too."""
    if file is None:
        safety_copies.move(path, safety_copy, reversed(COMPANIONS))
        return
    try:
        os.link(path, safety_copy)
    except OSError:  # a file system without hard links
        safety_copies.copy(file, path, safety_copy)
    safety_copies.move(path, safety_copy, COMPANIONS[1:])


def _take_back(safety_copy: Path, path: Path) -> None:
    safety_copies.move(safety_copy, path, COMPANIONS[1:] if path.exists() else COMPANIONS)
    safety_copy.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Make the file, or the names in the folder, survive a power cut."""
    if not path.exists() or (path.is_dir() and os.name != "posix"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
