"""Bring edits that people have made in Supabase into the bot's file: those that the operator accepts, before a run copies it.

The first target's alone. Where nothing is accepted nobody looks, and edits are reported and overwritten. What a run would refuse
to back up is not written to either: a damaged file, another bot's, one that has lost its rows, one whose mirrors others can read.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lib.backing_up import brake, edit_note, refusals
from lib.backing_up.edit_note import EditNote, Left
from lib.backing_up.edit_rules import Rules, known_change
from lib.backing_up.options import BackupOptions
from lib.postgres.books import edits, origin, runs
from lib.postgres.books.edits import Edit, Judged, Pending
from lib.postgres.books.runs import Run
from lib.postgres.books.told import Told
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.altered import Altered
from lib.postgres.mirrors.transfer import Transfer
from lib.settings.config import Settings
from lib.sqlite.compare import count_differences
from lib.sqlite.editing import compare_and_set
from lib.sqlite.editing.change import Change, Outcome
from lib.sqlite.replacing import safety_copies
from lib.sqlite.snapshots import copying, previous
from lib.sqlite.snapshots import snapshot as snapshots
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.mirror_names import mirror_name
from lib.tables.plan import Plan, TablePlan
from lib.tables.results import TableResult

# An edit, and what is to be brought of it, or why nothing is; nothing where all is as it was before.
Looked = tuple[Edit, Change | Judged | None]


@contextlib.contextmanager
def brought_back(target: Target, settings: Settings, run: Run, ahead: copying.Ahead, options: BackupOptions) -> Iterator[None]:
    """Bring what was edited into the bot's file first; the run then copies that, and sends what became of it."""
    if edit_note.are_any(settings, run.source):
        ahead.forget(run.source)  # two copies at once would lose each other's locks
    is_settled = settle(target, settings, run.source)
    is_edited = settings.accepts_edits(target.settings.number) and edits.look(target, run.source, settings.accepted.items)
    if is_edited:
        ahead.forget(run.source)
        judge(target, settings, run.source, options)
    if is_edited or is_settled:
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


class Taken(NamedTuple):
    """A source that is taken in this transaction, and that a run would back up.

    A copy of its file, its edits, what a run must know, and the last run's plans by mirror.
    """

    snapshot: Snapshot
    pending: Pending
    told: Told
    plans: dict[str, TablePlan]


def judge(target: Target, settings: Settings, name: str, options: BackupOptions, back: Sequence[Edit] = ()) -> list[Judged]:
    """Bring into a source's file what is accepted of its edits, and what is to go `back`; keep and return what became of it.

    What will be in the file is noted here before it is: what Postgres is not told then, `settle` tells it before the next time.
    """
    path = settings.sources[name]
    with _taken(target, settings, name, options) as taken:
        note = EditNote(settings, name, taken.pending.place)
        seen = looked_at(settings, path, taken.told, taken.plans, taken.pending)
        seen += [(edit, known_change(taken.plans, edit)) for edit in back]
        if not options.accept_shrink and any(isinstance(one, Change) and one.base is None for _, one in seen):
            _refuse_replacement(settings, name, taken)
        with note.of_what_comes(), copying.explained(path, previous.read(settings.snapshot_of(name))):
            done = brought(path, seen, settings, lambda judged: note.write(judged, taken.pending, has_come=False))
        if any(one.is_in for one in done):
            note.write(done, taken.pending, has_come=True)
        edits.keep(target, name, done, taken.pending.up_to)
    note.remove()
    return done


def settle(target: Target, settings: Settings, name: str) -> bool:
    """Keep what became of edits where it is noted here alone, because a run has ended in between; return whether it was.

    Where the file was not written, they are judged anew.
    """
    if not edit_note.are_any(settings, name):
        return False
    with target.transaction():
        pending = edits.pending(target, name)
        note = EditNote(settings, name, pending.place)
        left = untold(note, target, settings, name, pending)
        if left:
            edits.keep(target, name, left.judged, left.up_to)
    note.remove()
    return bool(left)


