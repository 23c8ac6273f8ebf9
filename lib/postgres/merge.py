"""Bring rows into the mirrors: COPY into staging tables, delete what vanished, insert or update the rest, prove it.

Statements that belong together travel together: the link to the cloud takes 20 to 100 ms each way.
"""

import time
from collections.abc import Callable, Collection, Iterable
from concurrent import futures
from dataclasses import dataclass, field

from psycopg2 import sql

from lib.digest import Digest
from lib.errors import Problem
from lib.part import Part, TableResult
from lib.plan import Source, TablePlan
from lib.postgres.connection import Target
from lib.postgres.statements import digest_line, equal, mirror_of, names, row_hash, statement
from lib.reporting import progress
from lib.sqlite import lines
from lib.sqlite.snapshot import Snapshot

# From so many bytes on, Postgres merges what it has while the next table is looked through.
MERGED_BYTES = 100_000


@dataclass
class Sending:
    """A part on its way: into staging tables, or straight into the mirror; `digest` is what the table must have in the end."""

    part: Part
    place: int
    digest: Digest = field(default_factory=Digest)

    @property
    def staging(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"staging_{self.place}")

    @property
    def gone(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"gone_{self.place}")


def merge(
    target: Target,
    source: Source,
    snapshot: Snapshot,
    tables: list[TablePlan],
    parts: Iterable[Part],
    confirm: Callable[[], None] = lambda: None,
) -> list[TableResult]:
    """Make the mirrors and the kept rows equal to the snapshot, and prove it by count and digest.

    `parts` are found one by one: while SQLite looks for the next ones, Postgres merges those before them, in a thread; and
    before anything is sent, `confirm` asks it whether they are to be relied on.
    """
    results, work = {}, _Work(target, source, snapshot, tables)
    with futures.ThreadPoolExecutor(1) as beside:
        busy = beside.submit(confirm)
        for place, part in enumerate(parts):
            results[part.table.label] = part.result
            if part.is_sent:
                work.found.append(Sending(part, place))
            if busy.done():
                busy.result()
                work.send()
                if work.is_much:
                    busy = beside.submit(work.merge)
        busy.result()
    work.send()
    work.finish()
    return [results[table.label] for table in tables]


@dataclass
class _Work:
    """What has been found but not sent, what Postgres has not merged yet, and all that it was sent."""

    target: Target
    source: Source
    snapshot: Snapshot
    tables: list[TablePlan]
    found: list[Sending] = field(default_factory=list)
    waiting: list[Sending] = field(default_factory=list)
    sent: list[Sending] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)

    def send(self) -> None:
        if self.found and not self.sent:
            self.empty = _begin(self.target, self.source, self.tables)
        for one in self.found:
            one.part.is_first = one.part.is_whole and one.part.table.label in self.empty
            _send(self.target, self.source, self.snapshot, one)
        self.waiting += self.found
        self.sent += self.found
        self.found = []

    @property
    def is_much(self) -> bool:
        """Whether it pays to merge now; whole tables wait for their misfits, which all tables send together."""
        size = sum(one.part.result.bytes_sent for one in self.waiting)
        return size >= MERGED_BYTES and not any(one.part.is_whole for one in self.waiting)

    def merge(self) -> None:
        _merge(self.target, self.source, self.waiting)
        self.waiting = []

    def finish(self) -> None:
        if self.sent:
            _send_misfits(self.target, self.snapshot, self.waiting)
            _prove(self.source, self.sent, _merge(self.target, self.source, self.waiting, self.sent))


def _begin(target: Target, source: Source, tables: list[TablePlan]) -> set[str]:
    """Make what every merge needs, and return the labels of the mirrors that are empty."""
    script = [statement("create_run_staging")]
    mirrors = {table.label: mirror_of(source, table) for table in tables if table.mirror}
    if mirrors:
        queries = [statement("is_empty", label=sql.Literal(label), mirror=mirror) for label, mirror in mirrors.items()]
        script.append(sql.SQL("\nUNION ALL\n").join(queries))
    return {label for (label,) in target.rows(sql.SQL("\n").join(script))}


def _send(target: Target, source: Source, snapshot: Snapshot, sent: Sending) -> None:
    """Copy the rows, and the keys that vanished; note the digest that the table will have without its misfits."""
    part, result = sent.part, sent.part.result
    if not part.table.mirror:
        result.misfits = result.rows
        return
    started, mirror = time.monotonic(), mirror_of(source, part.table)
    found = lines.of_mirror(snapshot.connection, part.table, part.rows)
    total = result.rows if part.is_whole else 0  # changed rows are counted while they are sent
    place = mirror if part.is_first else sent.staging
    staging = [] if part.is_first else [_new_staging(sent.staging, mirror, part.table)]
    _copy(target, part.table, found, total, place, [statement("lock_mirror", mirror=mirror), *staging])
    sent.digest = part.kept + found.digest
    result.bytes_sent = found.bytes
    if part.is_whole:
        result.misfits = result.rows - found.digest.rows
    if part.is_first:
        result.inserted = found.digest.rows
    if part.vanished:
        keys = lines.of_mirror(snapshot.connection, part.table.only_key, part.vanished)
        _copy(target, part.table.only_key, keys, 0, sent.gone, [_new_staging(sent.gone, mirror, part.table.only_key)])
        result.bytes_sent += keys.bytes
    result.seconds = round(time.monotonic() - started, 3)


def _new_staging(staging: sql.Identifier, mirror: sql.Identifier, table: TablePlan) -> sql.Composed:
    return statement("create_staging", staging=staging, mirror=mirror, columns=names(table.mirror_columns))


