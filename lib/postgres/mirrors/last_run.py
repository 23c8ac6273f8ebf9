"""What the last saved run left in the mirrors, where that can be relied on: then only what differs from it must be sent.

Relied on is what this machine has noted itself beside its snapshot. What Postgres says may have been written by anybody with the
password, and is only compared with it.
"""

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from lib.postgres.link.connection import Target
from lib.postgres.link.statements import mirror_of, statement
from lib.postgres.mirrors import altered, proof
from lib.postgres.mirrors.altered import Altered
from lib.postgres.mirrors.doubt import Doubt
from lib.postgres.mirrors.transfer import Transfer
from lib.sqlite.snapshots.previous import Note, NotedMirror
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Mirror, MirrorColumn, Plan, Source, TablePlan
from lib.tables.results import LastRun, LastSaved, TableResult

# Cheap looks cannot see everything: so often, every row is compared.
COMPARE_SECONDS = 24 * 3600 - 600
SHOWN = 5
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
            results[table.label] = TableResult(table.label, table.printable, rows, misfits, digest=digest)
    return LastRun(note["hash"], results)


def _doubt(snapshot: Snapshot, plan: Plan, last: LastSaved) -> str:
    previous = snapshot.copy.previous
    if not previous.note:
        is_there = previous.place.exists()
        return "the previous snapshot is damaged" if is_there else "there is no previous snapshot on this machine"
    if not is_of(last, previous.note):
        return "the previous snapshot is not the last run's"
    if _hash_of_tables(previous.note) != last["tables_hash"]:
        return "what this machine has noted of the last run is not what Postgres has"
    return OTHERS_ACT if last["others_act"] else ""


def is_of(last: LastSaved, note: Note) -> bool:
    """Whether a snapshot's note is that of the last saved run in this schema of this target."""
    return bool(note) and (note["belongs_to"], note["run"], note["hash"]) == (
        last["belongs_to"],
        last["run"],
        last["snapshot_hash"],
    )


def _hash_of_tables(note: Note) -> str:
    """Return what sql/statements/lock_source.sql makes of the rows, misfits and digest of every table."""
    lines = (f"{rows} {misfits} {digest} {label}" for label, (rows, misfits, digest, _) in sorted(note["tables"].items()))
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


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
    }


def noted_mirrors(last: LastSaved, note: Note) -> dict[str, NotedMirror] | None:
    """Return the mirrors as the last run noted them on this machine; nothing where there was no run, None where it is unknown."""
    return (note["mirrors"] if is_of(last, note) else None) if last["run"] else {}


def is_comparison_due(snapshot: Snapshot) -> bool:
    """Whether it is a day ago that every row was compared; a clock that was set back must not put it off."""
    return not 0 <= time.time() - snapshot.copy.previous.note.get("compared_at", 0) < COMPARE_SECONDS


def forms(snapshot: Snapshot, plan: Plan) -> dict[str, str]:
    """Return, by label, the form of each table: a hash of all that says which rows it has and how they are written."""
    declared = {found["name"]: found["sql"] for found in snapshot.schema.objects if found["type"] == "table"}
    encoding = snapshot.schema.pragmas["encoding"]
    return {table.label: _hash([encoding, declared.get(table.name), table.as_json()]) for table in plan.tables}


def _hash(form: list[Any]) -> str:
    return hashlib.md5(json.dumps(form).encode(), usedforsecurity=False).hexdigest()