def untold(note: EditNote, target: Target, settings: Settings, name: str, pending: Pending) -> Left | None:
    """Return what the file has, and Postgres does not know, if anything."""
    left = note.read()
    if not left or pending.last > left.last:
        return None
    if left.has_come:
        return left
    with snapshots.taken(settings.sources[name], settings.snapshots, settings.check) as snapshot:
        return left if left.is_in(snapshot.copy.path, by_mirror(saved_state.last_plan(target, name))) else None


@contextlib.contextmanager
def _taken(target: Target, settings: Settings, name: str, options: BackupOptions) -> Iterator[Taken]:
    """Take a source in a transaction, and refuse what a run would not back up."""
    noted, path = previous.read(settings.snapshot_of(name, target.settings.number)), settings.sources[name]
    with snapshots.taken(path, settings.snapshots, settings.check) as snapshot, target.transaction():
        refusals.refuse_written_elsewhere(snapshot)
        pending = edits.pending(target, name)
        told, _ = runs.look(target, name, {})
        refusals.refuse_unless_accepted(name, told.openings, origin.of(settings, name, noted), told.last, options)
        last = saved_state.last_plan(target, name)
        if not options.accept_shrink:
            brake.refuse_sudden_loss(told, snapshot, _what_is_left(snapshot, last), settings.max_shrink)
        yield Taken(snapshot, pending, told, by_mirror(last))


def _refuse_replacement(settings: Settings, name: str, taken: Taken) -> None:
    """Refuse another database in the bot's place, into which a new row would fit: a run finds that out only when it compares."""
    last = previous.look(settings.snapshot_of(name))
    if not last.note or taken.told.last["is_restored"]:
        return
    found = [
        TableResult(mirror_name(one.table), one.table, one.rows_now, 0, updated=one.changed, deleted=one.added)
        for one in count_differences.between(taken.snapshot.copy.path, last.place)
    ]
    brake.refuse_replacement(taken.told, found, Plan([*taken.plans.values()]), settings.max_shrink)


def _what_is_left(snapshot: Snapshot, last: Sequence[TablePlan]) -> Plan:
    """Return the last run's plan of the tables that the file still has."""
    there = {table.name for table in snapshot.schema.tables}
    return Plan([table for table in last if table.name in there])


def looked_at(settings: Settings, path: Path, told: Told, plans: dict[str, TablePlan], pending: Pending) -> list[Looked]:
    """Return what is let in of pending edits."""
    restored = safety_copies.of(path)[:1]
    restored_at = safety_copies.made_at(restored[0]) if restored else ""
    rules = Rules(settings.accepted, pending.since, plans, told.mirrors, pending.found, restored_at)
    return [(edit, rules.look(edit)) for edit in pending.found]


def by_mirror(last: Sequence[TablePlan]) -> dict[str, TablePlan]:
    """Return the plans of the last run by their mirrors."""
    return {table.mirror: table for table in last if table.mirror}


def brought(
    path: Path, seen: Sequence[Looked], settings: Settings, note: Callable[[list[Judged]], None] = lambda judged: None
) -> list[Judged]:
    """Bring changes into a file, and return what became of each edit that has changed anything.

    `note` is told right before the file is.
    """
    changes = [one for _, one in seen if isinstance(one, Change)]

    def judged(outcomes: list[Outcome]) -> list[Judged]:
        left = iter(outcomes)
        every = [_judged(edit, one, next(left)) if isinstance(one, Change) else one for edit, one in seen]
        return [one for one in every if one]

    def tell(outcomes: list[Outcome]) -> None:
        note(judged(outcomes))

    return judged(compare_and_set.bring(path, changes, settings.accepted.with_triggers, tell) if changes else [])


def _judged(edit: Edit, change: Change, outcome: Outcome) -> Judged:
    return Judged(edit, [*(outcome.came or change.columns)], outcome.outcome, outcome.reason)
