"""Send rows to Postgres: COPY into staging tables, or straight into an empty mirror."""

import time
from dataclasses import dataclass, field

from psycopg2 import sql

from lib.base import progress
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import mirror_of, names, statement
from lib.sqlite.compare.table_change import TableChange
from lib.sqlite.lines import read_lines
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.digest import Digest
from lib.tables.plan import Source, TablePlan


@dataclass
class StagedTable:
    """A part on its way: into staging tables, or straight into the mirror; `digest` is what the table must have in the end."""

    part: TableChange
    place: int
    rows: read_lines.Lines | None
    digest: Digest = field(default_factory=Digest)

    @property
    def staging(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"staging_{self.place}")

    @property
    def gone(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"gone_{self.place}")


def of_part(snapshot: Snapshot, part: TableChange, place: int) -> StagedTable:
    rows = read_lines.of_mirror(snapshot.connection, part.table, part.rows) if part.table.mirror else None
    return StagedTable(part, place, rows)


def begin(target: Target, source: Source, tables: list[TablePlan]) -> set[str]:
    """Make what every merge needs, and return the labels of those tables whose mirrors are empty."""
    script = [statement("create_run_staging")]
    mirrors = {table.label: mirror_of(source, table) for table in tables if table.mirror}
    if mirrors:
        queries = [statement("is_empty", label=sql.Literal(label), mirror=mirror) for label, mirror in mirrors.items()]
        script.append(sql.SQL("\nUNION ALL\n").join(queries))
    return {label for (label,) in target.rows(sql.SQL("\n").join(script))}


def send(target: Target, source: Source, snapshot: Snapshot, sent: StagedTable) -> None:
    """Copy the rows, and the keys that vanished; note the digest that the table will have without its misfits."""
    part, result, found = sent.part, sent.part.result, sent.rows
    if not found:
        result.misfits = result.rows
        return
    started, mirror = time.monotonic(), mirror_of(source, part.table)
    total = result.rows if part.sends_every_row else 0  # changed rows are counted while they are sent
    place = mirror if part.is_first else sent.staging
    staging = [] if part.is_first else [_new_staging(sent.staging, mirror, part.table)]
    lock = [] if source.is_rehearsal else [statement("lock_mirror", mirror=mirror)]
    _copy(target, part.table, found, total, place, [*lock, *staging])
    sent.digest = part.unchanged + found.digest
    result.bytes_sent = found.bytes
    if part.sends_every_row:
        result.misfits = result.rows - found.digest.rows
    if part.is_first:
        result.inserted = found.digest.rows
    if part.vanished:
        keys = read_lines.of_mirror(snapshot.connection, part.table.only_key, part.vanished)
        _copy(target, part.table.only_key, keys, 0, sent.gone, [_new_staging(sent.gone, mirror, part.table.only_key)])
        result.bytes_sent += keys.bytes
    result.seconds = round(time.monotonic() - started, 3)


def send_misfits(target: Target, snapshot: Snapshot, sent: list[StagedTable]) -> None:
    with_misfits = {one.part.table.label: one for one in sent if one.part.result.misfits}
    if not with_misfits:
        return
    found = read_lines.Misfits(snapshot.connection, [one.part.table for one in with_misfits.values()])
    place = sql.Identifier("pg_temp", "misfits")
    target.copy_in(statement("copy_in", place=place, columns=names(["table_name", "line"])), found)
    for label, misfits in found.parts.items():
        with_misfits[label].digest += misfits.digest
        with_misfits[label].part.result.bytes_sent += misfits.bytes


def _new_staging(staging: sql.Identifier, mirror: sql.Identifier, table: TablePlan) -> sql.Composed:
    return statement("create_staging", staging=staging, mirror=mirror, columns=names(table.mirror_columns))


def _copy(
    target: Target, table: TablePlan, found: read_lines.Lines, total: int, place: sql.Identifier, before: list[sql.Composed]
) -> None:
    """Copy the lines to their place; the statements before COPY travel with it."""
    script = [*before, statement("copy_in", place=place, columns=names(table.mirror_columns))]
    with progress.of_lines(table.printable, total, found) as file:
        target.copy_in(sql.SQL("\n").join(script), file)
