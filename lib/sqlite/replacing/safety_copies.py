"""The safety copies of a database: the files that restores have replaced, and which of them the last one did.

Their names carry the time, and a clock can be set back. So a note beside the database says for each file that a restore has put
there which one it replaced. It holds as long as the database still is that very file, which SQLite never exchanges for another.
"""

import contextlib
import glob
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from lib.base import leftovers, private_file
from lib.base.errors import SourceError, typed
from lib.settings.paths import BESIDE

COMPANIONS = ("", *BESIDE)
# What a killed restore leaves behind carries it, and is swept by the next one.
SUFFIX = "restoring"
MARK = ".before-restore-"
STAMP = "%Y-%m-%dT%H-%M-%SZ"


def free_path(destination: Path) -> Path:
    """Return a free name for the file that is replaced: NAME.before-restore-<UTC time>."""
    wanted = destination.with_name(f"{destination.name}{MARK}{_now()}")
    name, count = wanted, 1
    while any(os.path.lexists(f"{name}{companion}") for companion in COMPANIONS):
        count += 1
        name = wanted.with_name(f"{wanted.name}-{count}")
    return name


def of(destination: Path) -> list[Path]:
    """Return the files that restores have replaced here, the newest first, as far as their names tell."""
    marked = destination.parent.glob(f"{glob.escape(destination.name)}{MARK}*")
    copies = [path for path in marked if not path.name.endswith(COMPANIONS[1:]) and not _is_same(path, destination)]
    copies = [path for path in copies if not path.is_dir()]  # Docker makes one where it finds no file to mount
    return sorted(copies, key=_age_of, reverse=True)


def has(destination: Path, file: tuple[int, int]) -> bool:
    """Whether a restore has replaced this file, given its device and inode."""
    return any((about.st_dev, about.st_ino) == file for about in (copy.lstat() for copy in of(destination)))


def files_of(copy: Path) -> list[Path]:
    """Return a safety copy and its journals, as far as they are there."""
    return [Path(f"{copy}{companion}") for companion in COMPANIONS if os.path.lexists(f"{copy}{companion}")]


def named(destination: Path, wanted: str) -> Path | None:
    """Return the safety copy of that name, be it written with its folder or without; None where there is none."""
    return next((copy for copy in of(destination) if copy.name == Path(wanted).name), None)


def replaced_last(destination: Path) -> Path | None:
    """Return the file that the last restore replaced, or None where there is none; raise SourceError where it is not clear."""
    copies, noted = {copy.name: copy for copy in of(destination)}, dict[str, str]()
    with contextlib.suppress(OSError):
        noted = _noted(destination)
    said = noted.get(_identity(destination))
    if said in copies:
        return copies[said]
    if not copies:
        return None
    newest, last = next(iter(copies.values())), _noted_last(noted, copies)
    is_from_the_future = _age_of(newest)[0] > _now().removesuffix("Z")
    if said is not None or last not in (None, newest.name) or (is_from_the_future and len(copies) > 1):
        raise SourceError(
            f"it is not clear which of these files the last restore of {destination} replaced, as when a clock was set back:"
            + "".join(f"\n  {_described(copy)}" for copy in copies.values()),
            f"choose the one to put back:  python3 restore.py --undo {typed(newest.name)}",
        )
    return newest


def note(destination: Path, new: Path, safety_copy: Path | None) -> None:
    """Note, before `new` takes the destination's place, the safety copy of the file that it replaces, if there is one."""
    known = {copy.name for copy in of(destination)}
    with contextlib.suppress(OSError):  # then the names must do
        before = _noted(destination)
        noted = {identity: name for identity, name in before.items() if name in known and identity != _identity(new)}
        noted[_identity(new)] = safety_copy.name if safety_copy and safety_copy.is_file() else ""
        private_file.write(_note_of(destination), json.dumps(noted), SUFFIX)
        _give(_note_of(destination), new)


