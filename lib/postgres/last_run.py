"""What the last saved run left in the mirrors, where that can be relied on: then only what differs from it must be sent."""

from psycopg2 import sql

from lib.part import LastRun, TableResult
from lib.plan import Plan, Source, TablePlan
from lib.postgres import runs
from lib.postgres.connection import Target
from lib.postgres.statements import mirror_of, statement
from lib.sqlite.snapshot import Snapshot


class Doubt(Exception):
    """Why the mirrors may not hold what the last run left."""


def left(target: Target, source: Source, snapshot: Snapshot, plan: Plan) -> LastRun:
    """Return what the last run left; raise Doubt where every row must be sent.

    The caller has made sure that nobody has changed the mirrors' rows since: the undo log would have it.
    """
    values = {"source": source.name, "schema": target.schema, "mirror_schema": source.mirror_schema}
    found = target.run("last_left", values | {"definition": runs.definition(snapshot, plan)})
    doubt = _doubt(found, snapshot, plan)
    if doubt:
        raise Doubt(doubt)
    printable = {table.label: table.printable for table in plan.tables}
    results = {
        label: TableResult(label, printable[label], rows, misfits, digest=int(digest))
        for *_, label, rows, misfits, digest in found
    }
    return LastRun(found[0][0], results)


def confirm(target: Target, source: Source, tables: list[TablePlan], last: LastRun) -> None:
    """Raise Doubt where the numbers of rows are not as they were left: what went with a dropped table is not in the undo log."""
    if _counted(target, source, tables) != {label: result.rows for label, result in last.left.items()}:
        raise Doubt("the mirrors no longer hold what the last run left")


def _doubt(found: list[tuple], snapshot: Snapshot, plan: Plan) -> str:
    if not found:
        return "this is the first run"
    copy, (snapshot_hash, is_same_definition, others_act) = snapshot.copy, found[0][:3]
    if snapshot_hash not in (copy.hash, copy.previous_hash):
        if not copy.previous.exists():
            return "there is no previous snapshot on this machine"
        return "the previous snapshot is damaged" if not copy.previous_hash else "the previous snapshot is not the last run's"
    if not is_same_definition or {label for _, _, _, label, *_ in found} != {table.label for table in plan.tables}:
        return "the schema has changed"
    if others_act:
        return "the mirrors have triggers or foreign keys that are not ours, which may change what is merged"
    return ""


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
