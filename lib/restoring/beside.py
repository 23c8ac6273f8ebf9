"""Work beside a destination: on its file system, in a private folder that is removed at the end, when there is room for it."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from lib.base import causes, disk, leftovers, owners
from lib.base.errors import Problem, typed
from lib.sqlite.files import older, remedy
from lib.sqlite.replacing import safety_copies

ELSEWHERE = "  or rebuild elsewhere:  python3 restore.py --to FOLDER"


def require_room(sizes: dict[str, int], places: dict[str, Path]) -> None:
    """Raise Problem where the files of all sources, which are there at once, have no room; `sizes` are in bytes."""
    disk.require_together(((places[name].parent, size) for name, size in sizes.items()), "the restore")


@contextlib.contextmanager
def private_path(destination: Path) -> Iterator[Path]:
    """Yield a path in a private folder beside the destination; whatever is there at the end is removed."""
    with leftovers.as_it_was(destination.parent):
        with explained(destination):
            leftovers.make_private(destination.parent)
            folder = leftovers.make(destination.parent, destination.name, safety_copies.SUFFIX)
        try:
            yield folder / destination.name
        finally:
            leftovers.clear(folder)


@contextlib.contextmanager
def explained(destination: Path, what: str = "cannot be rebuilt", otherwise: str = ELSEWHERE) -> Iterator[None]:
    """Raise Problem for what the disk or SQLite refuses; `otherwise` is told where the folder is not a temporary one of ours."""
    try:
        yield
    except older.TooOld as error:
        raise Problem(f"{destination} cannot be rebuilt: {error}.", older.REMEDY) from error
    except (OSError, sqlite3.Error, MemoryError) as error:
        folder = leftovers.lasting(destination.parent)
        look = causes.remedy(error, folder) or f"look at the folder:  ls -ld {typed(folder)}; df -h {typed(folder)}"
        mend = _owner_changed(error, destination) or look
        elsewhere = otherwise if folder == destination.parent else ""
        raise Problem(f"{destination} {what}: {causes.said_by(error)}.", f"{mend}{elsewhere}") from error


def _owner_changed(error: BaseException, destination: Path) -> str:
    """Return how this user gets what is somebody else's, where that is why he is refused."""
    if not re.search(remedy.CLOSED, causes.said_by(error)):
        return ""
    named = [Path(error.filename)] if isinstance(error, OSError) and error.filename else []
    return owners.shut([*named, *safety_copies.files_of(destination), destination.parent])