def remove_unfinished(destination: Path) -> None:
    """Remove the second name that a restore had given the file when it was killed before it replaced it."""
    for path in destination.parent.glob(f"{glob.escape(destination.name)}{MARK}*"):
        if _is_same(path, destination):
            path.unlink()


@contextlib.contextmanager
def being_written(safety_copy: Path, original: Path) -> Iterator[Path]:
    """Yield a name for a safety copy that is written, not renamed; it gets its own name when all of it is there."""
    folder = leftovers.make(safety_copy.parent, original.name, SUFFIX)
    path = folder / original.name
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield path
        take_over_owner(path, original)
        os.replace(path, safety_copy)
    finally:
        leftovers.clear(folder)


def copy(file: BinaryIO, original: Path, safety_copy: Path) -> None:
    """Copy a locked file, which may not be opened again, byte for byte."""
    with being_written(safety_copy, original) as path, open(path, "wb") as written:
        file.seek(0)
        shutil.copyfileobj(file, written)
        written.flush()
        os.fsync(written.fileno())


def move(source: Path, destination: Path, companions: Iterable[str] = COMPANIONS) -> None:
    """Rename a database and its journals, as far as they are there, in this order."""
    for companion in companions:
        if os.path.lexists(f"{source}{companion}"):
            os.replace(f"{source}{companion}", f"{destination}{companion}")


def take_over_owner(new: Path, old: Path) -> None:
    """Give a file the mode of the file that it replaces, and its owner where this user may; a new one its folder's owner."""
    if old.is_file():
        shutil.copymode(old, new)
    _give(new, old if old.is_file() else old.parent)


def _give(path: Path, like: Path) -> None:
    """Give a file to the owner of another one, where this user may: root restores, the bot's user may undo it."""
    if os.name == "posix" and os.geteuid() == 0:
        os.chown(path, like.stat().st_uid, like.stat().st_gid)


def _now() -> str:
    return time.strftime(STAMP, time.gmtime())


def made_at(copy: Path) -> str:
    """Return by a safety copy's name when the restore was, as `2026-11-22 12:00:03` in UTC; nothing where it does not tell."""
    stamp = f"{_age_of(copy)[0]}Z"
    with contextlib.suppress(ValueError):
        at = time.strptime(stamp, STAMP)
        return time.strftime("%Y-%m-%d %H:%M:%S", at) if stamp <= _now() else ""
    return ""


def _age_of(copy: Path) -> tuple[str, int]:
    stamp, _, count = copy.name.partition(MARK)[2].partition("Z-")
    return stamp.removesuffix("Z"), int(count) if count.isdecimal() else 1


def _is_same(path: Path, destination: Path) -> bool:
    """Whether both are names of one file: then a restore was killed before it replaced it."""
    return not path.is_symlink() and path.exists() and destination.exists() and path.samefile(destination)


def _described(copy: Path) -> str:
    about = copy.lstat()
    written = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(about.st_mtime))
    return f"{copy.name}  {about.st_size:,} bytes, last written {written} UTC"


def _note_of(destination: Path) -> Path:
    return destination.with_name(f"{destination.name}.before-restore.json")


def _noted(destination: Path) -> dict[str, str]:
    """Return what is noted, the newest last: file → safety copy, nothing for a file that replaced none."""
    try:
        noted = json.loads(private_file.read(_note_of(destination)))
        return {str(identity): str(name) for identity, name in noted.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _noted_last(noted: dict[str, str], copies: dict[str, Path]) -> str | None:
    """Return the copy that was noted last, or what came in its place, where an older version has replaced that in turn."""
    put, replaced = next(reversed(noted.items()), ("", None))
    return next((name for name, copy in copies.items() if _identity(copy) == put), replaced)


def _identity(path: Path) -> str:
    """Return a file's inode: a rename keeps it, and so does all that SQLite does."""
    return str(path.stat().st_ino) if path.exists() else ""
