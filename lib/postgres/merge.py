"""Bring a snapshot's rows into the mirrors: COPY into staging tables, delete what vanished, insert or update the rest, prove it.

Statements that belong together travel together: the link to the cloud takes 20 to 100 ms each way.
"""

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

    label: str
    table: str
    rows: int
    misfits: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0
    digest: int = 0

    @property
    def is_internal(self) -> bool:
        """SQLite's own tables, which people do not ask about."""
        return self.table.lower().startswith("sqlite_")


def merge(target: Target, source: Source, snapshot: Snapshot, tables: list[TablePlan]) -> list[TableResult]:
    """Make the mirrors and the kept rows equal to the snapshot, and prove it by count and digest."""
    results = {table.label: _counted(snapshot, table) for table in tables}
    _create_staging(target, source, tables)
    sent = {table.label: _send(target, snapshot, table, place, results[table.label]) for place, table in enumerate(tables)}
    _send_misfits(target, snapshot, tables, results, sent)
    _merge(target, source, tables, results)
    _prove(target, source, tables, results, sent)
    return list(results.values())


def _counted(snapshot: Snapshot, table: TablePlan) -> TableResult:
    return TableResult(table.label, table.printable, *lines.count(snapshot.connection, table))


def _create_staging(target: Target, source: Source, tables: list[TablePlan]) -> None:
    mirrored = [
        statement("create_staging", staging=_staging(place), mirror=mirror_of(source, table), columns=names(table.mirror_columns))
        for place, table in enumerate(tables)
        if table.mirror
    ]
    mirrors = [mirror_of(source, table) for table in tables if table.mirror]
    lock = [statement("lock_mirrors", mirrors=sql.SQL(", ").join(mirrors))] if mirrors else []
    target.rows(sql.SQL("\n").join([*lock, statement("create_run_staging"), *mirrored]))


def _send(target: Target, snapshot: Snapshot, table: TablePlan, place: int, result: TableResult) -> Digest:
    if not table.mirror:
        return Digest()
    started = time.monotonic()
    found = lines.of_mirror(snapshot.connection, table, lines.has_large(snapshot.connection, table))
    target.copy_in(statement("copy_staging", staging=_staging(place), columns=names(table.mirror_columns)), found)
    result.bytes_sent, result.seconds = found.bytes, round(time.monotonic() - started, 3)
    return found.digest


def _send_misfits(
    target: Target, snapshot: Snapshot, tables: list[TablePlan], results: dict[str, TableResult], sent: dict[str, Digest]
) -> None:
    found = lines.Misfits(snapshot.connection, [table for table in tables if results[table.label].misfits])
    target.copy_in(
        statement("copy_staging", staging=sql.Identifier("pg_temp", "misfits"), columns=names(["table_name", "line"])), found
    )
    for label, part in found.parts.items():
        sent[label] += part.digest
        results[label].bytes_sent += part.bytes


def _merge(target: Target, source: Source, tables: list[TablePlan], results: dict[str, TableResult]) -> None:
    script = [part for place, table in enumerate(tables) if table.mirror for part in _merge_table(source, table, place)]
    labels = sql.Literal([table.label for table in tables])
    misfits = statement("merge_misfits", schema=sql.Identifier(target.schema), source=sql.Literal(source.name), labels=labels)
    for label, *counts in target.rows(sql.SQL("\n").join([*script, misfits, statement("read_merged")])):
        results[label].inserted, results[label].updated, results[label].deleted = counts


def _merge_table(source: Source, table: TablePlan, place: int) -> list[sql.Composed]:
    parts = {"mirror": mirror_of(source, table), "staging": _staging(place), "label": sql.Literal(table.label)}
    key, columns = [column.mirror_name for column in table.key], table.mirror_columns
    columns_parts = {"old": names(columns, "mirror"), "new": names(columns, "excluded"), "columns": names(columns)}
    return [
        statement("delete_vanished", same_key=equal(key, "mirror", "staging"), **parts),
        statement("merge_staging", key=names(key), **columns_parts, **parts),
    ]


def _prove(
    target: Target, source: Source, tables: list[TablePlan], results: dict[str, TableResult], sent: dict[str, Digest]
) -> None:
    """Compare what Postgres holds with what was read; raise Problem, which rolls the run back, where they differ."""
    held = held_digests(target, source, tables)
    for label, result in results.items():
        if sent[label].rows != result.rows or held[label] != sent[label]:
            raise Problem(
                f"{source.name}.{result.table}: the mirror does not hold what the snapshot holds ({result.rows} rows in the "
                f"snapshot, {sent[label].rows} sent, {held[label].rows} in the mirror, "
                f"digests {'equal' if held[label].total == sent[label].total else 'differ'}).",
                "run it again with --full; if it stays, please report it",
            )
        result.digest = held[label].total


def held_digests(target: Target, source: Source, tables: list[TablePlan]) -> dict[str, Digest]:
    """Return the digests of the rows that Postgres holds, computed by Postgres, by table."""
    parts = [statement("digest_misfits", schema=sql.Identifier(target.schema), source=sql.Literal(source.name))]
    for table in tables:
        if table.mirror:
            label, line = sql.Literal(table.label), digest_line(table)
            parts.append(statement("digest_mirror", label=label, line=line, mirror=mirror_of(source, table)))
    held = {table.label: Digest() for table in tables}
    for label, rows, total in target.rows(sql.SQL("\nUNION ALL\n").join(parts)):
        if label in held:
            held[label] += Digest(rows, int(total))
    return held


def mirror_of(source: Source, table: TablePlan) -> sql.Identifier:
    return sql.Identifier(source.mirror_schema, table.mirror)


def _staging(place: int) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"staging_{place}")
