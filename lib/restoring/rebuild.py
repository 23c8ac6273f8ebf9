"""Rebuild a SQLite file from a target, beside its destination, and check it before anything is replaced."""

import contextlib
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.base import disk, leftovers, progress
from lib.base.errors import Problem
from lib.base.script import Console
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring.local_state import LocalState
from lib.settings.config import Settings
from lib.sqlite.building import new_file, replace_table, untyped_table
from lib.sqlite.compare import count_differences, identical
from lib.sqlite.files import integrity, older
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_read_only
from lib.sqlite.lines import read_lines
from lib.sqlite.replacing import safety_copies, swap
from lib.sqlite.snapshots import previous, snapshot
from lib.tables.digest import Digest
from lib.tables.plan import TablePlan

# What reading a row raises that no run has written.
UNREADABLE = (ValueError, KeyError, IndexError, TypeError, OverflowError, struct.error)


@dataclass
class Rebuilt:
    """A file that was built and checked; `missing` names the collations and functions that only the bot knows.

    Where it is the present database with one table put back, `brought` says what that was, `present` which file, and its hash.
    """

    path: Path
    missing: list[str]
    brought: replace_table.Brought | None = None
    present: tuple[Path, str] | None = None


@contextlib.contextmanager
def rebuilt(target: Target, state: SavedState, destination: Path, kept: Path | None = None) -> Iterator[Rebuilt]:
    """Build and check a file beside `destination`; whatever is not moved away by the caller is removed.

    `kept` is the previous snapshot: where the run that is rebuilt has left it, the file is compared with it.
    """
    with _beside(destination) as path:
        with _explained(destination):
            found = _built(target, state, path, kept)
        yield found


def _built(target: Target, state: SavedState, path: Path, kept: Path | None) -> Rebuilt:
    """Build the file; where rows contradict their declaration, build it again, and fill those tables without it."""
    found = Rebuilt(path, [])
    _build(target, state, found, set())
    if contradicted := _differing(path, state, kept):
        path.unlink()
        _build(target, state, found, contradicted)
        if different := _differing(path, state, kept):
            raise Problem(
                f"{state.source.name}.{min(different)}: the rebuilt table differs from what run {state.run} saved"
                f"{saved_state.why_different(state, min(different))}.",
                "python3 backup.py --verify  shows whether somebody changed the mirror by hand",
            )
    new_file.set_journal_mode(path, state.definition)
    return found


@contextlib.contextmanager
def all_rebuilt(
    target: Target, states: dict[str, SavedState], places: dict[str, Path], settings: Settings, console: Console
) -> Iterator[dict[str, Rebuilt]]:
    """Build and check the files of all sources; they are removed at the end, unless they were put in place."""
    _require_room({name: state.bytes for name, state in states.items()}, places)
    with contextlib.ExitStack() as stack:
        files = {}
        for name, state in states.items():
            console.note(f"rebuilding {name} …")
            kept = settings.snapshot_of(name, target.settings.number)
            files[name] = stack.enter_context(rebuilt(target, state, places[name], kept))
        yield files


def put_in_place(built: Rebuilt, destination: Path) -> Path | None:
    """Swap the rebuilt file in, and return where the old one is kept."""
    with _explained(destination):
        if built.present:
            _refuse_written(*built.present, destination)
        safety_copies.take_over_owner(built.path, destination)
        return swap.into_place(built.path, destination)


def _refuse_written(present: Path, file_hash: str, destination: Path) -> None:
    """Refuse to swap away what a bot has written since; one that is idle in rollback mode holds no lock."""
    if destination.exists() and destination.samefile(present):
        with snapshot.unchanged(present, destination.parent, file_hash):
            pass


def put_back(copy: Path, destination: Path) -> Path | None:
    """Exchange a database for a safety copy, which keeps its own mode, and return where what was there is kept."""
    with _explained(destination):
        return swap.into_place(copy, destination)


@contextlib.contextmanager
def all_copied(states: dict[str, LocalState], places: dict[str, Path]) -> Iterator[dict[str, Rebuilt]]:
    """Copy and check the snapshots; the copies are removed at the end, unless they were put in place."""
    _require_room({name: state.path.stat().st_size for name, state in states.items()}, places)
    with contextlib.ExitStack() as stack:
        files = {}
        for name, state in states.items():
            path = stack.enter_context(_beside(places[name]))
            with _explained(places[name]):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                shutil.copyfile(state.path, path)
                _refuse_other_file(path, state)
                integrity.of_file(path)
                new_file.set_journal_mode(path, {"pragmas": {"journal_mode": state.journal_mode}})
            files[name] = Rebuilt(path, [])
        yield files


def _require_room(sizes: dict[str, int], places: dict[str, Path]) -> None:
    disk.require_together(((places[name].parent, count) for name, count in sizes.items()), "the restore")


def _refuse_other_file(copy: Path, state: LocalState) -> None:
    """Raise Problem where what was copied is not what was described: a run may put its snapshot there at any time."""
    if previous.file_hash(copy) != state.hash:
        raise Problem(f"{state.path} was replaced in the meantime.", "run it again")


