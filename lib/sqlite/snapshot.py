"""Take a snapshot: a consistent copy of a source that the bot does not notice.

The copy is made with SQLite's backup API in one step. A stepwise copy starts again at every foreign write and may never
end; a long read of the live file would block the bot's commits in rollback-journal mode.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from lib import leftovers, private_file
from lib.errors import Problem, SourceError
from lib.sqlite import check as checks
from lib.sqlite import previous
from lib.sqlite import schema as schemas
from lib.sqlite.reading import open_read_only

SUFFIX = "taking"
COPY_SECONDS = 60
SOUND: futures.Future = futures.Future()
SOUND.set_result(None)


@dataclass
class Snapshot:
    """A copy of a source, open read only; `hash` is the SHA-256 of the file, `check` what SQLite checks of it.

    `previous_hash` is empty where there is no previous snapshot, or where it is not as it was kept.
    """

    source: Path
    path: Path
    connection: sqlite3.Connection
    schema: schemas.Schema
    journal_mode: str
    hash: str
    check: str
    checked: futures.Future
    previous: Path | None
    previous_hash: str

    def finish_check(self) -> None:
        """Wait until SQLite has checked the copy; raise SourceError where it is damaged."""
        with _explained(self.source):
            self.checked.result()

    def keep_as(self, place: Path, **about: object) -> list[str]:
        """Make this copy the previous snapshot, in one step; what is told about it stands beside it. Return warnings."""
        self.connection.close()
        told = {"hash": self.hash, "check": self.check, "journal_mode": self.journal_mode, **about}
        try:
            private_file.write(previous.note_of(place), json.dumps(told))
            if self.hash == self.previous_hash:
                os.utime(place)  # the same bytes need not be written again
            else:
                os.replace(self.path, place)
        except OSError as error:  # the run is saved all the same
            return [f"the snapshot cannot be kept as {place}: {error.strerror}. restore.py --local will not have it."]
        return []


@contextlib.contextmanager
def taken(source: Path, folder: Path, check: str) -> Iterator[Snapshot]:
    """Copy `source` into `folder` and check the copy; raise SourceError for a file that cannot be backed up."""
    with being_checked(source, folder, check) as snapshot:
        snapshot.finish_check()
        yield snapshot


@contextlib.contextmanager
def being_checked(source: Path, folder: Path, check: str, kept: Path | None = None) -> Iterator[Snapshot]:
    """Copy `source` into `folder`, and let SQLite check the copy on another core: `finish_check` before you rely on it.

    `kept` is the previous snapshot: the very same bytes need not be checked again.
    The copy is removed at the end, unless `keep_as` has moved it.
    """
    _refuse_unusable(source)
    _make_private_folder(folder)
    leftovers.remove_abandoned(folder, SUFFIX)
    path = folder / leftovers.owned_name(source.name, SUFFIX)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.ExitStack() as stack:
        stack.callback(path.unlink, missing_ok=True)
        with _explained(source):
            with futures.ThreadPoolExecutor(1) as meanwhile:
                about = meanwhile.submit(previous.about, kept)
                journal_mode = _copy(source, path)
                checking = stack.enter_context(contextlib.ExitStack())
                checked = checking.enter_context(checks.beside(path, check))
                found = previous.file_hash(path)
            known = about.result()
            if _is_sound(known, found, check):
                checking.close()
                checked = SOUND
            connection = stack.enter_context(contextlib.closing(open_read_only(path)))
            schema = _read_schema(connection, checked)
        snapshot = Snapshot(source, path, connection, schema, journal_mode, found, check, checked, kept, known.get("hash", ""))
        try:
            yield snapshot
        except sqlite3.DatabaseError:
            snapshot.finish_check()  # the check knows better what is wrong
            raise


def _is_sound(known: dict, hash_: str, check: str) -> bool:
    """Whether the very same bytes have been checked as thoroughly before."""
    return known.get("hash") == hash_ and known.get("check") in (check, "full")


def _read_schema(connection: sqlite3.Connection, checked: futures.Future) -> schemas.Schema:
    try:
        return schemas.read(connection)
    except sqlite3.DatabaseError:
        checked.result()
        raise


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
    live = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=1)
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
def _explained(source: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        remedy = _remedy(source, str(error))
        raise SourceError(f"{source.name}: {str(error).rstrip('.')}.", remedy) from error


def _remedy(source: Path, message: str) -> str:
    if "unable to open" in message or "readonly" in message:
        return f"let this user read it:  ls -l {source}"
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
