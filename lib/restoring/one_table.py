"""One table comes back: the present database with its rows of then, in the place of a rebuilt file."""

import os
from dataclasses import dataclass
from pathlib import Path

from lib.base.errors import UNTOUCHED, SourceError
from lib.base.words import plural
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring import beside
from lib.restoring.rebuild import Rebuilt
from lib.sqlite.building import new_file, replace_table
from lib.sqlite.building.replace_table import ReplacedTable
from lib.sqlite.files import integrity
from lib.sqlite.snapshots import snapshot


@dataclass(frozen=True)
class Patched(Rebuilt):
    """A copy of the database `present`, which had the hash `present_hash`, with the rows of one `table` put back."""

    table: ReplacedTable
    present: Path
    present_hash: str

    @property
    def compared(self) -> str:
        return "every row compared; the other tables as they were"


def of_one_source(states: dict[str, SavedState], table: str) -> dict[str, SavedState]:
    """Return, of the one source that has the table, the state of that table; raise SourceError where it is not one."""
    having = {name: state for name, state in states.items() if table in [planned.name for planned in state.tables]}
    if len(having) != 1:
        where = f"{plural(len(having), 'database')} with a table {table}"
        raise SourceError(f"there are {where}.", "write it as in the database, and name the --database", UNTOUCHED)
    return {name: state.only(table) for name, state in having.items()}


def put_back(built: Rebuilt, present: Path, table: str) -> Patched:
    """Copy the present database, take one table's rows from the rebuilt file, and put the copy in that file's place.

    No more than two copies of the database are there at once. Raise Problem where anything else would change.
    """
    missing = [*built.missing]
    with beside.private_path(built.path) as path:
        with snapshot.taken(present, built.path.parent, "full") as now:
            now.connection.close()
            os.replace(now.copy.path, path)
        replaced = replace_table.put_back(path, built.path, table, missing)
        path.replace(built.path)
    with snapshot.unchanged(present, built.path.parent, now.copy.hash) as before:
        replace_table.refuse_others_changed(before.copy.path, built.path, table)
    integrity.of_file(built.path)
    new_file.set_journal_mode(built.path, now.copy.journal_mode)
    whose = (built.source, built.run, replaced.rows, built.place)
    return Patched(*whose, built.path, missing, replaced, present, now.copy.hash)


def refuse_written(patched: Patched) -> None:
    """Refuse to swap away what a bot has written since; one that is idle in rollback mode holds no lock."""
    if patched.place.exists() and patched.place.samefile(patched.present):
        with snapshot.unchanged(patched.present, patched.place.parent, patched.present_hash):
            pass
