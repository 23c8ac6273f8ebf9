"""What the last saved run left in the mirrors, where that can be relied on: then only what differs from it must be sent.

Relied on is what this machine has noted itself beside its snapshot. What Postgres says may have been written by anybody with the
password, and is only compared with it.
"""

import json
import time

from lib.postgres.books import told
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import altered
from lib.postgres.mirrors.doubt import Doubt
from lib.postgres.mirrors.transfer import Transfer
from lib.sqlite.snapshots import previous
from lib.sqlite.snapshots.previous import Checked, Note, NotedMirror
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.digest import md5_of
from lib.tables.plan import Mirror, Plan, Source, TablePlan
from lib.tables.results import LastRun, LastSaved, TableResult

# Cheap looks cannot see everything: so often, every row is compared.
COMPARE_SECONDS = 24 * 3600 - 600
LEFT = "what the last run left"
OTHERS_ACT = "the mirrors have triggers or foreign keys that are not ours, which may change what is merged"


def left(snapshot: Snapshot, plan: Plan, last: LastSaved) -> LastRun:
    """Return what the last run left in the tables that are as they were then; raise Doubt where every row must be sent.

    The caller has made sure that nobody has changed the mirrors' rows since: the undo log would have it.
    """
    if doubt := _doubt(snapshot, plan, last):
        raise Doubt(doubt)
    note, now = snapshot.copy.previous.note, forms(snapshot, plan)
    results = {}
    for table in plan.tables:
        rows, misfits, digest, form = note["tables"].get(table.label, (0, 0, 0, ""))
        if form == now[table.label] and table.label not in plan.mended:
            results[table.label] = TableResult(table.label, table.printable, rows, misfits, digest=digest, is_known=True)
    return LastRun(note["hash"], results)


def _doubt(snapshot: Snapshot, plan: Plan, last: LastSaved) -> str:
    previous = snapshot.copy.previous
    if not previous.note:
        is_there = previous.place.exists()
        return "the previous snapshot is damaged" if is_there else "there is no previous snapshot on this machine"
    if not is_of(last, previous.note):
        return "the previous snapshot is not the last run's"
    if told.hash_of_tables(previous.note) != last["tables_hash"]:
        return "what this machine has noted of the last run is not what Postgres has"
    return OTHERS_ACT if last["others_act"] else ""


def is_of(last: LastSaved, note: Note) -> bool:
    """Whether a snapshot's note is that of the last saved run in this schema of this target."""
    return bool(note) and (note["belongs_to"], note["run"], note["hash"]) == (
        last["belongs_to"],
        last["run"],
        last["snapshot_hash"],
    )


def noted(transfer: Transfer, plan: Plan, mirrors: dict[str, Mirror], is_compared: bool) -> Note:
    """Return what is noted beside the snapshot (see lib/sqlite/snapshots/previous.py)."""
    run, snapshot = transfer.run, transfer.snapshot
    before, now = snapshot.copy.previous.note.get("compared_at", 0), forms(snapshot, plan)
    return {
        "belongs_to": transfer.last["belongs_to"],
        "run": run.run,
        "rows": run.rows,
        "tables": {table.label: (table.rows, table.misfits, table.digest, now[table.label]) for table in run.tables},
        "mirrors": altered.as_noted(mirrors),
        "compared_at": time.time() if is_compared else before,
        "checked": _checked(transfer),
    }


def _checked(transfer: Transfer) -> Checked:
    """Return which run's file was checked last: this one, or that of the last ordinary run before it.

    A batch that was checked only because it was doubtful is no ordinary run: the next one is not put off, nor the brake let go.
    """
    run, snapshot = transfer.run, transfer.snapshot
    last = previous.last_checked(snapshot.copy.previous.note)
    if last and (snapshot.copy.is_unchecked or (run.is_live and snapshot.is_doubtful)):
        return last
    rows = {table.label: table.rows for table in run.bots_tables}
    return {"run": run.run, "at": time.time(), "rows": rows, "target": run.number if transfer.target.settings.count > 1 else None}


def noted_mirrors(last: LastSaved, note: Note) -> dict[str, NotedMirror] | None:
    """Return the mirrors as the last run noted them on this machine; nothing where there was no run, None where it is unknown."""
    return (note["mirrors"] if is_of(last, note) else None) if last["run"] else {}


def is_comparison_due(snapshot: Snapshot) -> bool:
    """Whether it is a day ago that every row was compared; a clock that was set back must not put it off."""
    return not 0 <= time.time() - snapshot.copy.previous.note.get("compared_at", 0) < COMPARE_SECONDS


def forms(snapshot: Snapshot, plan: Plan) -> dict[str, str]:
    """Return, by label, the form of each table: a hash of all that says which rows it has and how they are written."""
    declared = {thing["name"]: thing["sql"] for thing in snapshot.schema.objects if thing["type"] == "table"}
    encoding = snapshot.schema.pragmas["encoding"]
    form_of = {table.label: [encoding, declared.get(table.name), table.as_json()] for table in plan.tables}
    return {label: md5_of(json.dumps(form)) for label, form in form_of.items()}


def confirm(target: Target, source: Source, last: LastRun) -> None:
    """Raise Doubt where the numbers of rows are not as they were left: what went with a dropped table is not in the undo log."""
    if changed := last.left.keys() & other_counts(target, source):
        raise Doubt(f"the mirrors no longer hold {LEFT}", changed)


def other_counts(target: Target, source: Source) -> set[str]:
    """Return the labels of the tables that have not as many rows as the last run left."""
    return {label for (label,) in target.statement("other_counts", {"source": source.name})}


def is_noted(known: LastRun, transfer: Transfer, tables: list[TablePlan]) -> bool:
    """Whether the file is byte for byte the one that the last run has read: then only the numbers of rows are left to be seen.

    They are counted where the run is saved; a rehearsal counts them beside.
    """
    is_same_file = known.snapshot_hash == transfer.snapshot.copy.hash and not transfer.source.is_rehearsal
    return is_same_file and known.left.keys() == {table.label for table in tables}
