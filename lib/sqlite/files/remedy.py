"""What to do about a source that cannot be read: "restore it" is said of a damaged file with a backup, and of nothing else."""

import os
import re
import sqlite3
from pathlib import Path
from typing import NamedTuple

from lib.base import causes, owners
from lib.base.errors import SourceError, typed
from lib.settings.paths import BESIDE
from lib.sqlite.files import older, written_beside
from lib.sqlite.files.read_schema import Unsayable

CLOSED, DAMAGED = "unable to open|readonly|Permission denied|not permitted", "malformed|not a database"
MAGIC = b"SQLite format 3\0"
NEWEST_FORMAT = 2


class Lost(SourceError):
    """A source that is damaged or gone: a restore brings it back."""


class LastSound(NamedTuple):
    """The last run whose file was checked and found sound, where later ones are not: what is said of it, and typed."""

    said: str
    flags: str


def source_error(
    source: Path, error: Exception, has_backup: bool, copied_to: Path | None = None, sound: LastSound | None = None
) -> SourceError:
    """Return what is told of an error in reading a source; `has_backup` is whether this machine knows of one."""
    if "not a database" in str(error) and _has_newer_format(source):
        error = older.too_old(source.name, "its file format is newer")
    told = _remedy(source, error, has_backup) or _of_surroundings(source, error, copied_to or source.parent)
    what, is_lost = f"{source.name}: {causes.said_by(error)}.", told == restore(source, has_backup)
    if is_lost and sound:
        what, told = (
            f"{what} It was found sound last by {sound.said}; nobody has checked what came later.",
            f"{told} {sound.flags}",
        )
    return (Lost if is_lost else SourceError)(what, told)


def restore(source: Path, has_backup: bool) -> str:
    """Return the remedy for a file that is damaged or gone."""
    if has_backup:
        return f"restore it with  python3 restore.py --database {typed(source.stem)}"
    return "no backup of it is known on this machine; see whether Supabase has one:  python3 restore.py --list"


def _remedy(source: Path, error: Exception, has_backup: bool) -> str:
    """Return what to do about the file itself, where something is wrong with it."""
    if isinstance(error, older.TooOld):
        return f"the file is sound; {older.REMEDY}"
    if isinstance(error, Unsayable):
        return "let the program that made it give it another one:  ALTER TABLE … RENAME …"
    if not isinstance(error, sqlite3.Error) or not re.search(DAMAGED, str(error)):
        return ""
    if "not a database" in str(error) and _looks_encrypted(source):
        return "Hybrid backup reads no encrypted databases; if the bot does not encrypt this one, see Disasters in the README"
    return restore(source, has_backup)


def _of_surroundings(source: Path, error: Exception, place: Path) -> str:
    """Return what to do where nothing is known to be wrong with the file itself."""
    said = causes.said_by(error)
    its = [source.parent, source, *(Path(f"{source}{suffix}") for suffix in BESIDE)]
    if re.search(CLOSED, said) and (closed := owners.closed(its)) and (given := owners.remedy(closed, "")):
        return given
    if re.search(CLOSED, said) and (lacking := written_beside.lacking(source)):
        return lacking
    if not os.access(source, os.R_OK):
        return f"let this user read it:  ls -l {typed(source)}"
    at = source.parent if re.search(CLOSED, said) and not isinstance(error, OSError) else place
    return (
        causes.remedy(error, at) or f"see whether the bot itself can read it:  sqlite3 {typed(source)} 'PRAGMA integrity_check'"
    )


def _has_newer_format(source: Path) -> bool:
    start = _start(source)
    return start.startswith(MAGIC) and max(start[18:20], default=0) > NEWEST_FORMAT


def _looks_encrypted(source: Path) -> bool:
    """Whether the file begins neither with text, as a text file or a damaged header does, nor with zeros, as a lost page does."""
    start = _start(source)[:16].rstrip(b"\0")
    return any(byte < 9 or byte > 126 for byte in start)


def _start(source: Path) -> bytes:
    try:
        with open(source, "rb") as file:
            return file.read(20)
    except OSError:
        return b""