def _copy(
    target: Target, table: TablePlan, found: lines.Lines, total: int, place: sql.Identifier, before: list[sql.Composed]
) -> None:
    """Copy the lines to their place; the statements before COPY travel with it."""
    script = [*before, statement("copy_in", place=place, columns=names(table.mirror_columns))]
    with progress.of_rows(table.printable, total, found) as file:
        target.copy_in(sql.SQL("\n").join(script), file)


def _send_misfits(target: Target, snapshot: Snapshot, sent: list[Sending]) -> None:
    with_misfits = {one.part.table.label: one for one in sent if one.part.result.misfits}
    if not with_misfits:
        return
    found = lines.Misfits(snapshot.connection, [one.part.table for one in with_misfits.values()])
    place = sql.Identifier("pg_temp", "misfits")
    target.copy_in(statement("copy_in", place=place, columns=names(["table_name", "line"])), found)
    for label, misfits in found.parts.items():
        with_misfits[label].digest += misfits.digest
        with_misfits[label].part.result.bytes_sent += misfits.bytes


def _merge(target: Target, source: Source, waiting: list[Sending], proven: Collection[Sending] = ()) -> list[tuple]:
    """Merge what was sent; return what was done to the tables that are to be proven, and what Postgres holds of them then.

    Whole tables are read when all are merged: a trigger or a foreign key on one mirror may change another.
    """
    script = [
        step for sent in waiting if sent.part.table.mirror and not sent.part.is_first for step in _merge_table(source, sent)
    ]
    whole = [sent.part.table.label for sent in waiting if sent.part.is_whole]
    if whole:
        places = {"schema": sql.Identifier(target.schema), "source": sql.Literal(source.name)}
        script.append(statement("merge_misfits", labels=sql.Literal(whole), **places))
    if proven:
        queries = [_digest_mirror(source, sent.part.table) for sent in proven if sent.part.is_whole and sent.part.table.mirror]
        labels = sql.Literal([sent.part.table.label for sent in proven])
        script.append(statement("prove", held=_held(target, source, queries), labels=labels))
    return target.rows(sql.SQL("\n").join(script))


def _merge_table(source: Source, sent: Sending) -> list[sql.Composed]:
    table = sent.part.table
    key, columns = _key(table), table.mirror_columns
    places = {
        "key": names(key),
        "mirror": mirror_of(source, table),
        "staging": sent.staging,
        "label": sql.Literal(table.label),
        "same_key": equal(key, "mirror", "staging"),
        "hash": sql.Literal(0) if sent.part.is_whole else row_hash(digest_line(table)),  # whole tables are read in the end
    }
    merge_staging = statement(
        "merge_staging",
        columns=names(columns),
        old=names(columns, "mirror"),
        new=names(columns, "excluded"),
        **places,
    )
    if sent.part.is_whole:
        return [statement("delete_vanished", **places), merge_staging]
    return [statement("delete_gone", gone=sent.gone, is_gone=equal(key, "mirror", "gone"), **places), merge_staging]


def _prove(source: Source, sent: list[Sending], found: list[tuple]) -> None:
    """Note what the merges did, and refuse a mirror that does not hold what the snapshot holds, which rolls the run back."""
    counts = {label: counts for label, *counts in found}
    for one in sent:
        _prove_table(source, one, *counts.get(one.part.table.label, (0, 0, 0, 0, 0)))


def _prove_table(source: Source, sent: Sending, rows: int, total: int, inserted: int, updated: int, deleted: int) -> None:
    result, part, ours = sent.part.result, sent.part, sent.digest
    theirs = Digest(rows if part.is_whole else part.before + inserted - deleted, int(total) + part.kept.total)
    result.inserted += inserted
    result.updated += updated
    result.deleted += deleted
    result.digest = theirs.total
    if not ours.rows == theirs.rows == result.rows or ours.total != theirs.total:
        raise Problem(
            f"{source.name}.{result.table}: the mirror does not hold what the snapshot holds ({result.rows} rows in the "
            f"snapshot, {ours.rows} sent or kept, {theirs.rows} in the mirror, "
            f"digests {'equal' if ours.total == theirs.total else 'differ'}).",
            "run it again with --full; if it stays, please report it",
        )


def _digest_mirror(source: Source, table: TablePlan) -> sql.Composed:
    places = {"label": sql.Literal(table.label), "mirror": mirror_of(source, table)}
    return statement("digest_mirror", hash=row_hash(digest_line(table)), **places)


def held_digests(target: Target, source: Source, tables: list[TablePlan]) -> dict[str, Digest]:
    """Return the digests of the rows that Postgres holds, computed by Postgres, by table."""
    queries = [_digest_mirror(source, table) for table in tables if table.mirror]
    held = {table.label: Digest() for table in tables}
    for label, rows, total in target.rows(_held(target, source, queries)):
        if label in held:
            held[label] += Digest(rows, int(total))
    return held


def _held(target: Target, source: Source, queries: list[sql.Composed]) -> sql.Composed:
    """Return the query of some mirrors' digests and of those of the source's kept rows, by label; a label may come twice."""
    places = {"schema": sql.Identifier(target.schema), "source": sql.Literal(source.name)}
    misfits = statement("digest_misfits", hash=row_hash(sql.SQL("line")), **places)
    return sql.SQL("\nUNION ALL\n").join([misfits, *queries])


def _key(table: TablePlan) -> list[str]:
    return [column.mirror_name for column in table.key]
