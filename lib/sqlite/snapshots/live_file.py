"""Copy the bot's file as it is at one moment, and hold its lock for as short a time as can be.

In rollback-journal mode the bot's commits wait for whoever reads. So the file is first copied without a lock, however long a cold
disk or a busy machine takes. Under the lock that copy is good where nobody has written meanwhile; else the bytes, which are in
memory now, are copied over it once more. In WAL mode nobody waits for a reader, and SQLite itself makes the copy.

This process loses its locks on a file when it closes any descriptor of it: ours is opened before SQLite's and closed after.
"""

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lib.base import progress, stopping
from lib.base.errors import HeldUp, SourceError
from lib.settings import limits
from lib.sqlite.files.opening import uri
from lib.sqlite.files.written_beside import is_in_wal_mode

TURN_PAUSE = 0.005
# So long a wait is said, once.
TOLD_SECONDS = 5
# The lock is given back after so long, and all is tried again: Python's sqlite3 waits for it for five seconds, then it fails.
HELD_SECONDS = (0.5, 1, 2, 3)
PIECE_BYTES = 1 << 20
# A file that was written longer ago than this has been written since if its time is another one. Where times are whole seconds,
# that proves nothing: clocks may be apart.
COARSE_SECONDS, WHOLE_SECOND = 2, 10**9
# Times of the last write and of the last change in nanoseconds, bytes, and what SQLite counts in the header.
State = tuple[int, int, int, bytes]
# Of the header what changes with every commit, see https://sqlite.org/fileformat2.html.
COUNTERS = slice(24, 40)
HEADER_BYTES = 100


def copy(source: Path, path: Path) -> str:
    """Copy the source over the file `path`, and return its journal mode: `wal`, or `delete` for all others."""
    for seconds in HELD_SECONDS:
        with open(source, "rb", buffering=0) as file, open(path, "r+b", buffering=0) as place:
            with _read_locked(source) as live:
                if is_in_wal_mode(_header(file)):
                    _copy_through_sqlite(live, path)
                    return "wal"
                before, began = _state(file), time.time()
            _copy_bytes(file, place)
            with _read_locked(source):
                if _is_still(source, file) and (_is_untouched(file, before, began) or _copy_locked(file, place, seconds)):
                    return "delete"
    raise SourceError(
        f"{source.name} could not be copied within {HELD_SECONDS[-1]} seconds, for which the bot's commits had to wait.",
        f"let the bot use WAL, where nobody waits:  sqlite3 {source} 'PRAGMA journal_mode = WAL'  or run this without nice, "
        "while the machine is less busy",
    )


@contextlib.contextmanager
def _read_locked(source: Path) -> Iterator[sqlite3.Connection]:
    """Keep everybody from writing to the file, in rollback mode; wait for our turn, but not for ever."""
    began, is_told = time.monotonic(), False
    with _urgent():
        while not (live := _begun(source)):
            stopping.check()
            if not is_told and time.monotonic() > began + TOLD_SECONDS:
                longest = f"{limits.TURN_SECONDS:g} seconds at most"
                progress.say_waiting(f"{source.name} is locked by another program: waiting, {longest}")
                is_told = True
            if time.monotonic() > began + limits.TURN_SECONDS:
                raise HeldUp(
                    f"{source.name} was locked for more than {limits.TURN_SECONDS:g} seconds.",
                    "see which program keeps a transaction open",
                )
            time.sleep(TURN_PAUSE)
        with contextlib.closing(live):
            yield live


def _begun(source: Path) -> sqlite3.Connection | None:
    """Begin to read; nothing while it is not our turn. Where a crash has left a journal, SQLite rolls it back, as for the bot."""
    for mode in ("ro", "rw"):
        live = open_live(source, mode)
        try:
            live.execute("BEGIN")
            live.execute("PRAGMA schema_version").fetchone()  # it reads the header, and no schema
            return live
        except sqlite3.OperationalError as error:
            live.close()
            if "locked" in str(error):
                return None
            if mode == "rw" or not Path(f"{source.resolve()}-journal").exists():
                raise
        except BaseException:
            live.close()
            raise
    return None


def open_live(source: Path, mode: str) -> sqlite3.Connection:
    """Open the bot's file as SQLite's `ro` or `rw`, and wait for nobody."""
    return sqlite3.connect(uri(source, mode), uri=True, timeout=0, isolation_level=None)


def _header(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEADER_BYTES)


def _copy_through_sqlite(live: sqlite3.Connection, path: Path) -> None:
    """Copy with SQLite's backup API, in one step; what the schema says is looked at in the copy, not here."""
    os.truncate(path, 0)  # of an earlier try
    with contextlib.closing(sqlite3.connect(path)) as made:
        for connection in (live, made):
            connection.execute("PRAGMA writable_schema = ON")
        made.execute("PRAGMA synchronous = OFF")
        live.backup(made, pages=-1)
        # A copy in WAL mode could not be read without writing beside it.
        made.execute("PRAGMA journal_mode = DELETE")


def _state(file: BinaryIO) -> State:
    """Return what is another one after any write; a transaction that was rolled back has written, too."""
    stat = os.fstat(file.fileno())
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, _header(file)[COUNTERS]


def _is_untouched(file: BinaryIO, before: State, began: float) -> bool:
    """Whether nobody has written since the copy began: a transaction that was rolled back leaves the header as it was."""
    written = before[0]
    return _state(file) == before and written % WHOLE_SECOND > 0 and began - written / WHOLE_SECOND > COARSE_SECONDS


def _is_still(source: Path, file: BinaryIO) -> bool:
    """Whether what we have opened is what SQLite has: another file may take its place, or WAL mode be switched on."""
    return os.path.samestat(os.fstat(file.fileno()), source.stat()) and not is_in_wal_mode(_header(file))


def _copy_locked(file: BinaryIO, place: BinaryIO, seconds: float) -> bool:
    """Copy what nobody can write now; where somebody has, the lock is none: some file systems have only the looks of it."""
    before = _state(file)
    return _copy_bytes(file, place, seconds) and _state(file) == before


def _copy_bytes(file: BinaryIO, place: BinaryIO, seconds: float = float("inf")) -> bool:
    """Copy all bytes; return whether that was done in so many seconds."""
    deadline, done, size = time.monotonic() + seconds, 0, os.fstat(file.fileno()).st_size
    file.seek(0)
    place.seek(0)
    while done < size:
        stopping.check()
        if time.monotonic() > deadline:
            return False
        copied = _copy_piece(file, place, done, min(size - done, PIECE_BYTES))
        if not copied:
            break
        done += copied
    place.truncate(done)
    return True


def _copy_piece(file: BinaryIO, place: BinaryIO, offset: int, size: int) -> int:
    """Let the system copy where it can: no other thread of ours is waited for meanwhile."""
    try:
        return os.sendfile(place.fileno(), file.fileno(), offset, size)
    except (AttributeError, OSError):  # not everywhere, nor on every file system
        file.seek(offset)
        return place.write(file.read(min(size, 1 << 20)))


@contextlib.contextmanager
def _urgent() -> Iterator[None]:
    """Undo `nice` for this thread, where the system lets this user: the bot waits for it."""
    if sys.platform != "linux":
        yield
        return
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(niceness, 0))
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
