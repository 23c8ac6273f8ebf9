"""What can be looked at of a source without any lock, and is another one after every commit.

Nobody in this process may have the file open in SQLite meanwhile: closing any descriptor of it drops the locks of all.
"""

import os
from pathlib import Path

from lib.sqlite.snapshots.live_file import HEADER_BYTES

# In WAL mode a commit counts once it stands in the head of the -shm, of which there are two copies; what was written to the -wal
# before, and is copied before that, is not in the copy. Source: https://sqlite.org/walformat.html
SHM_HEAD_BYTES = 96
# Device, inode, size, and times of the last write and of the last change, of the file and its -wal; the heads of file and -shm.
State = tuple[tuple[int, ...], tuple[int, ...], bytes, bytes]

# Of the file's head what counts its changes, and what no change of rows touches: see https://sqlite.org/fileformat2.html.
COUNTER, STAYS = slice(24, 28), (slice(0, 24), slice(40, 92))


def state(source: Path) -> State:
    """Return the state of a source; of what is not there, or out of reach, it is empty: whoever copies it says what is wrong."""
    real = os.path.realpath(source) if os.path.islink(source) else str(source)
    head, log = _first_bytes(real, HEADER_BYTES), stat_of(f"{real}-wal")
    # To root's -wal SQLite gives an owner whenever it is opened, also by us: that is another change time, and no commit.
    return stat_of(real), log[:-1], head, _first_bytes(f"{real}-shm", SHM_HEAD_BYTES) if log else b""


def is_same_file(state: State, other: State) -> bool:
    """Whether a state is of the same file as an `other` one before it, as far as can be seen.

    SQLite never exchanges a file for another, and only ever counts its changes up. Another database that was written over this
    one may count more: whoever compares the two sees that.
    """
    head, before = state[2], other[2]
    return state[0][:2] == other[0][:2] and head[COUNTER] >= before[COUNTER] and all(head[part] == before[part] for part in STAYS)


def stat_of(path: Path | str) -> tuple[int, ...]:
    """Return what changes with a file: every write and every rename gives it another change time; of none, nothing."""
    try:
        about = os.stat(path)
    except OSError:
        return ()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _first_bytes(path: str, count: int) -> bytes:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # whoever opens a pipe else waits for ever
    except OSError:
        return b""
    try:
        return os.read(opened, count)
    except OSError:
        return b""
    finally:
        os.close(opened)
