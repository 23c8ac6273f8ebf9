"""Bring rows into the mirrors: COPY into staging tables, delete what vanished, insert or update the rest, prove it.

Statements that belong together travel together: the link to the cloud takes 20 to 100 ms each way.
"""

import time
from collections.abc import Iterable

from psycopg2 import sql

from lib.digest import Digest
from lib.errors import Problem
from lib.part import Part, TableResult
from lib.plan import Source, TablePlan
from lib.postgres.connection import Target
from lib.postgres.statements import digest_line, equal, mirror_of, names, statement
from lib.reporting import progress
from lib.sqlite import lines
from lib.sqlite.snapshot import Snapshot


def merge(target: Target, source: Source, snapshot: Snapshot, parts: list[Part]) -> list[TableResult]:
    """Make the mirrors and the kept rows equal to the snapshot, and prove it by count and digest."""
    sent = [part for part in parts if part.is_sent]
    if sent:
        _lock(target, source, sent)
        _create_staging(target, source, sent)
        digests = {part.table.label: _send(target, source, snapshot, part, place) for place, part in enumerate(sent)}
        _send_misfits(target, snapshot, sent, digests)
        _merge(target, source, sent)
        _prove(target, source, sent, digests)
    return [part.result for part in parts]


def _lock(target: Target, source: Source, parts: list[Part]) -> None:
    """Lock the mirrors, and find those that are empty."""
    mirrors = {part.table.label: mirror_of(source, part.table) for part in parts if part.table.mirror}
    if not mirrors:
        return
    lock = statement("lock_mirrors", mirrors=sql.SQL(", ").join(mirrors.values()))
    queries = [statement("is_empty", label=sql.Literal(label), mirror=mirror) for label, mirror in mirrors.items()]
    empty = {label for (label,) in target.rows(lock + sql.SQL("\nUNION ALL\n").join(queries))}
    for part in parts:
        part.is_first = part.is_whole and part.table.label in empty


def _create_staging(target: Target, source: Source, parts: list[Part]) -> None:
    script = [statement("create_run_staging")]
    for place, part in enumerate(parts):
        if part.table.mirror and not part.is_first:
            mirror = mirror_of(source, part.table)
            script.append(_new_staging(_staging(place), mirror, part.table.mirror_columns))
            if part.vanished:
                script.append(_new_staging(_gone(place), mirror, _key(part.table)))
    target.rows(sql.SQL("\n").join(script))


def _new_staging(staging: sql.Identifier, mirror: sql.Identifier, columns: list[str]) -> sql.Composed:
    return statement("create_staging", staging=staging, mirror=mirror, columns=names(columns))


def _send(target: Target, source: Source, snapshot: Snapshot, part: Part, place: int) -> Digest:
    """Copy the rows, and the keys that vanished; return the digest that the table will have without its misfits."""
    if not part.table.mirror:
        part.result.misfits = part.result.rows
        return Digest()
    started = time.monotonic()
    found = lines.of_mirror(snapshot.connection, part.table, part.rows)
    total = part.result.rows if part.is_whole else 0  # changed rows are counted while they are sent
    _copy(target, part.table, found, total, mirror_of(source, part.table) if part.is_first else _staging(place))
    part.result.bytes_sent = found.bytes
    if part.is_whole:
        part.result.misfits = part.result.rows - found.digest.rows
    if part.is_first:
        part.result.inserted = found.digest.rows
    if part.vanished:
        keys = lines.of_mirror(snapshot.connection, part.table.only_key, part.vanished)
        _copy(target, part.table.only_key, keys, 0, _gone(place))
        part.result.bytes_sent += keys.bytes
    part.result.seconds = round(time.monotonic() - started, 3)
    return part.kept + found.digest


def _copy(target: Target, table: TablePlan, found: lines.Lines, total: int, place: sql.Identifier) -> None:
    with progress.of_rows(table.printable, total, found) as file:
        target.copy_in(statement("copy_in", place=place, columns=names(table.mirror_columns)), file)


def _send_misfits(target: Target, snapshot: Snapshot, parts: list[Part], digests: dict[str, Digest]) -> None:
    with_misfits = {part.table.label: part for part in parts if part.result.misfits}
    if not with_misfits:
        return
    found = lines.Misfits(snapshot.connection, [part.table for part in with_misfits.values()])
    place = sql.Identifier("pg_temp", "misfits")
    target.copy_in(statement("copy_in", place=place, columns=names(["table_name", "line"])), found)
    for label, misfits in found.parts.items():
        digests[label] += misfits.digest
        with_misfits[label].result.bytes_sent += misfits.bytes


