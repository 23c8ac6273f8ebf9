"""What this machine has of a source without the network: the newest of the previous snapshots."""

import contextlib
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.base import causes, owners
from lib.base.errors import Problem, SourceError, typed
from lib.restoring import beside
from lib.restoring.rebuild import Rebuilt
from lib.sqlite.building import new_file
from lib.sqlite.files import integrity, older, remedy
from lib.sqlite.snapshots import previous
from lib.tables.plan import Source


@dataclass(frozen=True)
class LocalState:
    """The previous snapshot of a source, as it is on this machine; `finished_at` is UTC as text."""

    source: Source
    run: int
    finished_at: str
    rows: int
    journal_mode: str
    path: Path
    hash: str


class Copied(Rebuilt):
    """A copy of a snapshot: only its bytes were compared, with this machine's note, and nothing with a target."""

    @property
    def compared(self) -> str:
        return "byte for byte as in this machine's snapshot; Supabase was not asked"


def newest(paths: dict[int, Path], name: str, saved: list[tuple[int, int]]) -> LocalState:
    """Describe the newest of the previous snapshots for several targets; raise SourceError where none has a note that fits.

    `paths` are keyed by the target's number. `saved` are the targets and runs that this machine has saved, newest first: unlike
    a file's time it knows no clock.
    """
    _refuse_closed(list(paths.values()), name)
    notes = {number: note for number, path in paths.items() if (note := previous.look(path).note)}
    if not notes:
        is_there = any(path.exists() for path in paths.values())
        none = f"the snapshot of {name} on this machine has no note that fits it, and is not relied on."
        what = none if is_there else f"there is no snapshot of {name} on this machine."
        raise SourceError(what, f"see whether Supabase has one:  python3 restore.py --list --database {typed(name)}")
    runs = {number: note["run"] for number, note in notes.items()}
    if len({note["hash"] for note in notes.values()}) == 1:
        number = next(iter(runs))
    else:
        rows = {number: note["rows"] for number, note in notes.items()}
        number = _saved_last(runs, rows, name, saved)
    path, note = paths[number], notes[number]
    taken = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(path.stat().st_mtime))
    return LocalState(Source(name, ""), note["run"], taken, note["rows"], note["journal_mode"], path, note["hash"])


def _refuse_closed(paths: list[Path], name: str) -> None:
    """Raise SourceError where a snapshot may be there, and this user cannot look, or where none can be."""
    folder = paths[0].parent
    if folder.exists() and not folder.is_dir():
        what = f"{folder} is not a folder: no snapshot of {name} is there."
        raise SourceError(what, f"see what it is, and move it away:  ls -ld {typed(folder)}")
    places = [place for path in paths for place in (path.parent, path, previous.note_of(path))]
    if closed := owners.closed(places):
        raise SourceError(
            f"this user cannot read {closed}, where the snapshot of {name} is kept.",
            owners.to_read(closed),
        )


def _saved_last(runs: dict[int, int], rows: dict[int, int], name: str, saved: list[tuple[int, int]]) -> int:
    """Return the target whose snapshot this machine has saved last; `runs` and `rows` are the snapshots', by target."""
    if not set(runs.items()) <= set(saved):
        described = "".join(f"\n  target {number}: run {run}, {rows[number]:,} rows" for number, run in runs.items())
        raise SourceError(
            f"it is not clear which snapshot of {name} is the newest:{described}",
            f"choose one:  python3 restore.py --local --database {typed(name)} --target {next(iter(runs))}",
        )
    return min(runs.items(), key=saved.index)[0]


@contextlib.contextmanager
def all_copied(states: dict[str, LocalState], places: dict[str, Path]) -> Iterator[list[Copied]]:
    """Copy and check the snapshots; the copies are removed at the end, unless they were put in place."""
    beside.require_room({name: state.path.stat().st_size for name, state in states.items()}, places)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_copied(state, places[name])) for name, state in states.items()]


@contextlib.contextmanager
def _copied(state: LocalState, destination: Path) -> Iterator[Copied]:
    with beside.private_path(destination) as path:
        with beside.explained(destination):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            shutil.copyfile(state.path, path)
            if previous.file_hash(path) != state.hash:  # a run may put its snapshot there at any time
                raise Problem(f"{state.path} was replaced in the meantime.", "run it again")
            _refuse_damaged(path, state)
            new_file.set_journal_mode(path, state.journal_mode)
        yield Copied(state.source.name, state.run, state.rows, destination, path, [])


def _refuse_damaged(path: Path, state: LocalState) -> None:
    """Raise Problem where the bot's file was damaged already when it was copied, as may be found after live backups."""
    try:
        integrity.of_file(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, older.TooOld) or not re.search(remedy.DAMAGED, str(error)):
            raise
        name, sound = state.source.name, previous.last_sound(previous.read(state.path))
        last = f" It was found sound last by {sound.said}." if sound else ""
        flags = f" {sound.flags}" if sound else ""
        raise Problem(
            f"this machine's snapshot of {name} is damaged: {causes.said_by(error)}.{last}",
            f"restore it from Supabase:  python3 restore.py --database {typed(name)}{flags}",
        ) from error
