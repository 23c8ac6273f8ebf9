"""What stands in the way besides the databases, as the system, Python or SQLite says it: each cause with what to do about it.

None of it says anything against a file: its remedy is never to restore it, and never to report a mistake of ours.
"""

import errno
import os
import re
from pathlib import Path

from lib.base.errors import Problem, typed

FULL = "free some space:  df -h {place}"
SORTS = "free some space, or let SQLITE_TMPDIR name a folder that has some for what SQLite sorts:  df -h {place} {sorting}"
LARGE = "let this user write larger files:  ulimit -f"
MEMORY = "let it have more memory:  free -m; ulimit -v"
FILES = "let it open more files:  ulimit -n"
THREADS = "let it have more threads, and memory for them:  ulimit -u; ulimit -v"
DISK = "see whether the disk is failing, full or limited:  dmesg | tail; df -h {place}; ulimit -f"
READ_ONLY = "let its file system be written to:  findmnt -T {place}"
RIGHTS = "let this user get at it:  ls -ld {place}"
PATH = "see what is there:  ls -la {place}"
BUSY = "see which program uses it:  fuser -v {place}"
UNABLE = "its file system cannot do that, use a local disk:  df -T {place}"
AWAY = "see whether its file system is there, and answers:  df -h {place}"
NETWORK = "look at the network"

_NAMES = {
    FULL: "ENOSPC EDQUOT",
    LARGE: "EFBIG",
    MEMORY: "ENOMEM ENOBUFS",
    FILES: "EMFILE ENFILE",
    THREADS: "EAGAIN EUSERS",
    DISK: "EIO ENXIO ENODEV EREMOTEIO EBADMSG EUCLEAN",
    READ_ONLY: "EROFS",
    RIGHTS: "EACCES EPERM EKEYREJECTED",
    PATH: "ENOENT ENOTDIR EISDIR EEXIST ENOTEMPTY ELOOP ENAMETOOLONG ENOTBLK",
    BUSY: "EBUSY ETXTBSY EDEADLK ENOLCK EMLINK",
    UNABLE: "ENOSYS ENOTSUP EOPNOTSUPP EINVAL EXDEV EOVERFLOW EILSEQ ESPIPE",
    NETWORK: "ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ENETDOWN ENETUNREACH ENETRESET EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT",
}
OF_ERRNO = {getattr(errno, name): remedy for remedy, names in _NAMES.items() for name in names.split() if hasattr(errno, name)}
# In the words of SQLite, of Python and of the dynamic linker.
SAID = {
    "database or disk is full": SORTS,
    "out of memory|Cannot allocate memory|failed to map segment|initialization failed|return without exception set": MEMORY,
    "could not (generate|encode|calculate) ": MEMORY,  # libpq, whose cryptography gets none
    "cannot import name|No module named": "see whether Python and these scripts are whole, and have enough memory:  ulimit -v",
    "Too many open files": FILES,
    "can't start new thread": THREADS,
    "disk I/O error": DISK,
    "unable to open database": "see who may read its folder, and how many files may be open:  ls -la {place}; ulimit -n",
    "readonly database|access permission denied": RIGHTS,
    "is locked|locking protocol": "see which program keeps a transaction open:  fuser -v {place}",
    "large file support is disabled": UNABLE,
    "schema has changed|interrupted|query aborted": "run it again",
    "too big|longer than INT_MAX": "this Python's SQLite cannot read so much at once: let the bot keep less in a row",
    "timed out": NETWORK,
}  # fmt: skip


def remedy(error: BaseException, place: Path | str) -> str:
    """Return what to do about an error, where it has to do with this folder; nothing where it names no cause."""
    if isinstance(error, OSError) and error.errno in errno.errorcode:
        found = OF_ERRNO.get(error.errno, AWAY)
    else:
        found = next((entry for words, entry in SAID.items() if re.search(words, said_by(error))), "")
    return found.format(place=typed(place), sorting=typed(_sorting()))


def _sorting() -> str:
    """Return the folder in which SQLite sorts what is larger than its cache; https://sqlite.org/tempfiles.html."""
    folders = [os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp"]
    return next((folder for folder in folders if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)), ".")


def said_by(error: BaseException) -> str:
    """Return what an error says, without its number and a full stop."""
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error).rstrip(".")


def named(error: BaseException) -> Problem | None:
    """Return what is told of an error that was not caught where it happened, if its cause has a name."""
    if isinstance(error, FileNotFoundError) and not error.filename:  # only a working directory has no name
        return Problem("the folder that this was called in is gone.", "call it in one that is there:  cd /")
    file = str(error.filename or "") if isinstance(error, OSError) else ""
    found = remedy(error, Path(file).parent)
    return Problem(f"{said_by(error)}.", found) if found else None


def of(error: BaseException) -> Problem:
    """Return the same, or what is told of an error that nobody has thought of."""
    unexpected = f"an unexpected {type(error).__name__}: {error}"
    return named(error) or Problem(unexpected, "report it, with the traceback in the log")
