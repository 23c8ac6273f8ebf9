"""Ask, in a process of its own, whether a program has a database in WAL mode open by another name than this: exit status 0.

usage: python3 probe_locks.py DATABASE

Whoever opens a file to ask and closes it again loses his own locks on it: so nobody who uses the file may ask himself. Source:
fcntl(2), F_GETLK; os_unix.c, SHARED_FIRST and UNIX_SHM_DMS.
"""

import contextlib
import os
import struct
import sys
import time

# Whoever has a file in WAL mode open keeps a lock on these bytes of it, and one on this byte of the -shm beside its name.
SHARED_BYTES, IN_USE_BYTE = (0x40000002, 510), (128, 1)
# Linux's struct flock: type, whence, start, length, and the process that has the lock.
FLOCK = "hhqqi"
# A program that opens it by this name, or closes it, looks for an instant as if it had opened it by another.
TIMES, PAUSE_SECONDS = 4, 0.003


def is_open_elsewhere(path: str) -> bool:
    """Whether the file is locked, and the -shm beside this name is not, each time that is looked at."""
    for _ in range(TIMES):
        if not _is_locked(path, *SHARED_BYTES) or _is_locked(f"{path}-shm", *IN_USE_BYTE):
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def _is_locked(path: str, start: int, length: int) -> bool:
    """Whether a process has a lock on these bytes; of what is not there, or out of reach, none has."""
    import fcntl

    with contextlib.suppress(OSError), open(path, "rb") as file:
        asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        return bool(struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)
    return False


if __name__ == "__main__":
    sys.exit(not is_open_elsewhere(sys.argv[1]))
