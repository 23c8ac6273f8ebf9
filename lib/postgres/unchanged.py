"""A source whose file is the same as at the last saved run: nothing is sent, if the mirrors still hold what that run left."""

from psycopg2 import sql

from lib.plan import Plan, Source, TablePlan
from lib.postgres import runs
from lib.postgres.connection import Target
from lib.postgres.merge import TableResult, mirror_of
from lib.postgres.statements import statement
from lib.sqlite.snapshot import Snapshot


def as_last_left(target: Target, source: Source, snapshot: Snapshot, plan: Plan) -> list[TableResult]:
    """Return what the last run left in each table, or nothing where that cannot be relied on.

    The caller has made sure that nobody has changed the mirrors' rows since: the undo log would have it. Rows that went with a
    dropped table are not in the log, hence the count.
    """
    values = {"source": source.name, "snapshot_hash": snapshot.hash, "definition": runs.definition(snapshot, plan)}
    left = {label: (rows, misfits, int(digest)) for label, rows, misfits, digest in target.run("last_left", values)}
    if set(left) != {table.label for table in plan.tables} or not left:
        return []
    if _counted(target, source, plan.tables) != {label: rows for label, (rows, _, _) in left.items()}:
        return []
    return [
        TableResult(table.label, table.printable, *left[table.label][:2], digest=left[table.label][2]) for table in plan.tables
    ]


def _counted(target: Target, source: Source, tables: list[TablePlan]) -> dict[str, int]:
    """Return how many rows the target holds of each table: its mirror's and the kept ones."""
    parts = [statement("count_misfits", schema=sql.Identifier(target.schema), source=sql.Literal(source.name))]
    for table in tables:
        if table.mirror:
            parts.append(statement("count_mirror", label=sql.Literal(table.label), mirror=mirror_of(source, table)))
    counts = {table.label: 0 for table in tables}
    for label, rows in target.rows(sql.SQL("\nUNION ALL\n").join(parts)):
        if label in counts:
            counts[label] += rows
    return counts
