"""Bring edits that people have made in Supabase into the bot's file: those that the operator accepts, before a run copies it.

The first target's alone. Where nothing is accepted nobody looks, and edits are reported and overwritten. What a run would refuse
to back up is not written to either: a damaged file, another bot's, one that has lost its rows, one whose mirrors others can read.
"""

import contextlib
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from lib.backing_up import brake, refusals
from lib.backing_up.edit_rules import Inverse, Rules
from lib.backing_up.options import BackupOptions
from lib.base import private_file
from lib.base.errors import Problem
from lib.postgres.books import edits, origin, runs
from lib.postgres.books.edits import Edit, Judged
from lib.postgres.books.runs import Run
from lib.postgres.books.told import Told
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.altered import Altered
from lib.postgres.mirrors.transfer import Transfer
from lib.settings.config import Settings
from lib.sqlite.editing import compare_and_set
from lib.sqlite.editing.change import Change, Outcome
from lib.sqlite.replacing import safety_copies
from lib.sqlite.snapshots import copying, previous
from lib.sqlite.snapshots import snapshot as snapshots
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.digest import md5_of
from lib.tables.plan import Plan, TablePlan


@contextlib.contextmanager
def brought_back(target: Target, settings: Settings, run: Run, ahead: copying.Ahead, options: BackupOptions) -> Iterator[None]:
    """Bring what was edited into the bot's file first; the run then copies that, and sends what became of it."""
    is_accepted = settings.accepts_edits(target.settings.number)
    if is_accepted and edits.look(target, run.source, settings.accepted.items):
        ahead.forget(run.source)
        judge(target, settings, run.source, options)
        run.edits = edits.unsent(target, run.source)
    yield


def are_put_back(transfer: Transfer, settings: Settings, plan: Plan, changed: Altered) -> bool:
    """Make the mirrors what the last run left, where every edit has been judged, and return whether they are."""
    if transfer.told.is_accepting and not settings.accepted.items:
        edits.look(transfer.target, transfer.source.name, [])
    if not (transfer.edits and settings.accepts_edits(transfer.target.settings.number)):
        return not transfer.edits
    if changed.warnings or transfer.last["others_act"]:
        return False
    known, mirrors = {table.mirror: {*table.mirror_columns} for table in plan.tables}, transfer.told.mirrors
    if any(mirrors[name].columns.keys() - known.get(name, set()) for name in transfer.edited & mirrors.keys()):
        return False  # what people have put beside the bot's columns is theirs
    values = {"source": transfer.source.name, "mirrors": sorted(transfer.edited)}
    return bool(transfer.target.statement("put_back", values)[0][0])


def judge(target: Target, settings: Settings, name: str, options: BackupOptions, back: Sequence[Edit] = ()) -> list[Judged]:
    """Bring into a source's file what is accepted of its edits, and what is to go `back`; keep and return what became of it.

    What may be in the file is noted here before it is: after a crash in between it is not brought a second time.
    """
    noted, path = previous.read(settings.snapshot_of(name, target.settings.number)), settings.sources[name]
    note = settings.record(name, ".edits.json")
    with snapshots.taken(path, settings.snapshots, settings.check) as snapshot, target.ended():
        pending = edits.pending(target, name)
        told, _ = runs.look(target, name, {})
        refusals.refuse_unless_accepted(name, told.openings, origin.of(settings, name, noted), told.last, options)
        last = saved_state.last_plan(target, name)
        if not options.accept_shrink:
            brake.refuse_sudden_loss(told, snapshot, _what_is_left(snapshot, last), settings.max_shrink)
        judging = Judging(settings, name, path, note)
        planned = by_mirror(last)
        done = judging.judged(rules(settings, path, told, planned, *pending), pending[0])
        done += judging.judged(Inverse(planned), back)
        edits.keep(target, name, done)
    note.unlink(missing_ok=True)
    return done


def _what_is_left(snapshot: Snapshot, last: Sequence[TablePlan]) -> Plan:
    """Return the last run's plan of the tables that the file still has."""
    there = {table.name for table in snapshot.schema.tables}
    return Plan([table for table in last if table.name in there])


def rules(
    settings: Settings, path: Path, told: Told, planned: dict[str, TablePlan], found: Sequence[Edit], since: dict[str, int]
) -> Rules:
    """Return what is let in of these edits."""
    restored = safety_copies.of(path)[:1]
    return Rules(settings.accepted, since, planned, told.mirrors, found, safety_copies.made_at(restored[0]) if restored else "")


def by_mirror(last: Sequence[TablePlan]) -> dict[str, TablePlan]:
    """Return the plans of the last run by their mirrors."""
    return {table.mirror: table for table in last if table.mirror}


class Judging:
    """Edits on their way into the file `path` of a source; without a `note` it is a copy that is thrown away."""

    def __init__(self, settings: Settings, name: str, path: Path, note: Path | None = None):
        self._settings, self._name, self._path, self._note = settings, name, path, note

    def judged(self, rules: Rules | Inverse, found: Sequence[Edit]) -> list[Judged]:
        """Bring what the rules let in, and return what became of each edit that has changed anything."""
        seen = [(edit, rules.look(edit)) for edit in found]
        changes = {_name_of(edit): change for edit, change in seen if isinstance(change, Change)}
        outcomes = iter(self._brought(changes))
        done = (Judged(edit, one.columns, *next(outcomes)) if isinstance(one, Change) else one for edit, one in seen)
        return [one for one in done if one]

    def _brought(self, changes: dict[str, Change]) -> list[Outcome]:
        """Bring changes, unless there are none; an error says what to do about the file."""
        if not changes:
            return []
        before = _noted(self._note) if self._note else []
        may_be_in = [change for name, change in changes.items() if name in before]
        note = functools.partial(_write, self._note, [*before, *changes]) if self._note else lambda: None
        with (
            _note_as_before(self._note, before),
            copying.explained(self._path, previous.read(self._settings.snapshot_of(self._name))),
        ):
            return compare_and_set.bring(self._path, [*changes.values()], self._settings.accepted.with_triggers, may_be_in, note)


@contextlib.contextmanager
def _note_as_before(path: Path | None, before: list[str]) -> Iterator[None]:
    """Where nothing came, nothing may have; but a signal may come after it did."""
    try:
        yield
    except Exception:
        if path and before:
            _write(path, before)
        elif path:
            path.unlink(missing_ok=True)
        raise


def _name_of(edit: Edit) -> str:
    return f"{edit.mirror} {edit.key} {edit.record} {edit.undoes or ''} {md5_of(edit.theirs or '')}"


def _noted(path: Path) -> list[str]:
    """Return what may have come before a crash; a note that is damaged says nothing."""
    with contextlib.suppress(ValueError):
        names = json.loads(private_file.read(path) or b"[]")
        return names if isinstance(names, list) else []
    return []


def _write(path: Path, names: Sequence[str]) -> None:
    for warning in private_file.write_note(path, json.dumps(names), "no edit is brought in without it."):
        raise Problem(warning)
