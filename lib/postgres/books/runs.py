"""The run log: every attempt leaves a trace, and a run counts as saved exactly if its rows do."""

import contextlib
import functools
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from psycopg2 import sql

from lib import __version__
from lib.base.errors import Interrupted, Locked, MayPass, Problem
from lib.base.redact import clean
from lib.postgres.books import setup_version, told
from lib.postgres.books.edits import Judged
from lib.postgres.books.told import Told
from lib.postgres.link.connection import NOTHING, Target
from lib.postgres.link.statements import statement
from lib.sqlite.snapshots.previous import Note
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Source
from lib.tables.results import SavedBy, TableResult

OUTRUN = "{} was backed up by another run in the meantime."


@dataclass
class Run:
    """One attempt at one source, as `--json` shows it."""

    run: int  # 0 until it is opened
    source: str
    target: str
    database_bytes: int = 0
    number: int = 1  # the target's
    outcome: str = "running"
    seconds: float = 0.0
    bytes_sent: int = 0
    bytes_received: int = 0
    round_trips: int = 0
    tables: list[TableResult] = field(default_factory=list)
    error: str = ""
    committed: int = 0  # so many tables of a first load
    is_compared: bool = False  # every row was
    is_live: bool = False  # it is a batch
    edits: list[Judged] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # what was to be minded before it began
    ticket: str = field(default_factory=functools.partial(secrets.token_hex, 8))  # it is found by

    @property
    def bots_tables(self) -> list[TableResult]:
        """Return what people ask about, and all numbers of rows count: SQLite's own tables are copied, too."""
        return [table for table in self.tables if not table.is_internal]

    @property
    def told_tables(self) -> list[TableResult]:
        """Return what is said of a run: of a live batch only what has changed."""
        return [table for table in self.bots_tables if not (self.is_live and table.is_known)]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.bots_tables)

    @property
    def changes(self) -> int:
        return sum(table.inserted + table.updated + table.deleted for table in self.bots_tables)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` shows of the run; an error only where there is one."""
        shown = asdict(replace(self, tables=self.bots_tables))
        for name in ("database_bytes", "committed", "is_compared", "is_live", "warnings", "ticket"):
            del shown[name]
        for table in shown["tables"]:
            del table["digest"], table["label"], table["is_known"]
        shown["edits"] = [edit.shown for edit in self.edits]
        for name in ("error", "edits"):
            if not shown[name]:
                del shown[name]
        return shown


@contextlib.contextmanager
def taken(target: Target, run: Run, note: Note) -> Iterator[Told]:
    """Open the run, unless it is, and take the source in a transaction, all in one message; commit it in the end.

    Yield what is told then; `note` is what this machine has noted of the last run. Raise Problem where setup has not been run for
    this source, Locked where another run has it, MayPass where one has had it since this one was opened, or somebody who edits.
    """
    is_told = False
    try:
        with target.ended():
            answer = take(target, run, note)
            is_told = True
            yield answer
    except Problem as problem:
        if not (is_told or isinstance(problem, MayPass | Locked)):
            setup_version.refuse_other(target)
        raise


def take(target: Target, run: Run, note: Note) -> Told:
    """Send the message that `taken` begins with."""
    opening = NOTHING if run.run else _statement(target, "opening", open_run=_statement(target, "open_run"))
    query = _statement(target, "take_source") + _statement(target, "told")
    values = {**_opened_by(target, run), **told.known(note)}
    ((answer,),) = target.begin(before=opening, query=query, values=values)
    if not answer or not answer["run"]:
        raise _not_set_up(target, run.source)
    run.run, run.database_bytes = answer["run"], answer["database_bytes"]
    if not answer["is_ours"]:
        raise _refusal(run.source, answer["other"])
    return told.of(target, run.source, answer, note)


def look(target: Target, source: str, note: Note) -> tuple[Told, int]:
    """Return what a run would be told, and how many bytes the database has, and leave the source to others."""
    ((answer,),) = target.statement("told", {"source": source, "ticket": None, **told.known(note)})
    return told.of(target, source, answer, note), answer["database_bytes"]


def _refusal(source: str, other: dict[str, Any] | None) -> Problem:
    if not other:
        return MayPass(f"{source}: a change by hand is being committed.", "wait until it has ended")
    if other["has_ended"]:
        return MayPass(OUTRUN.format(source), "wait until it has ended")
    who = f"run {other['run']} on {other['machine']}, since {other['since']} UTC"
    return Locked(f"{source} is being backed up already ({who}).", "wait until it has ended")


def _opened_by(target: Target, run: Run) -> dict[str, object]:
    comment = setup_version.comment(target.schema)
    by = {"machine": socket.gethostname(), "version": __version__, "ticket": run.ticket}
    return {"source": run.source, "schema": target.schema, "comment": comment, **by}


def _statement(target: Target, name: str, **parts: sql.Composable) -> sql.Composed:
    return statement(name, schema=sql.Identifier(target.schema), **parts)


def find_source(target: Target, name: str) -> tuple[Source, SavedBy]:
    """Return where the source's mirrors are, and whose the last saved run was; raise Problem where there are no mirrors."""
    described = target.statement("find_source", {"source": name})
    if not described:
        raise _not_set_up(target, name)
    ((mirror_schema, may_alter, last),) = described
    return Source(name, mirror_schema, may_alter), last


def _not_set_up(target: Target, name: str) -> Problem:
    return Problem(f"{target.host} has no mirrors for {name}.", "python3 setup_supabase.py")


def refuse_outrun(snapshot: Snapshot, source: str) -> None:
    """Raise MayPass where the previous snapshot has changed since the copy was begun; the next attempt takes a new copy.

    As a rule another run has saved this source; then that one's copy may be newer than ours.
    """
    if not snapshot.copy.previous.is_untouched:
        raise MayPass(OUTRUN.format(source), "wait until it has ended")


def save(target: Target, run: Run, values: Mapping[str, object], before: Iterable[str]) -> list[str]:
    """Record what the run did, in its transaction, and commit; return warnings. What is to come `before` travels with it."""
    with target.committing():
        source = sql.SQL("%(source)s")  # a name that is filled in must not stand beside values that are bound
        target.rows(sql.Composed(_statement(target, name, source=source) for name in [*before, "save_run"]), values)
    run.outcome = "saved"
    return [f"{run.source}: {what}" for what in target.told_aside]


def note_seen(target: Target, last_runs: Mapping[str, int]) -> None:
    """Say in Postgres that a live process has found nothing new in these sources, given their last runs."""
    target.statement("note_seen", {"sources": [*last_runs], "runs": [*last_runs.values()]})


@contextlib.contextmanager
def closed(target: Target, run: Run) -> Iterator[None]:
    """Measure the run; where it does not get through, close it as failed and say what is still good."""
    started, (sent, received) = time.monotonic(), target.wire_bytes()
    try:
        yield
    except Problem as problem:
        run.outcome, run.error = "failed", "" if isinstance(problem, Locked) else clean(problem.what)
        problem.untouched = problem.untouched or _untouched(target, run)
        raise
    except Interrupted as interruption:
        run.outcome, run.error = "failed", f"stopped by signal {interruption.number}"
        _untouched(target, run)
        raise
    finally:
        now_sent, now_received = target.wire_bytes()
        run.seconds, run.round_trips = round(time.monotonic() - started, 3), target.new_round_trips()
        run.bytes_sent, run.bytes_received = now_sent - sent, now_received - received


def _untouched(target: Target, run: Run) -> str:
    """Close the run as failed, and name the last good one; a lost connection leaves that to the next run."""
    place = target.settings.place
    untouched = f"Nothing was changed {place}"
    if run.committed:
        are = "table is" if run.committed == 1 else "tables are"
        untouched = f"Of the first backup {run.committed} {are} {place} and need not be sent again"
    try:
        _fail(target, run)
        good = last_saved(target, run.source)
    except Problem:
        return f"{untouched}."
    still_good = f"the last good backup is run {good[0]}, {good[1]} UTC." if good else "there is no earlier backup."
    return f"{untouched}; {still_good}"


def _fail(target: Target, run: Run) -> None:
    error = run.error or None  # none: it has given way to another run
    if run.run:
        target.statement("fail_run", {"run": run.run, "error": error})
    else:
        opening = _statement(target, "open_run")
        target.statement("fail_unknown_run", _opened_by(target, run) | {"error": error}, open_run=opening)


def last_saved(target: Target, source: str) -> tuple[int, str] | None:
    """Return the number and the UTC time of the newest saved run."""
    saved = target.statement("last_success", {"source": source})
    return (saved[0][0], saved[0][1]) if saved else None
