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
    """A change on its way: into staging tables, or, where it is direct, into the mirror itself, which is empty.

    `number` tells its staging tables from others. `lines` are those of the rows, None where the table has no mirror. `digest` is
    what the table must have in the end.
    """

    change: TableChange
    number: int
    lines: read_lines.Lines | None
    digest: Digest = field(default_factory=Digest)
    is_direct: bool = False

    @property
    def staging(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"staging_{self.number}")

    @property
    def gone(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"gone_{self.number}")


def staged(snapshot: Snapshot, change: TableChange, number: int) -> StagedTable:
    """Prepare a change for its way; `number` is one that no other has."""
    table = change.table
    return StagedTable(change, number, read_lines.of_mirror(snapshot.connection, table, change.rows) if table.mirror else None)


def begin(target: Target, source: Source, tables: list[TablePlan]) -> set[str]:
    """Make what every merge needs, and return the labels of those tables whose mirrors are empty."""
    script = [statement("create_run_staging")]
    mirrors = {table.label: mirror_of(source, table) for table in tables if table.mirror}
    if mirrors:
        queries = [statement("is_empty", label=sql.Literal(label), mirror=mirror) for label, mirror in mirrors.items()]
        script.append(sql.SQL("\nUNION ALL\n").join(queries))
    return {label for (label,) in target.rows(sql.SQL("\n").join(script))}


def send(target: Target, source: Source, snapshot: Snapshot, staged: StagedTable) -> None:
    """Copy the rows, and the keys that vanished; note the digest that the table will have without its misfits."""
    result, lines, started = staged.change.result, staged.lines, time.monotonic()
    if not lines:
        result.misfits = result.rows
        return
    _send_rows(target, source, staged, lines)
    staged.digest = staged.change.unchanged + lines.digest
    result.bytes_sent = lines.bytes
    if staged.change.sends_every_row:
        result.misfits = result.rows - lines.digest.rows
    else:
        result.bytes_sent += _send_vanished(target, source, snapshot, staged)
    if staged.is_direct:
        result.inserted = lines.digest.rows
    result.seconds = round(time.monotonic() - started, 3)


def _send_rows(target: Target, source: Source, staged: StagedTable, lines: read_lines.Lines) -> None:
    table, mirror = staged.change.table, mirror_of(source, staged.change.table)
    lock = [] if source.is_rehearsal else [statement("lock_mirror", mirror=mirror)]
    total = staged.change.result.rows
    if staged.is_direct:
        _copy(target, table, lines, total, mirror, lock)
    else:
        total = total if staged.change.sends_every_row else 0  # changed rows are counted while they are sent
        _copy(target, table, lines, total, staged.staging, [*lock, _new_staging(staged.staging, mirror, table)])


def _send_vanished(target: Target, source: Source, snapshot: Snapshot, staged: StagedTable) -> int:
    """Copy the keys, and return their bytes."""
    keys = staged.change.table.only_key
    lines = read_lines.of_mirror(snapshot.connection, keys, staged.change.vanished)
    _copy(target, keys, lines, 0, staged.gone, [_new_staging(staged.gone, mirror_of(source, keys), keys)])
    return lines.bytes


def send_misfits(target: Target, snapshot: Snapshot, staged: list[StagedTable]) -> None:
    """Copy the misfits of all tables at once, and add them to what each table must have in the end."""
    with_misfits = {one.change.table.label: one for one in staged if one.change.result.misfits}
    if not with_misfits:
        return
    lines = read_lines.Misfits(snapshot.connection, [one.change.table for one in with_misfits.values()])
    place = sql.Identifier("pg_temp", "misfits")
    target.copy_in(statement("copy_in", place=place, columns=names(["table_name", "line"])), lines)
    for label, of_table in lines.parts.items():
        with_misfits[label].digest += of_table.digest
        with_misfits[label].change.result.bytes_sent += of_table.bytes


def _new_staging(staging: sql.Identifier, mirror: sql.Identifier, table: TablePlan) -> sql.Composed:
    return statement("create_staging", staging=staging, mirror=mirror, columns=names(table.mirror_columns))


def _copy(
    target: Target, table: TablePlan, lines: read_lines.Lines, total: int, place: sql.Identifier, before: list[sql.Composed]
) -> None:
    """Copy the lines to their place; the statements before COPY travel with it."""
    script = [*before, statement("copy_in", place=place, columns=names(table.mirror_columns))]
    with progress.of_lines(table.printable, total, lines) as file:
        target.copy_in(sql.SQL("\n").join(script), file)
