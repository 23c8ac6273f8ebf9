"""The scratch round trip of test_backup.py: back up, change, back up, restore and compare, in schemas and folders of its own."""

import contextlib
import dataclasses
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from psycopg2 import sql

from lib.backing_up.attempts import Report
from lib.backing_up.options import BackupOptions
from lib.base import disk
from lib.base.errors import Interrupted, Problem
from lib.base.script import Console
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.setup import installation
from lib.restoring import rebuild
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.snapshots import copying
from lib.sqlite.snapshots import snapshot as snapshots
from lib.trying import sample_bot

# Above this, the round trip uses sample databases: a copy of the real ones might fill a small plan.
MOST_BYTES = 50_000_000
# What is there at once of each: the copy, its snapshot, the next one, the restored file.
COPIES = 4
# By the server's clock; a trial takes minutes.
ABANDONED_SECONDS = 3600
SUFFIX = "trying"
OPTIONS = BackupOptions(accept_shrink=True)


def scratch_settings(settings: Settings, target: TargetSettings, folder: Path) -> Settings:
    """Return settings for a copy of the sources, and schemas that no deployment uses."""
    schema = f"backup_test_{int(time.time())}_{secrets.token_hex(3)}"
    sources = {name: folder / "sources" / path.name for name, path in settings.sources.items()}
    return dataclasses.replace(settings, targets=[target], schema=schema, sources=sources, folder=folder, warnings=[], notes=[])


def copy_sources(settings: Settings, scratch: Settings) -> str:
    """Fill the scratch folder with snapshots of the real databases, or with sample ones; say which."""
    (scratch.folder / "sources").mkdir()
    total = sum(map(copying.size_of, settings.sources.values()))
    disk.require(scratch.folder, COPIES * min(total, MOST_BYTES), "the scratch copy")
    if total > MOST_BYTES:
        made = sample_bot.make(scratch.folder / "sources")
        scratch.sources.clear()
        scratch.sources.update({path.stem: path for path in made})
        return "on sample databases, because yours are large"
    for name, path in settings.sources.items():
        with snapshots.taken(path, scratch.snapshots, settings.check) as snapshot:
            snapshot.keep_as(scratch.sources[name], {})
    return "on copies of your databases"


@contextlib.contextmanager
def scratch_schemas(target: Target, scratch: Settings) -> Iterator[None]:
    """Remove the scratch schemas at the end, also when interrupted."""
    cleaning = target
    try:
        yield
    except Interrupted:
        cleaning = Target(target.settings, target.schema)  # a signal cuts a connection that is waited for
        raise
    finally:
        remove_scratch(cleaning, installation.schemas(scratch))


def remove_scratch(target: Target, ours: list[str]) -> list[str]:
    """Remove our scratch schemas, and those that killed trials left long ago; return the names of all of them."""
    schemas = [name for (name,) in target.statement("scratch_schemas", {"ours": ours, "old": ABANDONED_SECONDS})]
    if schemas:
        target.statement("drop_schemas", schemas=sql.SQL(", ").join(map(sql.Identifier, schemas)))
    return schemas


def set_up_scratch(target: Target, scratch: Settings) -> None:
    """Make the scratch schemas, and say in each of them that it is one: nothing else allows to remove it."""
    with target.transaction():
        if taken := target.statement("schema_owner", {"schemas": installation.schemas(scratch)}):
            raise Problem(f"the schema {taken[0][0]} exists.", "python3 test_backup.py  chooses another name")
        _install(target, scratch)
        target.statement("mark_scratch", schemas=sql.Literal(installation.schemas(scratch)))


def set_up(target: Target, settings: Settings) -> None:
    """Set a deployment up without asking anything; for the tests."""
    with target.transaction():
        _install(target, settings)


def _install(target: Target, settings: Settings) -> None:
    installation.install(target)
    for name, path in settings.sources.items():
        with snapshots.taken(path, settings.snapshots, settings.check) as snapshot:
            installation.install_source(target, name, snapshot)


class Outcome:
    """What a scratch backup did, summed over all tables."""

    def __init__(self, report: Report):
        if report.failures:
            raise report.failures[0]
        self.tables = [table for run in report.runs for table in run.bots_tables]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def expect_changes(self, expected: int) -> None:
        """Raise Problem unless so many rows were inserted, updated and deleted in all."""
        changed = sum(table.inserted + table.updated + table.deleted for table in self.tables)
        if changed != expected:
            raise Problem(f"{changed} rows were changed in the mirror, {expected} expected.", "please report it")

    def expect_deleted(self, expected: int) -> None:
        """Raise Problem unless so many rows of the bot's own tables were deleted."""
        deleted = sum(table.deleted for table in self.tables)
        if deleted != expected:
            raise Problem(f"{deleted} rows were deleted from the mirror, {expected} expected.", "please report it")


def silent() -> Console:
    """Return a console that prints failures alone."""
    return Console(quiet=True)


def restore_and_compare(target: Target, scratch: Settings) -> int:
    """Rebuild every source from the target alone, compare every row, and return how many there were."""
    rows = 0
    for name, path in scratch.sources.items():
        with target.transaction("REPEATABLE READ READ ONLY"):
            state = saved_state.read_state(target, name)
            with rebuild.rebuilt(target, state, scratch.folder / "restored" / path.name) as built:
                rebuild.refuse_difference(built.path, path, state)
                rows += state.rows
    return rows
