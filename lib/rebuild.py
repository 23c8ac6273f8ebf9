"""Rebuild a SQLite file from a target, beside its destination, and check it before anything is replaced."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from lib import leftovers
from lib.cli import Console
from lib.errors import Problem
from lib.plan import TablePlan
from lib.postgres import saved
from lib.postgres.connection import Target
from lib.postgres.saved import SavedState
from lib.sqlite import lines, snapshot, swap, writer


@contextlib.contextmanager
def rebuilt(target: Target, state: SavedState, destination: Path) -> Iterator[Path]:
    """Build and check a file beside `destination`; whatever is not moved away by the caller is removed."""
    destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    leftovers.remove_abandoned(destination.parent, swap.SUFFIX)
    path = destination.with_name(leftovers.owned_name(destination.name, swap.SUFFIX))
    try:
        with _explained(destination), writer.building(path, state.definition) as connection:
            for table in sorted(state.tables, key=lambda table: table.is_internal):
                _fill(target, state, table, connection)
        with _explained(destination):
            _check(path, state)
            writer.set_journal_mode(path, state.definition)
        yield path
    finally:
        for companion in swap.COMPANIONS:
            path.with_name(path.name + companion).unlink(missing_ok=True)


@contextlib.contextmanager
def all_rebuilt(target: Target, states: dict[str, SavedState], places: dict[str, Path], console: Console) -> Iterator[dict]:
    """Build and check the files of all sources; they are removed at the end, unless they were put in place."""
    with contextlib.ExitStack() as stack:
        files = {}
        for name, state in states.items():
            console.note(f"rebuilding {name} …")
            files[name] = stack.enter_context(rebuilt(target, state, places[name]))
        yield files


def put_in_place(built: Path, destination: Path) -> Path | None:
    """Swap the rebuilt file in, and return where the old one is kept."""
    with _explained(destination):
        return swap.into_place(built, destination)


def _fill(target: Target, state: SavedState, table: TablePlan, connection: sqlite3.Connection) -> None:
    if table.mirror:
        rows = writer.MirrorRows(connection, table)
        writer.insert(connection, rows, lambda file: saved.read_mirror(target, state, table, file))
    misfits = writer.MisfitRows(connection, table)
    writer.insert(connection, misfits, lambda file: saved.read_misfits(target, state, table, file))


def _check(path: Path, state: SavedState) -> None:
    """Compare every row with what the run recorded, and let SQLite check the file."""
    with contextlib.closing(snapshot.open_read_only(path)) as connection:
        snapshot.check_file(connection, "full")
        for table in state.tables:
            held, expected = lines.digest(connection, table), state.digests[table.name]
            if held != expected:
                raise Problem(
                    f"{state.source.name}.{table.name}: the rebuilt table differs from what run {state.run} saved "
                    f"({held.rows} rows, {expected.rows} expected).",
                    "python3 backup.py --verify  shows whether somebody changed the mirror by hand",
                )


@contextlib.contextmanager
def _explained(destination: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise Problem(
            f"{destination} cannot be rebuilt: {error}.", f"look at the folder:  ls -ld {destination.parent}; df -h ."
        ) from error
