"""Bring one table's rows into its mirror: COPY into a staging table, delete what vanished, insert or update the rest."""

import time
from dataclasses import dataclass

from psycopg2 import sql

from lib.digest import Digest
from lib.errors import Problem
from lib.plan import Source, TablePlan
from lib.postgres.connection import Target
from lib.postgres.statements import digest_line, equal, names, statement
from lib.sqlite import lines
from lib.sqlite.snapshot import Snapshot


@dataclass
class TableResult:
    """What a run did to one table; `digest` covers all of its rows, misfits included."""

    table: str
    rows: int
    misfits: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0
    digest: int = 0


def merge_table(target: Target, source: Source, snapshot: Snapshot, table: TablePlan) -> TableResult:
    """Make the mirror and the kept rows of one table equal to the snapshot's, and prove it by count and digest."""
    started = time.monotonic()
    rows, misfits = lines.count(snapshot.connection, table)
    result = TableResult(table.name, rows, misfits)
    digest = Digest()
    if table.mirror:
        digest += _merge_mirror(target, source, snapshot, table, result)
    digest += _merge_misfits(target, source, snapshot, table, result)
    _prove(target, source, table, result, digest)
    result.digest, result.seconds = digest.total, round(time.monotonic() - started, 3)
    return result


def _merge_mirror(target: Target, source: Source, snapshot: Snapshot, table: TablePlan, result: TableResult) -> Digest:
    mirror = sql.Identifier(source.mirror_schema, table.mirror)
    staging = sql.Identifier("pg_temp", f"staging {table.mirror}"[:63])
    columns = [column.mirror_name for column in table.columns]
    key = [column.mirror_name for column in table.key]
    target.run("create_staging", staging=staging, mirror=mirror, columns=names(columns))
    found = lines.of_mirror(snapshot.connection, table)
    target.copy_in(statement("copy_staging", staging=staging, columns=names(columns)), found)
    same_key = equal(key, "mirror", "staging")
    ((result.deleted,),) = target.run("delete_vanished", mirror=mirror, staging=staging, same_key=same_key)
    ((result.inserted, result.updated),) = target.run(
        "merge_staging",
        mirror=mirror,
        staging=staging,
        columns=names(columns),
        key=names(key),
        old=names(columns, "mirror"),
        new=names(columns, "excluded"),
    )
    result.bytes_sent += found.bytes
    return found.digest


def _merge_misfits(target: Target, source: Source, snapshot: Snapshot, table: TablePlan, result: TableResult) -> Digest:
    staging = sql.Identifier("pg_temp", f"misfits {table.mirror or ''}"[:63])
    found = lines.of_misfits(snapshot.connection, table)
    target.run("create_misfit_staging", staging=staging)
    target.copy_in(statement("copy_staging", staging=staging, columns=names(["line"])), found)
    ((inserted, deleted),) = target.run("merge_misfits", {"source": source.name, "table": table.name}, staging=staging)
    result.inserted, result.deleted = result.inserted + inserted, result.deleted + deleted
    result.bytes_sent += found.bytes
    return found.digest


def _prove(target: Target, source: Source, table: TablePlan, result: TableResult, sent: Digest) -> None:
    """Compare what Postgres holds with what was read; raise Problem, which rolls the run back, where they differ."""
    held = held_digest(target, source, table)
    if sent.rows != result.rows or held != sent:
        raise Problem(
            f"{source.name}.{table.name}: the mirror does not hold what the snapshot holds "
            f"({result.rows} rows in the snapshot, {sent.rows} sent, {held.rows} in the mirror, "
            f"digests {'equal' if held.total == sent.total else 'differ'}).",
            "run it again with --full; if it stays, please report it",
        )


def held_digest(target: Target, source: Source, table: TablePlan) -> Digest:
    """Return the digest of the rows that Postgres holds of one table, computed by Postgres."""
    ((rows, total),) = target.run("digest_misfits", {"source": source.name, "table": table.name})
    held = Digest(rows, int(total))
    if table.mirror:
        mirror = sql.Identifier(source.mirror_schema, table.mirror)
        ((rows, total),) = target.run("digest_mirror", mirror=mirror, line=digest_line(table))
        held += Digest(rows, int(total))
    return held
