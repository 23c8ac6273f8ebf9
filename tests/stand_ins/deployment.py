"""One source and its deployment, driven in this process: for the thousands of cases that subprocesses are too slow for."""

import contextlib
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

from backup import back_up_all
from lib.backing_up.options import BackupOptions
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.setup import installation
from lib.restoring import drill, rebuild
from lib.settings.config import UNCHECKED, Settings
from lib.settings.retention import Retention
from lib.settings.targets import TargetSettings
from lib.sqlite.compare import count_differences
from lib.sqlite.files.names import quoted
from lib.sqlite.snapshots import previous
from lib.sqlite.snapshots import snapshot as snapshots
from lib.trying import trial
from tests import compare
from tests.stand_ins.bot import URL, be_here_and_now

CHURN = (
    "DELETE FROM {t} WHERE rowid % 3 = 0",
    "UPDATE {t} SET rowid = rowid + 1000 WHERE rowid % 3 = 1",
    "UPDATE {t} SET {last} = {first}",
    "INSERT OR IGNORE INTO {t} SELECT * FROM {t} LIMIT 2",
)


# The connection strings of databases in which setup has made what is the same for every source.
with_books: set[str] = set()


def install_books(url: str) -> None:
    with Target(_target(url), "backup") as target, target.transaction():
        installation.install(target)


def _target(url: str) -> TargetSettings:
    match = URL.fullmatch(url)
    return TargetSettings(match["host"], int(match["port"]), match["name"], match["user"], match["password"], "prefer", "")


class Deployment:
    def __init__(self, folder: Path, url: str, schema: str = "backup", name: str = "source.db"):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path, self.url = folder, folder / name, url
        sources = {self.path.stem: self.path}
        self.settings = Settings([_target(url)], sources, schema, Retention(), 100, "full", folder / "log", folder)

    def copied(self, folder: Path, url: str) -> "Deployment":
        """Return another one with all that is in the folder of this one, whose database is a copy of this one's."""
        shutil.copytree(self.folder, folder)
        be_here_and_now(folder, url, self.folder, self.url)
        return Deployment(folder, url, self.settings.schema, self.path.name)

    def script(self, text: str, **options) -> None:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None, **options)) as database:
            database.executescript(text)

    def churn(self) -> None:
        """Delete, renumber and rewrite rows of every table, as far as its schema allows, but not a virtual table's own."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            compare.know_the_bots_own(database)
            own = """SELECT name FROM sqlite_master AS t WHERE type = 'table' AND rootpage > 0 AND NOT EXISTS (
                SELECT 1 FROM sqlite_master AS v WHERE v.type = 'table' AND v.rootpage = 0 AND t.name GLOB v.name || '_*')"""
            for (name,) in database.execute(own).fetchall():
                for statement in CHURN:
                    with contextlib.suppress(sqlite3.Error, UnicodeEncodeError):
                        columns = [column for _, column, *_ in database.execute(f"PRAGMA table_info({quoted(name)})")]
                        names = {"t": quoted(name), "first": quoted(columns[0]), "last": quoted(columns[-1])}
                        database.execute(statement.format(**names))

    def rows(self, query: str) -> list[tuple]:
        """Ask Postgres."""
        with Target(self.settings.targets[0], self.settings.schema) as target:
            return target.rows(query)

    def set_up(self) -> None:
        with Target(self.settings.targets[0], self.settings.schema) as target:
            if self.url in with_books:
                with_books.remove(self.url)
                self._set_up_source(target)
            else:
                trial.set_up(target, self.settings)

    def _set_up_source(self, target: Target) -> None:
        """Do the rest of a setup that has made the books."""
        with target.transaction(), snapshots.taken(self.path, self.settings.snapshots, self.settings.check) as snapshot:
            installation.install_source(target, self.path.stem, snapshot)

    def back_up(self, accept_shrink: bool = True, full: bool = False) -> dict[str, tuple[int, int, int]]:
        """Back up, and return inserted, updated and deleted rows of each table that changed."""
        options = BackupOptions(accept_shrink=accept_shrink, full=full)
        report = back_up_all(self.settings, self.settings.sources, options, trial.silent())
        if report.failures:
            raise report.failures[0]
        self.warnings = report.warnings
        self.run, self.bytes_sent, self.round_trips = report.runs[0].run, report.runs[0].bytes_sent, report.runs[0].round_trips
        self.seconds = report.runs[0].seconds
        self.tables = {table.table: table for table in report.runs[0].tables}
        counts = {name: (table.inserted, table.updated, table.deleted) for name, table in self.tables.items()}
        return {name: found for name, found in counts.items() if any(found)}

    def live_batch(self) -> bool:
        """Back up as a live process does right after a commit; return whether the check of the file was left to another run."""
        options, settings = BackupOptions(accept_shrink=True), replace(self.settings, is_live=True)
        report = back_up_all(settings, settings.sources, options, trial.silent())
        if report.failures:
            raise report.failures[0]
        return bool(report.runs) and previous.read(self.kept)["check"] == UNCHECKED

    @property
    def misfits(self) -> int:
        return sum(table.misfits for name, table in self.tables.items() if not name.startswith("sqlite_"))

    def restored(self, run: int | None = None, kept: Path | None = None) -> Path:
        out = self.folder / "restored" / self.path.name
        shutil.rmtree(out.parent, ignore_errors=True)
        with Target(self.settings.targets[0], self.settings.schema) as target, target.transaction("REPEATABLE READ READ ONLY"):
            state = saved_state.read_state(target, self.path.stem, run)
            with rebuild.rebuilt(target, state, out, kept) as built:
                built.path.rename(out)
        return out

    def assert_changes_come_back(self) -> None:
        """Back up what is there for the first time, and change rows of every table."""
        self.set_up()
        self.back_up()
        self.churn()
        self.assert_round_trip()

    def assert_round_trip(self) -> None:
        """Back up, in changes mode where that can be; a second run, which compares every row, finds nothing to change.

        Restore: identical, as the independent comparison judges, with the snapshot and without; the drill and the dry run agree.
        """
        self.back_up()
        assert self.back_up(full=True) == {}
        assert compare.differences(self.path, self.restored()) == []
        assert compare.differences(self.path, self.restored(kept=self.kept)) == []
        counted = count_differences.between(self.path, self.folder / "restored" / self.path.name)
        assert [(found.rows_now, found.changed) for found in counted] == [(found.rows_then, 0) for found in counted]
        sources = self.settings.sources
        assert not any(drill.rehearse_all(self.settings, self.settings.targets, sources, trial.silent()).values())

    @property
    def kept(self) -> Path:
        return self.settings.snapshot_of(self.path.stem)
