"""Which names a database file has besides ours: SQLite puts the -wal beside the name by which a program opens the file.

Commits that are in another -wal than the one beside our name are in no copy of ours, and two programs with a -wal each do not
see each other's locks. Source: https://sqlite.org/howtocorrupt.html, 2.5; os_unix.c, SHARED_FIRST and UNIX_SHM_DMS.
"""

import os
import re
from pathlib import Path

from lib.sqlite.files import lock

MOUNTS = Path("/proc/self/mountinfo")
OCTAL = re.compile(r"\\([0-7]{3})")
# Whoever has a file in WAL mode open keeps a lock on these bytes of it, and one on this byte of the -shm beside its name.
SHARED_BYTES, IN_USE_BYTE = (lock.PENDING_BYTE + 2, lock.PENDING_BYTE + 511), (128, 128)
# Every lock on this machine: its file as device and inode, its first and its last byte. Source: proc_locks(5).
LOCKS = Path("/proc/locks")
REMEDY = "let SQLITE_DATABASES name the very path that the bot opens, and mount the folder, not the file, into a container"


def told(source: Path, *, is_open: bool) -> list[str]:
    """Return a warning where a source in WAL mode has another name, or `is_open` by one for certain."""
    if is_open:
        why = "a program has the file open by another name"
    elif is_mounted(source.resolve()):
        why = "the file itself is a mount"
    elif has_links(source):
        why = "the file has a second name (a hard link)"
    else:
        return []
    unseen = f"what is committed by another name than {source} may be in a -wal that no backup sees"
    return [f"{source.name}: {why}, and {unseen}: {REMEDY}."]


def has_links(path: Path) -> bool:
    """Whether the file has a second name in some folder; one that is not there has none."""
    return path.exists() and path.stat().st_nlink > 1


def is_mounted(path: Path) -> bool:
    """Whether the file itself is a mount; source: proc(5), the fifth field of mountinfo."""
    try:
        lines = os.fsdecode(MOUNTS.read_bytes().rstrip()).split("\n")
    except OSError:  # not Linux
        return os.path.ismount(path)
    return str(path) in [OCTAL.sub(lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in lines]


def is_open(source: Path) -> bool:
    """Whether a program has a file in WAL mode open by another name; as it opens it by ours, it may look so for an instant.

    The kernel is asked, not the file: to open and close that would lose this process's locks on it.
    """
    try:
        held = [line.split()[-3:] for line in LOCKS.read_text().splitlines()]
        return _is_locked(source, *SHARED_BYTES, held) and not _is_locked(f"{source.resolve()}-shm", *IN_USE_BYTE, held)
    except (OSError, ValueError):  # not Linux, or not there
        return False


def _is_locked(path: Path | str, first: int, last: int, held: list[list[str]]) -> bool:
    """Whether any process has a lock on these bytes; on what is not there, nobody has."""
    try:
        about = os.stat(path)
    except FileNotFoundError:
        return False
    name = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    return any(its == name and int(start) <= last and (end == "EOF" or int(end) >= first) for its, start, end in held)
