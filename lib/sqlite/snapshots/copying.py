"""Copy a source, have the copy checked, and know what the last run left of it."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lib.base import disk, leftovers
from lib.base.errors import Problem
from lib.settings.config import UNCHECKED
from lib.sqlite.files import not_there, other_names, remedy, virtual_tables
from lib.sqlite.files.integrity import Checking, give_way
from lib.sqlite.snapshots import live_file, previous
from lib.sqlite.snapshots.previous import Previous

SUFFIX = "taking"
Result = TypeVar("Result")


@dataclass
class Copy:
    """A copy of a source; `hash` is the SHA-256 of the file, `file` the device and the inode of what was copied.

    `previous` is the last run's snapshot as it was when this copy was begun. `checking` is what SQLite does since the copy was
    made, nothing where the very same bytes have been checked as thoroughly before, or the check is left to another run.
    """

    source: Path
    path: Path
    journal_mode: str
    hash: str
    file: tuple[int, int]
    previous: Previous
    check: str
    checking: Checking | None

    @property
    def folder(self) -> Path:
        """Return where the copy was made, and stays not."""
        return leftovers.lasting(self.path.parent)

    @property
    def is_unchecked(self) -> bool:
        """Whether the check is left to the next ordinary run."""
        return self.check == UNCHECKED

    @property
    def warnings(self) -> list[str]:
        """Return what is to be said of the source itself: in which -wal there may be commits that are not in the copy.

        Beside live batches, ordinary runs say it.
        """
        return other_names.told(self.source) if self.journal_mode == "wal" and not self.is_unchecked else []

    def begin_check(self, check: str) -> None:
        """Have the copy checked after all, where that was to be left to another run."""
        if self.is_unchecked:
            self.check, self.checking = check, Checking(self.path, check, virtual_tables.doubts)

    def finish_check(self) -> list[str]:
        """Wait until SQLite has checked the copy; raise SourceError where it is damaged, return what may be wrong with it."""
        if not self.checking:
            return self.previous.note.get("doubts", [])
        with explained(self.source, self.previous.told, self.folder):
            return [f"{self.source.name}: {doubt}" for doubt in self.checking.finish()]

    def remove(self) -> None:
        """Remove the file, unless it was moved away, and the folder that it was made in."""
        if self.checking:
            self.checking.close()
        leftovers.clear(self.path.parent)


def copy(source: Path, folder: Path, check: str, kept: Path | None = None) -> Copy:
    """Copy `source` into `folder`, where whoever asked removes it; raise SourceError for a file that cannot be backed up."""
    told = previous.read(kept) if kept else {}
    with explained(source, told, folder), contextlib.ExitStack() as undo:
        _refuse_unusable(source, told)
        about = source.stat()
        disk.require(folder, size_of(source), f"{source.name}: a copy")
        leftovers.make_private(folder)
        path = leftovers.make(folder, source.name, SUFFIX) / source.name
        undo.callback(leftovers.clear, path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        seen = previous.identity(kept)
        with futures.ThreadPoolExecutor(1, initializer=give_way) as meanwhile:
            looking = meanwhile.submit(previous.look, kept, seen)
            journal_mode = live_file.copy(source, path)
            _refuse_empty(source, path.stat().st_size, told)
            checking = None if check == UNCHECKED else Checking(path, check, virtual_tables.doubts)
            if checking:
                undo.callback(checking.close)
            file_hash, last = previous.file_hash(path), looking.result()
        if checking and last.hash == file_hash and last.note["check"] in (check, "full"):
            checking.close()
            checking = None
        undo.pop_all()
        return Copy(source, path, journal_mode, file_hash, (about.st_dev, about.st_ino), last, check, checking)


def size_of(source: Path) -> int:
    """Return how many bytes a copy may have: what is in the -wal replaces pages or adds some; only SQLite knows which."""
    in_wal = _bytes_of(Path(f"{source.resolve()}-wal"))
    if in_wal:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(live_file.open_live(source, "ro")) as live:
            return int(live.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0])
    return _bytes_of(source) + in_wal


def _bytes_of(path: Path) -> int:
    """Return a file's size; a -wal goes when its bot ends, and of a file out of reach the copy says what is wrong."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Ahead:
    """Copies of sources, made in a thread, one by one: while one is backed up, the next is made, where there is room for both.

    `previous` are the last run's snapshots, by the source's name.
    """

    def __init__(self, sources: dict[str, Path], folder: Path, check: str, previous: dict[str, Path]):
        self._sources, self._folder, self._check, self._previous = sources, folder, check, previous
        self._begun: dict[str, futures.Future[Copy]] = {}
        self._thread = futures.ThreadPoolExecutor(1)
        for name in list(sources)[:1]:
            self._begin_with_next(name)

    def copy_of(self, name: str) -> Copy:
        """Return a copy that nobody has had, and begin with the one behind it; whoever asks removes it."""
        self._begin_with_next(name)
        futures.wait([self._begun[name]])  # a signal that breaks in here leaves it to __exit__
        return self._begun.pop(name).result()

    def forget(self, name: str) -> None:
        """Remove a copy that was begun: the file will be another one."""
        if begun := self._begun.pop(name, None):
            futures.wait([begun])
            _remove(begun)

    def _begin_with_next(self, name: str) -> None:
        self._begin(name)
        names = list(self._sources)
        for following in names[names.index(name) + 1 :][:1]:
            if disk.has_room(self._folder, size_of(self._sources[name]) + size_of(self._sources[following])):
                self._begin(following)

    def _begin(self, name: str) -> None:
        if name not in self._begun:
            about = self._sources[name], self._folder, self._check, self._previous.get(name)
            self._begun[name] = self._thread.submit(copy, *about)
            self._thread.submit(_write_through, self._begun[name])

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        for begun in self._begun.values():
            _remove(begun)


def _remove(begun: futures.Future[Copy]) -> None:
    if not begun.cancelled() and not begun.exception():
        begun.result().remove()


def _write_through(copying: futures.Future[Copy]) -> None:
    """Bring a copy that will be kept to the disk meanwhile: at the end of the run it would be waited for."""
    copy = copying.result()
    if copy.hash != copy.previous.hash:
        with contextlib.suppress(OSError), open(copy.path, "r+b") as file:  # the next run notices what was lost
            os.fsync(file.fileno())


def told_first(source: Path, kept: Path, step: Callable[[], Result]) -> Result:
    """Take a step; where it fails, tell instead that there is no file: that is why, as a rule."""
    try:
        return step()
    except Problem:
        not_there.refuse(source, bool(previous.read(kept)))
        raise


def _refuse_unusable(source: Path, told: dict[str, Any]) -> None:
    """Look before SQLite does: it would create a missing file, and takes an empty one for an empty database."""
    not_there.refuse(source, bool(told))
    _refuse_empty(source, source.stat().st_size, told)


def _refuse_empty(source: Path, size: int, told: Mapping[str, Any]) -> None:
    if size == 0:
        new = "let the bot make its tables first"
        raise remedy.Lost(f"{source.name} is empty (0 bytes).", remedy.restore(source, True) if told else new)


@contextlib.contextmanager
def explained(source: Path, told: dict[str, Any], folder: Path | None = None) -> Iterator[None]:
    """Say what to do about a source that cannot be copied to a folder; where there is a note, a run was saved from here."""
    try:
        yield
    except (sqlite3.Error, OSError, MemoryError) as error:
        raise remedy.source_error(source, error, bool(told), folder, previous.last_sound(told)) from error
