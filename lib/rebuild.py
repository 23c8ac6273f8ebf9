"""Rebuild a SQLite file from a target, beside its destination, and check it before anything is replaced."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib import leftovers
from lib.cli import Console
from lib.errors import Problem
from lib.plan import TablePlan
from lib.postgres import saved
from lib.postgres.connection import Target
from lib.postgres.saved import SavedState
from lib.sqlite import lines, snapshot, swap, untyped, writer
from lib.sqlite.names import quoted


@dataclass
class Rebuilt:
    """A file that was built and checked; `missing` names the collations and functions that only the bot knows."""

    path: Path
    missing: list[str]


@contextlib.contextmanager
def rebuilt(target: Target, state: SavedState, destination: Path) -> Iterator[Rebuilt]:
    """Build and check a file beside `destination`; whatever is not moved away by the caller is removed."""
    destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    leftovers.remove_abandoned(destination.parent, swap.SUFFIX)
    path = destination.with_name(leftovers.owned_name(destination.name, swap.SUFFIX))
    found = Rebuilt(path, [])
    try:
        with _explained(destination), writer.building(path, state.definition, found.missing) as connection:
            for table in sorted(state.tables, key=lambda table: table.is_internal):
                _fill_and_compare(target, state, table, connection)
        with _explained(destination):
            _check(path)
            writer.set_journal_mode(path, state.definition)
        yield found
    finally:
        for companion in swap.COMPANIONS:
            path.with_name(path.name + companion).unlink(missing_ok=True)


@contextlib.contextmanager
def all_rebuilt(
    target: Target, states: dict[str, SavedState], places: dict[str, Path], console: Console
) -> Iterator[dict[str, Rebuilt]]:
    """Build and check the files of all sources; they are removed at the end, unless they were put in place."""
    with contextlib.ExitStack() as stack:
        files = {}
        for name, state in states.items():
            console.note(f"rebuilding {name} …")
            files[name] = stack.enter_context(rebuilt(target, state, places[name]))
        yield files


def put_in_place(built: Rebuilt, destination: Path) -> Path | None:
    """Swap the rebuilt file in, and return where the old one is kept."""
    with _explained(destination):
        return swap.into_place(built.path, destination)


def _fill_and_compare(target: Target, state: SavedState, table: TablePlan, connection: sqlite3.Connection) -> None:
    """Fill a table, and compare every row with what the run recorded."""
    if _filled_alike(target, state, table, connection):
        return
    connection.execute(f"DELETE FROM {quoted(table.name)}")
    with untyped.declared(connection, table.name):
        _fill(target, state, table, connection)
    if _differs(connection, table, state):
        raise Problem(
            f"{state.source.name}.{table.printable}: the rebuilt table differs from what run {state.run} saved "
            f"({state.digests[table.label].rows} rows expected).",
            "python3 backup.py --verify  shows whether somebody changed the mirror by hand",
        )


def _filled_alike(target: Target, state: SavedState, table: TablePlan, connection: sqlite3.Connection) -> bool:
    """Whether the rows went in unchanged; the table's declaration may convert or refuse what contradicts it."""
    try:
        _fill(target, state, table, connection)
    except sqlite3.IntegrityError:
        return False
    return not _differs(connection, table, state)


def _differs(connection: sqlite3.Connection, table: TablePlan, state: SavedState) -> bool:
    return lines.digest(connection, table) != state.digests[table.label]


def _fill(target: Target, state: SavedState, table: TablePlan, connection: sqlite3.Connection) -> None:
    if table.is_internal:
        writer.clear_internal(connection, table)
    if table.mirror:
        rows = writer.MirrorRows(connection, table)
        saved.read_rows(target, state, table, rows, writer.OldRows(connection, table))
        rows.flush()
    misfits = writer.MisfitRows(connection, table)
    saved.read_misfits(target, state, table, misfits, writer.OldMisfitRows(misfits))


def _check(path: Path) -> None:
    with contextlib.closing(snapshot.open_read_only(path)) as connection:
        snapshot.check_file(connection, "full")


@contextlib.contextmanager
def _explained(destination: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        remedy = f"look at the folder:  ls -ld {destination.parent}; df -h {destination.parent}"
        raise Problem(f"{destination} cannot be rebuilt: {error}.", remedy) from error
