"""Which names a database file has besides ours: SQLite puts the -wal beside the name by which a program opens the file.

Commits that are in another -wal than the one beside our name are in no copy of ours, and two programs with a -wal each do not
see each other's locks. Source: https://sqlite.org/howtocorrupt.html, 2.5; os_unix.c, SHARED_FIRST and UNIX_SHM_DMS.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from lib.sqlite.files import probe_locks

MOUNTS = Path("/proc/self/mountinfo")
OCTAL = re.compile(r"\\([0-7]{3})")
REMEDY = "let SQLITE_DATABASES name the very path that the bot opens, and mount the folder, not the file, into a container"


def told(source: Path) -> list[str]:
    """Return a warning where a source in WAL mode has another name, or is open by one."""
    if is_open(source):
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
    """Whether a program has a file in WAL mode open by another name."""
    if sys.platform != "linux":
        return False
    asked = [sys.executable, "-I", "-S", probe_locks.__file__, str(source.resolve())]
    return subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
