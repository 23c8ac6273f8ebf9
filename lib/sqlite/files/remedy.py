"""What to do about a source that cannot be read: "restore it" is said of a damaged file with a backup, and of nothing else."""

import os
import re
from pathlib import Path

from lib.base.errors import SourceError
from lib.sqlite.files import older, written_beside
from lib.sqlite.files.read_schema import Unsayable

FULL, MEMORY, FAILING = "full|No space|quota", "out of memory|Cannot allocate", "I/O error|Input/output"
CLOSED = "unable to open|readonly|Permission denied"
MAGIC = b"SQLite format 3\0"
NEWEST_FORMAT = 2


def source_error(source: Path, error: Exception, has_backup: bool, copied_to: Path | None = None) -> SourceError:
    """Return what is told of an error in reading a source; `has_backup` is whether this machine knows of one."""
    message = str(error).rstrip(".")
    if "not a database" in message and _has_newer_format(source):
        error = older.too_old(source.name, "its file format is newer")
        message = str(error)
    if re.search(FULL, message):
        return SourceError(f"{source.name}: {message}.", f"free some space:  df -h {copied_to or source.parent}")
    return SourceError(f"{source.name}: {message}.", _remedy(source, error, message, has_backup))


def restore(source: Path, has_backup: bool) -> str:
    """Return the remedy for a file that is damaged or gone."""
    if has_backup:
        return f"restore it with  python3 restore.py --database {source.stem}"
    return "no backup of it is known on this machine; see whether Supabase has one:  python3 restore.py --list"


def _remedy(source: Path, error: Exception, message: str, has_backup: bool) -> str:
    if isinstance(error, older.TooOld):
        return f"the file is sound; {older.REMEDY}"
    if isinstance(error, Unsayable):
        return "let the program that made it give it another one:  ALTER TABLE … RENAME …"
    if "not a database" in message and _looks_encrypted(source):
        return "Hybrid backup reads no encrypted databases; if the bot does not encrypt this one, see Disasters in the README"
    if "malformed" in message or "not a database" in message:
        return restore(source, has_backup)
    return _of_surroundings(source, message)


def _of_surroundings(source: Path, message: str) -> str:
    """Nothing is known to be wrong with the file itself."""
    if re.search(CLOSED, message) and (lacking := written_beside.lacking(source)):
        return lacking
    if re.search(MEMORY, message):
        return "let it have more memory:  free -m"
    if re.search(FAILING, message):
        return "see whether the disk is failing:  dmesg | tail"
    if "locked" in message:
        return "see which program keeps a transaction open"
    if "Too many open files" in message or os.access(source, os.R_OK):
        return f"see who may read its folder, and how many files may be open:  ls -la {source.parent}; ulimit -n"
    return f"let this user read it:  ls -l {source}"


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
