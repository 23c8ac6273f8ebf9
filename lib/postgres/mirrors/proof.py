"""Prove that the mirrors hold what the snapshot holds, by numbers of rows and digests that Postgres computes."""

from psycopg2 import sql

from lib.base.errors import Problem
from lib.postgres.link.connection import Row, Target
from lib.postgres.link.statements import mirror_of, postgres_digest_line, row_hash, statement
from lib.postgres.mirrors.doubt import Doubt
from lib.postgres.mirrors.sending import StagedTable
from lib.postgres.mirrors.transfer import Transfer
from lib.sqlite.lines import read_lines
from lib.tables.digest import Digest
from lib.tables.plan import Source, TablePlan
from lib.tables.results import TableResult


def query(target: Target, source: Source, sent: list[StagedTable]) -> sql.Composed:
    """Return what asks for all that was done to these tables, and for what Postgres holds of those that were sent whole.

    Those are read when all are merged: a trigger or a foreign key on one mirror may change another.
    """
    whole = [one.change.table for one in sent if one.is_whole and one.change.table.mirror]
    labels = sql.Literal([one.change.table.label for one in sent])
    return statement("prove", held=_held(target, source, whole), labels=labels)


def prove(source: Source, sent: list[StagedTable], answer: list[Row]) -> None:
    """Note what the merges did, and refuse a mirror that does not hold what the snapshot holds, which rolls the run back.

    `answer` is that of `query`: label, rows, sum of hashes, inserted, updated, deleted. Where only changed rows were sent, raise
    Doubt: the mirror did not hold what was expected.
    """
    counts = {label: counts for label, *counts in answer}
    for one in sent:
        _prove_table(source, one, *counts.get(one.change.table.label, (0, 0, 0, 0, 0)))


def _prove_table(source: Source, sent: StagedTable, rows: int, total: int, inserted: int, updated: int, deleted: int) -> None:
    result, change, ours = sent.change.result, sent.change, sent.digest
    theirs = Digest(rows if change.sends_every_row else change.before + inserted - deleted, int(total) + change.unchanged.total)
    result.inserted += inserted
    result.updated += updated
    result.deleted += deleted
    result.digest = theirs.total
    if ours.rows == theirs.rows == result.rows and ours.total == theirs.total:
        return
    if not change.sends_every_row:
        why = f"with the changed rows alone the mirror of {result.table} does not hold what the snapshot holds"
        raise Doubt(why, [result.label])
    raise Problem(
        f"{source.name}.{result.table}: the mirror does not hold what the snapshot holds ({result.rows} rows in the "
        f"snapshot, {ours.rows} sent or kept, {theirs.rows} in the mirror, "
        f"digests {'equal' if ours.total == theirs.total else 'differ'}).",
        "run it again; if it stays, please report it",
    )


def compare(transfer: Transfer, tables: list[TablePlan], results: list[TableResult]) -> None:
    """Compare every row of every table with its mirror by digest; raise Doubt where one differs, else note the digests."""
    held = held_digests(transfer.target, transfer.source, tables)
    ours = {table.label: read_lines.digest(transfer.snapshot.connection, table) for table in tables}
    if different := [result for result in results if held[result.label] != ours[result.label]]:
        carried = {result.label for result in different if held[result.label].total != result.digest}
        raise Doubt(f"the mirror of {different[0].table} does not hold what the snapshot holds", carried)
    for result in results:
        result.digest = held[result.label].total


def held_digests(target: Target, source: Source, tables: list[TablePlan]) -> dict[str, Digest]:
    """Return the digests of the rows that Postgres holds, computed by Postgres, by table."""
    with_mirrors = [table for table in tables if table.mirror]
    held = {table.label: Digest() for table in tables}
    for label, rows, total in target.rows(_held(target, source, with_mirrors)):
        if label in held:
            held[label] += Digest(rows, int(total))
    return held


def _held(target: Target, source: Source, tables: list[TablePlan]) -> sql.Composed:
    """Return the query of some mirrors' digests and of those of the source's misfits, by label; a label may come twice."""
    places = {"schema": sql.Identifier(target.schema), "source": sql.Literal(source.name)}
    misfits = statement("digest_misfits", hash=row_hash(sql.SQL("line")), **places)
    return sql.SQL("\nUNION ALL\n").join([misfits, *(_digest_mirror(source, table) for table in tables)])


def _digest_mirror(source: Source, table: TablePlan) -> sql.Composed:
    places = {"label": sql.Literal(table.label), "mirror": mirror_of(source, table)}
    return statement("digest_mirror", hash=row_hash(postgres_digest_line(table)), **places)
