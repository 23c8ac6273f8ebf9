"""Everything that a run has left, for other tools: a CSV file for each table, or each database as SQL or as itself."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lib.base.errors import UNTOUCHED, Problem, SettingsError
from lib.postgres.link.connection import Target
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring import beside, csv_files, rebuild
from lib.restoring.options import RestoreOptions
from lib.restoring.rebuild import Rebuilt
from lib.restoring.report import Report
from lib.settings import paths
from lib.settings.config import Settings
from lib.sqlite.compare import identical
from lib.sqlite.files.functions import as_text
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_read_only

NOT_WRITTEN = ("cannot be written", "")
OTHERS = "--format db  has everything as it is"


def write_all(target: Target, settings: Settings, states: dict[str, SavedState], options: RestoreOptions, report: Report) -> int:
    """Rebuild and check every source as a restore does, and write it into an empty folder; return the exit status."""
    folder = _new_folder(options.export)
    places = {name: folder / f"{name}.db" for name in states}
    with rebuild.all_rebuilt(target, states, places, settings, report.rebuilding) as files:
        for built in files:
            with report.attempted():
                report.exported(built, FORMATS[options.format or "csv"](built, states[built.source]))
    return report.close()


def _new_folder(written: str) -> Path:
    path = paths.typed("--export", written).absolute()
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise SettingsError(f"{path} is there already, and nothing in it is replaced.", "--export with another folder", UNTOUCHED)
    return path


def _as_database(built: Rebuilt, _: SavedState) -> Path:
    with beside.explained(built.place, *NOT_WRITTEN):
        built.path.rename(built.place)
    return built.place


def _as_csv(built: Rebuilt, state: SavedState) -> Path:
    """Write a file for each table, with the names of its columns; it is called as the table is in the bookkeeping."""
    folder = built.place.with_suffix("")
    with beside.explained(folder, *NOT_WRITTEN), contextlib.closing(open_read_only(built.path)) as connection:
        connection.text_factory = as_text
        folder.mkdir(mode=0o700)
        for table in (table for table in state.tables if not table.is_internal):
            names = [column.name for column in table.columns if not column.is_rowid]
            rows = connection.execute(f"SELECT {', '.join(map(quoted, names))} FROM {quoted(table.name)}")
            csv_files.write(folder / f"{table.label.replace('/', '%2F')}.csv", names, rows)
    return folder


def _as_sql(built: Rebuilt, state: SavedState) -> Path:
    """Write what makes the database anew, and try it: what SQL cannot say, as text with a NUL, is refused."""
    path, again = built.place.with_suffix(".sql"), built.path.with_suffix(".again")
    with beside.explained(path, *NOT_WRITTEN), contextlib.closing(open_read_only(built.path)) as connection:
        try:
            with csv_files.new_file(path) as file:
                file.writelines(f"{line}\n" for line in _dump(connection, state.definition["pragmas"]))
            with contextlib.closing(sqlite3.connect(again)) as copy:
                copy.executescript(path.read_text(encoding="utf-8"))
            different = identical.first_difference(built.path, again, state.tables, state.misfits)
        except (sqlite3.Error, UnicodeError) as error:
            different = f"the whole of it ({error})"
        if different:
            path.unlink(missing_ok=True)
            raise Problem(f"{built.source} cannot be said in SQL exactly: {different} would differ.", OTHERS, UNTOUCHED)
    return path


def _dump(connection: sqlite3.Connection, pragmas: Mapping[str, str | int]) -> Iterator[str]:
    yield from (f"PRAGMA {name} = {value if isinstance(value, int) else repr(value)};" for name, value in pragmas.items())
    yield from connection.iterdump()


FORMATS: dict[str, Callable[[Rebuilt, SavedState], Path]] = {"csv": _as_csv, "sql": _as_sql, "db": _as_database}