def _merge(target: Target, source: Source, parts: list[Part]) -> None:
    merged = [(place, part) for place, part in enumerate(parts) if part.table.mirror and not part.is_first]
    script = [step for place, part in merged for step in _merge_table(source, part, place)]
    labels = sql.Literal([part.table.label for part in parts if part.is_whole])
    misfits = statement("merge_misfits", schema=sql.Identifier(target.schema), source=sql.Literal(source.name), labels=labels)
    results = {part.table.label: part.result for part in parts}
    for label, *counts in target.rows(sql.SQL("\n").join([*script, misfits, statement("read_merged")])):
        for name, count in zip(("inserted", "updated", "deleted"), counts, strict=True):
            setattr(results[label], name, getattr(results[label], name) + count)


def _merge_table(source: Source, part: Part, place: int) -> list[sql.Composed]:
    key, columns = _key(part.table), part.table.mirror_columns
    places = {
        "key": names(key),
        "mirror": mirror_of(source, part.table),
        "staging": _staging(place),
        "label": sql.Literal(part.table.label),
        "same_key": equal(key, "mirror", "staging"),
    }
    merge_staging = statement(
        "merge_staging",
        columns=names(columns),
        old=names(columns, "mirror"),
        new=names(columns, "excluded"),
        **places,
    )
    if part.is_whole:
        return [statement("delete_vanished", **places), merge_staging]
    return [statement("delete_gone", gone=_gone(place), is_gone=equal(key, "mirror", "gone"), **places), merge_staging]


def _prove(target: Target, source: Source, parts: list[Part], sent: dict[str, Digest]) -> None:
    """Compare what Postgres holds with what was read; raise Problem, which rolls the run back, where they differ."""
    queries = [_digest(source, part, place) for place, part in enumerate(parts) if part.table.mirror]
    held = _digests(target, source, queries, [part.table.label for part in parts])
    for part in parts:
        result, ours, theirs = part.result, sent[part.table.label], held[part.table.label]
        theirs += Digest(0, part.kept.total)
        if not ours.rows == theirs.rows == result.rows or ours.total != theirs.total:
            raise Problem(
                f"{source.name}.{result.table}: the mirror does not hold what the snapshot holds ({result.rows} rows in the "
                f"snapshot, {ours.rows} sent or kept, {theirs.rows} in the mirror, "
                f"digests {'equal' if ours.total == theirs.total else 'differ'}).",
                "run it again with --full; if it stays, please report it",
            )
        result.digest = theirs.total


def _digest(source: Source, part: Part, place: int) -> sql.Composed:
    if part.is_whole:
        return _digest_mirror(source, part.table)
    mirror, key = mirror_of(source, part.table), names(_key(part.table))
    label, line = sql.Literal(part.table.label), digest_line(part.table)
    return statement("digest_merged", label=label, line=line, mirror=mirror, key=key, staging=_staging(place))


def _digest_mirror(source: Source, table: TablePlan) -> sql.Composed:
    return statement("digest_mirror", label=sql.Literal(table.label), line=digest_line(table), mirror=mirror_of(source, table))


def held_digests(target: Target, source: Source, tables: list[TablePlan]) -> dict[str, Digest]:
    """Return the digests of the rows that Postgres holds, computed by Postgres, by table."""
    queries = [_digest_mirror(source, table) for table in tables if table.mirror]
    return _digests(target, source, queries, [table.label for table in tables])


def _digests(target: Target, source: Source, queries: list[sql.Composed], labels: Iterable[str]) -> dict[str, Digest]:
    misfits = statement("digest_misfits", schema=sql.Identifier(target.schema), source=sql.Literal(source.name))
    held = {label: Digest() for label in labels}
    for label, rows, total in target.rows(sql.SQL("\nUNION ALL\n").join([misfits, *queries])):
        if label in held:
            held[label] += Digest(rows, int(total))
    return held


def _key(table: TablePlan) -> list[str]:
    return [column.mirror_name for column in table.key]


def _staging(place: int) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"staging_{place}")


def _gone(place: int) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"gone_{place}")
