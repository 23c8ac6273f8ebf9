"""One table comes back: the present database with its rows of then, in the place of a rebuilt file."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lib.base import printable
from lib.base.errors import UNTOUCHED, SourceError, typed
from lib.base.words import plural
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring import beside
from lib.restoring.rebuild import Rebuilt
from lib.sqlite.building import new_file, replace_table, some_rows
from lib.sqlite.building.replace_table import ReplacedTable
from lib.sqlite.files import integrity, remedy
from lib.sqlite.snapshots import snapshot
from lib.tables.conditions import Condition, all_hold
from lib.tables.plan import folded
from lib.tables.values import Value


@dataclass(frozen=True)
class Patched(Rebuilt):
    """A copy of the database `present`, which had the hash `present_hash`, with the rows of one `table` put back."""

    table: ReplacedTable
    present: Path
    present_hash: str

    @property
    def compared(self) -> str:
        return "every row compared; the other tables as they were"


class NoSuchTable(SourceError):
    """No source has a table of that name."""


def of_one_source(found: dict[str, SavedState | SourceError], table: str) -> dict[str, SavedState]:
    """Return, of the one source that has the table, the state of that table; raise SourceError where it is not one.

    SQLite knows no case in a table's name, but two databases may write theirs otherwise. A source that could not be read counts
    where no other one has the table.
    """
    states = {name: state for name, state in found.items() if isinstance(state, SavedState)}
    alike = {name: [plan.name for plan in state.tables if folded(plan.name) == folded(table)] for name, state in states.items()}
    having = {name: names[0] for name, names in alike.items() if table in names} or {
        name: names[0] for name, names in alike.items() if names
    }
    for problem in found.values() if not having else ():
        if isinstance(problem, SourceError):
            raise problem
    if len(having) != 1:
        where = f"{plural(len(having), 'database')} with a table {table}"
        if not having:
            raise NoSuchTable(f"there are {where}.", _meant(states, table), UNTOUCHED)
        raise SourceError(f"there are {where}.", "name the --database", UNTOUCHED)
    return {name: states[name].only(as_written) for name, as_written in having.items()}


def _meant(states: dict[str, SavedState], table: str) -> str:
    known = {plan.name for state in states.values() for plan in state.tables if not plan.is_internal}
    import difflib  # only who is mistaken needs it

    alike = difflib.get_close_matches(table, sorted(known), 1)
    return f"write it as in the database{': ' if alike else ''}{''.join(alike)}"


def put_back(built: Rebuilt, present: Path, table: str, conditions: Sequence[Condition] = ()) -> Patched:
    """Copy the present database, take one table's rows from the rebuilt file, and put the copy in that file's place.

    Where there are conditions it is only the rows that met them. No more than two copies of the database are there at once. Raise
    Problem where anything else would change.
    """
    missing = [*built.missing]
    if conditions:
        _leave(built, table, conditions, missing)
    with beside.private_path(built.path) as path:
        with _known(built), snapshot.taken(present, built.path.parent, "full") as now:
            now.connection.close()
            os.replace(now.copy.path, path)
        replaced = replace_table.put_back(path, built.path, table, missing, is_some=bool(conditions))
        path.replace(built.path)
    with snapshot.unchanged(present, built.path.parent, now.copy.hash) as before:
        replace_table.refuse_others_changed(before.copy.path, built.path, table, replaced.changes if conditions else None)
    integrity.of_file(built.path)
    new_file.set_journal_mode(built.path, now.copy.journal_mode)
    whose = (built.source, built.run, replaced.rows, built.place)
    return Patched(*whose, built.path, missing, replaced, present, now.copy.hash)


def _leave(built: Rebuilt, table: str, conditions: Sequence[Condition], missing: list[str]) -> None:
    columns = [*dict.fromkeys(one.column for one in conditions)]

    def is_wanted(values: Sequence[object]) -> bool:
        return all_hold(conditions, dict(zip(columns, cast("Sequence[Value]", values), strict=True)))

    if not some_rows.leave(built.path, table, columns, is_wanted, missing):
        what = f"run {built.run} has no such row in {built.source}.{printable.name(table)}."
        raise SourceError(what, f"look at what there was:  python3 restore.py --history {typed(table)}", UNTOUCHED)


@contextlib.contextmanager
def _known(built: Rebuilt) -> Iterator[None]:
    """Of a present database that is damaged or gone there is a backup: its table was rebuilt from it."""
    try:
        yield
    except remedy.Lost as lost:
        lost.remedy = f"it has nowhere to go: restore all of it:  python3 restore.py --database {typed(built.source)}"
        raise


def refuse_written(patched: Patched) -> None:
    """Refuse to swap away what a bot has written since; one that is idle in rollback mode holds no lock."""
    if patched.place.exists() and patched.place.samefile(patched.present):
        with snapshot.unchanged(patched.present, patched.place.parent, patched.present_hash):
            pass
