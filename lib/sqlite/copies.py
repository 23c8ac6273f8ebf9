"""Copy a source: consistent, and without the bot noticing.

The copy is made with SQLite's backup API in one step. A stepwise copy starts again at every foreign write and may never
end; a long read of the live file would block the bot's commits in rollback-journal mode.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from lib import leftovers, stopping
from lib.errors import Problem, SourceError
from lib.sqlite import previous, written_beside
from lib.sqlite.check import Checking
from lib.sqlite.previous import Previous

SUFFIX = "taking"
COPY_SECONDS = 60


@dataclass(frozen=True)
class Copy:
    """A copy of a source; `hash` is the SHA-256 of the file.

    `previous` is the last run's snapshot as it was when this copy was begun. `checking` is what SQLite does since the copy was
    made, nothing where the very same bytes have been checked as thoroughly before.
    """

    source: Path
    path: Path
    journal_mode: str
    hash: str
    previous: Previous
    check: str
    checking: Checking | None

    def finish_check(self) -> None:
        """Wait until SQLite has checked the copy; raise SourceError where it is damaged."""
        if self.checking:
            with explained(self.source):
                self.checking.finish()

    def remove(self) -> None:
        """Remove the file, unless it was moved away, and the folder that it was made in."""
        if self.checking:
            self.checking.close()
        leftovers.clear(self.path.parent)


def copy(source: Path, folder: Path, check: str, kept: Path | None = None) -> Copy:
    """Copy `source` into `folder`, where whoever asked removes it; raise SourceError for a file that cannot be backed up."""
    with explained(source):
        _refuse_unusable(source)
    _make_private_folder(folder)
    path = leftovers.make(folder, source.name, SUFFIX) / source.name
    with contextlib.ExitStack() as undo:
        undo.callback(leftovers.clear, path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        seen = previous.identity(kept)
        with explained(source), futures.ThreadPoolExecutor(1) as meanwhile:
            looking = meanwhile.submit(previous.look, kept, seen)
            journal_mode = _copy(source, path)
            checking = Checking(path, check)
            undo.callback(checking.close)
            file_hash, last = previous.file_hash(path), looking.result()
        if last.hash == file_hash and last.note["check"] in (check, "full"):
            checking.close()
            checking = None
        undo.pop_all()
        return Copy(source, path, journal_mode, file_hash, last, check, checking)


class Ahead:
    """Copies that are made in a thread, one by one: while one is backed up, the next is made."""

    def __init__(self, copies: dict[str, Callable[[], Copy]]):
        self._copies, self._begun = copies, {}
        self._thread = futures.ThreadPoolExecutor(1)
        for name in list(copies)[:2]:
            self._begin(name)

    def copy_of(self, name: str) -> Copy:
        """Return a copy that nobody has had, and begin with the one behind it; whoever asks removes it."""
        self._begin(name)
        names = list(self._copies)
        for following in names[names.index(name) + 1 :][:1]:
            self._begin(following)
        return self._begun.pop(name).result()

    def _begin(self, name: str) -> None:
        if name not in self._begun:
            self._begun[name] = self._thread.submit(self._copies[name])
            self._thread.submit(_write_through, self._begun[name])

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        for copy in self._begun.values():
            if not copy.cancelled() and not copy.exception():
                copy.result().remove()


def _write_through(copying: futures.Future) -> None:
    """Bring a copy that will be kept to the disk meanwhile: at the end of the run it would be waited for."""
    copy = copying.result()
    if copy.hash != copy.previous.hash:
        with contextlib.suppress(OSError), open(copy.path, "r+b") as file:  # the next run notices what was lost
            os.fsync(file.fileno())


def _refuse_unusable(source: Path) -> None:
    """Look before SQLite does: it would create a missing file, and takes an empty one for an empty database."""
    if not source.exists():
        raise SourceError(
            f"{source} does not exist.", "correct SQLITE_DATABASES in .env, or restore the file: " + _restore(source)
        )
    if not source.is_file():
        raise SourceError(f"{source} is not a file.", "correct SQLITE_DATABASES in .env")
    if source.stat().st_size == 0:
        raise SourceError(f"{source.name} is empty (0 bytes).", "restore it with  " + _restore(source))


def _copy(source: Path, path: Path) -> str:
    """Copy the source in one step and return its journal mode."""
    deadline = time.monotonic() + COPY_SECONDS

    def give_up(_status: int, _remaining: int, _total: int) -> None:
        stopping.check()
        if time.monotonic() > deadline:
            raise SourceError(
                f"{source.name} was locked for more than {COPY_SECONDS} seconds.",
                "see which program keeps a transaction open",
            )

    with contextlib.closing(_open_live(source)) as live, contextlib.closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        live.backup(copy, pages=-1, progress=give_up, sleep=0.05)
        journal_mode = live.execute("PRAGMA journal_mode").fetchone()[0]
        # A copy in WAL mode could not be read without writing beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
    return journal_mode


def _open_live(source: Path) -> sqlite3.Connection:
    """Open the bot's file read only; where a crash has left a journal, let SQLite roll it back, as the bot's next query would."""
    uri = source.absolute().as_uri()
    live = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=0.2)  # a signal waits as long
    try:
        live.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):  # the copy waits for its turn
            return live
        live.close()
        if not Path(f"{source.resolve()}-journal").exists():
            raise
        live = sqlite3.connect(f"{uri}?mode=rw", uri=True, timeout=5)
    return live


@contextlib.contextmanager
def explained(source: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        remedy = _remedy(source, str(error))
        raise SourceError(f"{source.name}: {str(error).rstrip('.')}.", remedy) from error


def _remedy(source: Path, message: str) -> str:
    if any(reason in message for reason in ("unable to open", "readonly", "Permission denied")):
        return written_beside.lacking(source) or f"let this user read it:  ls -l {source}"
    if "full" in message or "No space" in message:
        return f"free some space:  df -h {source.parent}"
    if "locked" in message:
        return "see which program keeps a transaction open"
    return "restore it with  " + _restore(source)


def _restore(source: Path) -> str:
    return f"python3 restore.py --database {source.stem}"


def _make_private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(
            f"the folder {folder} cannot be made: {error.strerror}.", f"let this user write to {folder.parent}"
        ) from error
