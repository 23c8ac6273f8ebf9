"""Room on this machine's disk: it is looked at before anything is written, and what is missing is said as a number."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from lib.base import leftovers
from lib.base.errors import Problem, typed
from lib.base.words import size


def require(folder: Path, needed: int, what: str) -> None:
    """Raise Problem where the folder, which need not be there yet, has no room for the bytes that `what` needs."""
    free = _free(folder)
    if free < needed:
        stays = leftovers.lasting(folder)
        raise Problem(
            f"{what} needs {size(needed)} in {stays}, where {size(free)} are free: {size(needed - free)} are missing.",
            f"free some space:  df -h {typed(stays)}",
        )


def require_together(places: Iterable[tuple[Path, int]], what: str) -> None:
    """The same for several files that are there at once, as pairs of folder and bytes; their folders may share a file system."""
    needed: dict[int, tuple[Path, int]] = {}
    for folder, count in places:
        device = _nearest(folder).stat().st_dev
        first, before = needed.get(device, (folder, 0))
        needed[device] = (first, before + count)
    for folder, count in needed.values():
        require(folder, count, what)


def has_room(folder: Path, needed: int) -> bool:
    """Whether so many bytes are free."""
    return needed <= _free(folder)


def _free(folder: Path) -> int:
    """Return the free bytes; a file system that does not count has room for anything."""
    usage = shutil.disk_usage(_nearest(folder))
    return usage.free if usage.total else sys.maxsize


def _nearest(folder: Path) -> Path:
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