@contextlib.contextmanager
def _beside(destination: Path) -> Iterator[Path]:
    """Return a path in a private folder beside the destination; whatever is there at the end is removed."""
    with _explained(destination):
        destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = leftovers.make(destination.parent, destination.name, safety_copies.SUFFIX)
    try:
        yield folder / destination.name
    finally:
        leftovers.clear(folder)


def differences(built: Rebuilt, present: Path) -> list[count_differences.Difference]:
    """Compare a rebuilt file with the present database, through a snapshot that the bot does not notice."""
    if not present.exists():
        return count_differences.between(None, built.path)
    with snapshot.taken(present, built.path.parent, "quick") as now:
        return count_differences.between(now.copy.path, built.path)


def with_table(files: dict[str, Rebuilt], present: dict[str, Path], table: str) -> dict[str, Rebuilt]:
    """Return the present database with one table's rows taken from the rebuilt file, in the rebuilt file's place.

    No more than two copies of it are there at once.
    """
    for name, built in files.items():
        with _beside(built.path) as path:
            with snapshot.taken(present[name], built.path.parent, "full") as now:
                now.connection.close()
                os.replace(now.copy.path, path)
            built.present = (present[name], now.copy.hash)
            built.brought = replace_table.put_back(path, built.path, table, built.missing)
            path.replace(built.path)
        with snapshot.unchanged(present[name], built.path.parent, now.copy.hash) as before:
            replace_table.refuse_others_changed(before.copy.path, built.path, table)
        integrity.of_file(built.path)
        new_file.set_journal_mode(built.path, {"pragmas": {"journal_mode": now.copy.journal_mode}})
    return files


def _build(target: Target, state: SavedState, found: Rebuilt, contradicted: set[str]) -> None:
    with new_file.building(found.path, state.definition, found.missing) as connection:
        for table in sorted(state.tables, key=lambda table: table.is_internal):
            is_computed = untyped_table.is_needed(connection, table.name, [column.name for column in table.columns])
            if is_computed or table.label in contradicted or not _filled(target, state, table, connection):
                with untyped_table.declared(connection, table.name), contextlib.suppress(*UNREADABLE):
                    _fill(target, state, table, connection)


def _filled(target: Target, state: SavedState, table: TablePlan, connection: sqlite3.Connection) -> bool:
    """Fill a table, or leave it empty where its declaration refuses a row."""
    try:
        _fill(target, state, table, connection)
    except (sqlite3.IntegrityError, *UNREADABLE):
        connection.execute(f"DELETE FROM {quoted(table.name)}")
        return False
    return True


def _differing(path: Path, state: SavedState, kept: Path | None) -> set[str]:
    """Compare every row with what the run saved, while SQLite checks the file; return the tables that differ."""
    with (
        contextlib.closing(integrity.Checking(path, "full")) as checking,
        contextlib.closing(open_read_only(path)) as connection,
    ):
        same = _same_as_snapshot(connection, state, kept)
        others = (table for table in state.tables if table.label not in same)
        found = {table.label for table in others if _digest(connection, table, state) != state.digests[table.label]}
        checking.finish()
    return found


def _same_as_snapshot(connection: sqlite3.Connection, state: SavedState, kept: Path | None) -> set[str]:
    """Return the tables that are as in the run's own snapshot, where this machine has it."""
    found = previous.look(kept)
    if found.hash != state.snapshot_hash:
        return set()
    same = identical.alike_tables(connection, kept, state.tables, state.misfits)
    return same if found.is_untouched else set()


def refuse_difference(built: Path, original: Path, state: SavedState) -> None:
    """Compare a rebuilt file with the one it comes from: rows, schema and foreign keys; raise Problem."""
    if found := identical.first_difference(built, original, state.tables, state.misfits):
        raise Problem(f"{state.source.name} came back changed: {found} differs.", "please report it")


def _digest(connection: sqlite3.Connection, table: TablePlan, state: SavedState) -> Digest:
    if table.mirror and not state.misfits[table.label]:
        return read_lines.digest_without_misfits(connection, table)
    return read_lines.digest(connection, table)


def _fill(target: Target, state: SavedState, table: TablePlan, connection: sqlite3.Connection) -> None:
    if table.is_internal:
        new_file.clear_internal(connection, table)
    if table.mirror:
        rows = new_file.MirrorRows(connection, table)
        with progress.of_rows(table.printable, state.digests[table.label].rows, rows) as shown:
            saved_state.read_rows(target, state, table, shown.take, new_file.OldRows(connection, table).take)
    misfits = new_file.MisfitRows(connection, table)
    saved_state.read_misfits(target, state, table, misfits.take, new_file.OldMisfitRows(misfits).take)


@contextlib.contextmanager
def _explained(destination: Path) -> Iterator[None]:
    try:
        yield
    except older.TooOld as error:
        raise Problem(f"{destination} cannot be rebuilt: {error}.", older.REMEDY) from error
    except (OSError, sqlite3.Error) as error:
        folder = leftovers.lasting(destination.parent)
        remedy = f"look at the folder:  ls -ld {folder}; df -h {folder}  or rebuild elsewhere:  python3 restore.py --to FOLDER"
        raise Problem(f"{destination} cannot be rebuilt: {error}.", remedy) from error