@dataclass
class Unseen:
    """What the undo log may have missed: tables of which it is suspected, and the labels of those of which it is certain."""

    suspects: list[TablePlan]
    changed: set[str]

    def warnings(self, source: Source, last: LastSaved) -> list[str]:
        found, heal = [], "" if source.may_alter else " Run setup_supabase.py once as the user postgres."
        if self.suspects:
            found.append(
                f"{source.name}: somebody may have changed {_listed(table.printable for table in self.suspects)} without the "
                "undo log seeing it: it was switched off or emptied, or the mirror is another table, or was written anew "
                f"(ALTER TABLE, VACUUM FULL). Every row was sent.{heal}"
            )
        if self.changed:
            found.append(
                f"{source.name}: {_listed(self.changed)} had been changed behind the undo log's back, and is as the bot's "
                f"database again. What runs up to {last['run']} left there may not come back; restore.py --list marks them."
            )
        return found

    def also(self, later: "Unseen") -> "Unseen":
        """Return what a later look has found, with what was certain before."""
        return Unseen(later.suspects, later.changed | self.changed)

    @property
    def reason(self) -> str:
        """Return why every row is sent, or nothing."""
        if not self.suspects:
            return ""
        return f"the mirrors no longer hold {LEFT}" if self.changed else "the undo log may have missed a change"


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")


def unseen(transfer: Transfer, plan: Plan, present: dict[str, Mirror], changed: Altered) -> Unseen:
    """Look whether the undo log may have missed a change; `present` are the mirrors before any was mended."""
    note, last = transfer.snapshot.copy.previous.note, transfer.last
    suspects = _suspects(plan, present, note, last, changed)
    held = proof.held_digests(transfer.target, transfer.source, suspects) if suspects else {}
    left = note["tables"] if is_of(last, note) else {}
    # Where there are changes by hand as well, or nothing is noted here, it cannot be told, and is taken for granted.
    same = {label for label, digest in held.items() if label in left and left[label][:3:2] == (digest.rows, digest.total)}
    by_hand = {table.label for table in suspects if table.mirror in transfer.edited}
    return Unseen(suspects, by_hand | (held.keys() - same) | changed.lost_labels(plan, left))


def _suspects(plan: Plan, present: dict[str, Mirror], note: Note, last: LastSaved, changed: Altered) -> list[TablePlan]:
    """Return the tables whose mirror lacks a trigger or is another one than it was; all, where the undo log was touched."""
    if last["run"] is None:
        return []
    if not last["is_watched"] or not last["is_complete"]:
        return plan.tables
    known = noted_mirrors(last, note) or {}
    aside = {name for name, noted in known.items() if noted["oid"] == altered.LEFT_ASIDE}
    mirrored = [table for table in plan.tables if table.mirror and table.mirror not in aside]
    return [table for table in mirrored if table.mirror in changed.wanted or not _is_as_it_was(table, present, known)]


def _is_as_it_was(table: TablePlan, present: dict[str, Mirror], known: dict[str, NotedMirror]) -> bool:
    mirror, noted = present.get(table.mirror), known.get(table.mirror)
    if not mirror or not noted:
        return not noted and (not mirror or mirror.is_watched)
    columns = [column.mirror_name for column in table.columns]
    return (
        mirror.is_watched
        and mirror.oid == noted["oid"]
        and _numbers(mirror.columns, columns) == _numbers(noted["columns"], columns)
    )


def _numbers(described: dict[str, MirrorColumn], columns: list[str]) -> list[int | None]:
    """Return which columns these are: one that was dropped and made again has another number."""
    return [described[name].get("number") if name in described else None for name in columns]


def confirm(target: Target, source: Source, tables: list[TablePlan], last: LastRun) -> None:
    """Raise Doubt where the numbers of rows are not as they were left: what went with a dropped table is not in the undo log."""
    counted = _counted(target, source, tables)
    changed = [label for label, result in last.left.items() if counted[label] != result.rows]
    if changed:
        raise Doubt(f"the mirrors no longer hold {LEFT}", changed)


def _counted(target: Target, source: Source, tables: list[TablePlan]) -> dict[str, int]:
    """Return how many rows the target holds of each table: its mirror's and the kept ones."""
    parts = [statement("count_misfits", schema=sql.Identifier(target.schema), source=sql.Literal(source.name))]
    for table in tables:
        if table.mirror:
            parts.append(statement("count_mirror", label=sql.Literal(table.label), mirror=mirror_of(source, table)))
    counts = {table.label: 0 for table in tables}
    for label, rows in target.rows(statement("count_alone") + sql.SQL("\nUNION ALL\n").join(parts)):
        if label in counts:
            counts[label] += rows
    return counts
