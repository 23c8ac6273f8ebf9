"""Rebuild a SQLite file from a target, beside its destination, and check it before anything is replaced."""

import contextlib
import functools
import sqlite3
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.base import progress
from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring import beside
from lib.settings.config import Settings
from lib.sqlite.building import insert_rows, late_keys, new_file, untyped_table
from lib.sqlite.compare import identical
from lib.sqlite.files import integrity
from lib.sqlite.files.opening import open_read_only
from lib.sqlite.lines import read_lines
from lib.sqlite.snapshots import previous as snapshots
from lib.tables.digest import Digest
from lib.tables.plan import TablePlan

# What reading a row raises that no run has written.
UNREADABLE = (ValueError, KeyError, IndexError, TypeError, OverflowError, struct.error)


@dataclass(frozen=True)
class Rebuilt:
    """The file `path`, which was built and checked for its `place`: the `rows` that a run left of a source.

    `missing` names the collations and functions that only the bot knows.
    """

    source: str
    run: int
    rows: int
    place: Path
    path: Path
    missing: list[str]

    @property
    def compared(self) -> str:
        """Say what was compared with what, before the file is put in place."""
        return "every row compared with what it saved"


@contextlib.contextmanager
def all_rebuilt(
    target: Target, states: dict[str, SavedState], places: dict[str, Path], settings: Settings, announce: Callable[[str], None]
) -> Iterator[list[Rebuilt]]:
    """Build and check the files of all sources; they are removed at the end, unless they were put in place.

    Each source's name is announced before it is rebuilt.
    """
    beside.require_room({name: state.bytes for name, state in states.items()}, places)
    with contextlib.ExitStack() as stack:
        files = []
        for name, state in states.items():
            announce(name)
            previous = settings.snapshot_of(name, target.settings.number)
            files.append(stack.enter_context(rebuilt(target, state, places[name], previous)))
        yield files


@contextlib.contextmanager
def rebuilt(target: Target, state: SavedState, destination: Path, previous: Path | None = None) -> Iterator[Rebuilt]:
    """Build and check a file beside `destination`; whatever is not moved away by the caller is removed.

    `previous` is the previous snapshot: where the run that is rebuilt has left it, the file is compared with it.
    """
    with beside.private_path(destination) as path:
        with beside.explained(destination):
            missing = _built(target, state, path, previous)
            new_file.set_journal_mode(path, str(state.definition["pragmas"]["journal_mode"]))
        yield Rebuilt(state.source.name, state.run, state.rows, destination, path, missing)


def refuse_difference(built: Path, original: Path, state: SavedState) -> None:
    """Compare a rebuilt file with the one it comes from: rows, schema and foreign keys; raise Problem."""
    with beside.explained(built):
        different = identical.first_difference(built, original, state.tables, state.misfits)
    if different:
        raise Problem(f"{state.source.name} came back changed: {different} differs.", "please report it")


def _built(target: Target, state: SavedState, path: Path, previous: Path | None) -> list[str]:
    """Build the file; where rows contradict their declaration, build it again, and fill those tables without it."""
    missing = _build(target, state, path, set())
    if contradicted := _differing(path, state, previous):
        path.unlink()
        missing = _build(target, state, path, contradicted)
        if different := _differing(path, state, previous):
            raise Problem(
                f"{state.source.name}.{min(different)}: the rebuilt table differs from what run {state.run} saved"
                f"{saved_state.why_different(state, min(different))}.",
                "python3 backup.py --verify  shows whether somebody changed the mirror by hand",
            )
    return missing


def _build(target: Target, state: SavedState, path: Path, contradicted: set[str]) -> list[str]:
    """Build the file, the tables labelled `contradicted` without their declaration; return what only the bot knows."""
    missing: list[str] = []
    with new_file.building(path, state.definition, missing) as connection:
        for table in sorted(state.tables, key=lambda table: table.is_internal):
            is_computed = untyped_table.is_needed(connection, table.name, [column.name for column in table.columns])
            if is_computed or table.label in contradicted or not _filled(target, state, table, connection):
                with untyped_table.declared(connection, table.name), contextlib.suppress(*UNREADABLE):
                    _fill(target, state, table, connection)
    return missing


def _filled(target: Target, state: SavedState, table: TablePlan, connection: sqlite3.Connection) -> bool:
    """Fill a table, or leave it empty where its declaration refuses a row."""
    try:
        with late_keys.made_last(connection, table.name, state.digests[table.label].rows):
            _fill(target, state, table, connection)
    except (sqlite3.IntegrityError, *UNREADABLE):
        new_file.clear(connection, table.name)
        return False
    return True


def _fill(target: Target, state: SavedState, table: TablePlan, connection: sqlite3.Connection) -> None:
    if table.is_internal:
        new_file.clear(connection, table.name)
    if table.mirror:
        rows, old_rows = insert_rows.MirrorRows(connection, table), functools.partial(insert_rows.old_rows, connection, table)
        with progress.of_rows(table.printable, state.digests[table.label].rows, rows) as shown:
            saved_state.read_rows(target, state, table, shown.take, old_rows)
    misfits = functools.partial(insert_rows.misfits, connection, table)
    saved_state.read_misfits(target, state, table, misfits, functools.partial(insert_rows.old_misfits, connection, table))


def _differing(path: Path, state: SavedState, previous: Path | None) -> set[str]:
    """Compare every row with what the run saved, while SQLite checks the file; return the labels of the tables that differ."""
    with (
        contextlib.closing(integrity.Checking(path, "full")) as checking,
        contextlib.closing(open_read_only(path)) as connection,
    ):
        same = _same_as_snapshot(connection, state, previous)
        others = [table for table in state.tables if table.label not in same]
        different = {table.label for table in others if _digest(connection, table, state) != state.digests[table.label]}
        checking.finish()
    return different


def _same_as_snapshot(connection: sqlite3.Connection, state: SavedState, previous: Path | None) -> set[str]:
    """Return the labels of the tables that are as in the run's own snapshot, where this machine has it."""
    if previous is None:
        return set()
    looked_at = snapshots.look(previous)
    if looked_at.hash != state.snapshot_hash:
        return set()
    same = identical.alike_tables(connection, previous, state.tables, state.misfits)
    return same if looked_at.is_untouched else set()


def _digest(connection: sqlite3.Connection, table: TablePlan, state: SavedState) -> Digest:
    if table.mirror and not state.misfits[table.label]:
        return read_lines.digest_without_misfits(connection, table)
    return read_lines.digest(connection, table)
