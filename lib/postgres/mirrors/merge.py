"""Bring rows into the mirrors: COPY into staging tables, delete what vanished, insert or update the rest, prove it.

Statements that belong together travel together: the link to the cloud takes 20 to 100 ms each way.
"""

from collections.abc import Callable, Iterable
from concurrent import futures
from dataclasses import dataclass, field

from psycopg2 import sql

from lib.postgres.link.connection import Target
from lib.postgres.link.statements import equal, mirror_of, names, over_whole_tables, postgres_digest_line, row_hash, statement
from lib.postgres.mirrors import proof, sending
from lib.postgres.mirrors.doubt import Doubt
from lib.postgres.mirrors.sending import StagedTable
from lib.sqlite.compare.table_change import TableChange
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Source, TablePlan
from lib.tables.results import TableResult

# From so many bytes on, Postgres merges what it has while the next table is looked through.
MERGED_BYTES = 100_000
# So many bytes of lines are kept in memory for when Postgres is not busy any more.
AHEAD_BYTES = 1_000_000


def rely(_results: list[TableResult]) -> None:
    """Rely on what was carried forward: not every row need be compared each time."""


def merge(
    target: Target,
    source: Source,
    snapshot: Snapshot,
    tables: list[TablePlan],
    parts: Iterable[TableChange],
    confirm: Callable[[], None] = lambda: None,
    compare: Callable[[list[TableResult]], None] = rely,
) -> list[TableResult]:
    """Make the mirrors and the kept rows equal to the snapshot, and prove it by count and digest.

    `parts` are found one by one: while SQLite looks for the next ones, Postgres merges those before them, in a thread; and
    before anything is sent, `confirm` asks it whether they are to be relied on. Where they are not enough, or `compare` finds in
    the end that they were not, raise Doubt, and everything is as it was.
    """
    work = _MergeQueue(target, source, snapshot, tables)
    try:
        results = _merge_all(work, parts, confirm)
        compare(results)
    except Doubt:
        if work.sent:
            target.statement("undo_merge")
        raise
    return results


def _merge_all(work: "_MergeQueue", parts: Iterable[TableChange], confirm: Callable[[], None]) -> list[TableResult]:
    results = {}
    with futures.ThreadPoolExecutor(1) as beside:
        busy = beside.submit(confirm)
        for place, part in enumerate(parts):
            results[part.table.label] = part.result
            if part.is_sent:
                work.found.append(sending.of_part(work.snapshot, part, place))
            if busy.done():
                busy.result()
                work.send()
                if work.is_much:
                    busy = beside.submit(work.merge)
            elif part.is_sent:
                work.read_ahead()
        busy.result()
    work.send()
    work.finish()
    return [results[table.label] for table in work.tables if table.label in results]


@dataclass
class _MergeQueue:
    """What has been found but not sent, what Postgres has not merged yet, and all that it was sent."""

    target: Target
    source: Source
    snapshot: Snapshot
    tables: list[TablePlan]
    found: list[StagedTable] = field(default_factory=list)
    waiting: list[StagedTable] = field(default_factory=list)
    sent: list[StagedTable] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    ahead: int = 0

    def read_ahead(self) -> None:
        """Read of what was found last while Postgres is busy, but keep little of all that in memory."""
        rows = self.found[-1].rows
        if rows and self.ahead < AHEAD_BYTES:
            self.ahead += rows.read_ahead(AHEAD_BYTES - self.ahead)

    def send(self) -> None:
        if self.found and not self.sent:
            may_be_empty = self.tables if any(one.part.sends_every_row for one in self.found) else []
            self.empty = sending.begin(self.target, self.source, may_be_empty)
        for one in self.found:
            # COPY goes straight into a table of one's own only: for anybody else row level security forbids it.
            may_be_first = self.source.may_alter and not self.source.is_rehearsal
            one.part.is_first = one.part.sends_every_row and may_be_first and one.part.table.label in self.empty
            sending.send(self.target, self.source, self.snapshot, one)
        self.waiting += self.found
        self.sent += self.found
        self.found, self.ahead = [], 0

    @property
    def is_much(self) -> bool:
        """Whether it pays to merge now; whole tables wait for their misfits, which all tables send together."""
        size = sum(one.part.result.bytes_sent for one in self.waiting)
        must_wait = self.source.is_rehearsal or any(one.part.sends_every_row for one in self.waiting)
        return size >= MERGED_BYTES and not must_wait

    def merge(self) -> None:
        _merge(self.target, self.source, self.waiting)
        self.waiting = []

    def finish(self) -> None:
        if self.sent:
            sending.send_misfits(self.target, self.snapshot, self.waiting)
            found = _merge(self.target, self.source, self.waiting, proof.query(self.target, self.source, self.sent))
            proof.prove(self.source, self.sent, found)


def _merge(target: Target, source: Source, waiting: list[StagedTable], *queries: sql.Composed) -> list[tuple]:
    """Merge what was sent, and return what a query that travels with it finds then."""
    script = [
        step for sent in waiting if sent.part.table.mirror and not sent.part.is_first for step in _merge_table(source, sent)
    ]
    whole = [sent.part.table.label for sent in waiting if sent.part.sends_every_row]
    if whole:
        script += _merge_misfits(target, source, whole)
    return target.rows(sql.SQL("\n").join([*script, *queries]))


def _merge_misfits(target: Target, source: Source, labels: list[str]) -> list[sql.Composed]:
    places = {"schema": sql.Identifier(target.schema), "source": sql.Literal(source.name), "staged": statement("number_misfits")}
    delete = statement("delete_misfits", labels=sql.Literal(labels), **places)
    return over_whole_tables(delete, statement("insert_misfits", **places))


def _merge_table(source: Source, sent: StagedTable) -> list[sql.Composed]:
    table = sent.part.table
    key, columns = table.key_names, table.mirror_columns
    places = {
        "key": names(key),
        "mirror": mirror_of(source, table),
        "staging": sent.staging,
        "label": sql.Literal(table.label),
        "same_key": equal(key, "mirror", "staging"),
        "hash": sql.Literal(0)
        if sent.part.sends_every_row
        else row_hash(postgres_digest_line(table)),  # whole tables are read in the end
    }
    merge_staging = statement(
        "merge_staging",
        columns=names(columns),
        old=names(columns, "mirror"),
        new=names(columns, "excluded"),
        **places,
    )
    if sent.part.sends_every_row:
        return [*over_whole_tables(statement("delete_vanished", **places)), merge_staging]
    return [statement("delete_gone", gone=sent.gone, is_gone=equal(key, "mirror", "gone"), **places), merge_staging]
