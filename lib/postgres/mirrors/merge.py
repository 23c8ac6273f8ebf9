"""Bring rows into the mirrors: COPY into staging tables, delete what vanished, insert or update the rest, prove it.

Statements that belong together travel together: the link to the cloud takes 20 to 100 ms each way.

Every row (`every_row`), one step after the other: each table is copied into staging tables, or straight into a mirror that is
empty; then the misfits of all; then one round trip merges everything and returns digests, which must be the snapshot's.

Changed rows (`changed_rows`), with a thread beside that does nothing but wait for Postgres:

    here                                                     beside, meanwhile
    1. look through the tables, one by one, and read of      Postgres counts the rows of the mirrors: are they as they were left?
       each that has changed a little ahead
    2. copy what was found into staging tables               nothing: a connection has one statement at a time
    3. look through the next tables, and read ahead          Postgres merges what was copied, if that is much
    2 and 3 again, until all tables are looked through
    4. copy the rest, merge it, and ask for the digest of    nothing
       all rows that were merged, in one round trip
    5. compare all rows, where that is due                   nothing

SQLite is read here only, and the connection is used on one side only: this side leaves it alone until the other one is done.
What the other side raises, this one raises as soon as it sees it, before it sends anything more. Nothing is committed here; where
the changed rows turn out not to be enough, the mirrors are again what they were before step 1.
"""

from collections.abc import Callable, Iterable
from concurrent import futures
from dataclasses import dataclass, field

from psycopg2 import sql

from lib.postgres.link.connection import Row, Target
from lib.postgres.link.statements import equal, mirror_of, names, over_whole_tables, postgres_digest_line, row_hash, statement
from lib.postgres.mirrors import last_run, proof, sending
from lib.postgres.mirrors.doubt import Doubt
from lib.postgres.mirrors.sending import StagedTable
from lib.postgres.mirrors.transfer import Transfer
from lib.sqlite.compare.table_change import TableChange
from lib.tables.plan import Source, TablePlan
from lib.tables.results import LastRun, TableResult

# From so many bytes on, Postgres merges what it has while the next table is looked through.
MERGED_BYTES = 100_000
# So many bytes of lines are kept in memory for when Postgres is not busy any more.
AHEAD_BYTES = 1_000_000


def every_row(transfer: Transfer, tables: list[TablePlan], changes: Iterable[TableChange]) -> list[TableResult]:
    """Make the mirrors and the misfits equal to the snapshot from whole tables, and prove it by count and digest."""
    queue = _MergeQueue(transfer, tables)
    for change in changes:
        queue.add(change)
        queue.send()
    return queue.finish()


def changed_rows(
    transfer: Transfer,
    tables: list[TablePlan],
    changes: Iterable[TableChange],
    known: LastRun,
    compare: Callable[[list[TableResult]], None],
) -> list[TableResult]:
    """The same from what has changed since the mirrors held what is `known`; `compare` has the last word.

    `changes` are found while they are asked for. Raise Doubt where the mirrors did not hold what is known, or where `compare`
    finds a difference; then everything is as it was.
    """
    queue = _MergeQueue(transfer, tables)
    try:
        _look_and_merge(queue, changes, known)
        results = queue.finish()
        compare(results)
    except Doubt:
        if queue.sent:
            transfer.target.statement("undo_merge")
        raise
    return results


def undone(transfer: Transfer) -> str:
    """Take back what relied on numbers of rows that were found to be others, and return why; nothing where there are none."""
    if not transfer.others:
        return ""
    transfer.target.statement("undo_merge")
    return transfer.others.what


def rely(_results: list[TableResult]) -> None:
    """Rely on the changed rows: not every row need be compared each time."""


def _look_and_merge(queue: "_MergeQueue", changes: Iterable[TableChange], known: LastRun) -> None:
    """Do steps 1 to 3."""
    transfer = queue.transfer
    with futures.ThreadPoolExecutor(1) as beside:
        busy = beside.submit(last_run.confirm, transfer.target, transfer.source, known)
        for change in changes:
            queue.add(change)
            if busy.done():
                busy.result()
                queue.send()
                if queue.is_much:
                    busy = beside.submit(queue.merge)
            elif change.is_sent:
                queue.read_ahead()
        busy.result()


@dataclass
class _MergeQueue:
    """Where each change is: `looked_through`, but not sent; `staged`, but not merged. `sent` are all that ever were staged."""

    transfer: Transfer
    tables: list[TablePlan]
    results: dict[str, TableResult] = field(default_factory=dict)
    looked_through: list[StagedTable] = field(default_factory=list)
    staged: list[StagedTable] = field(default_factory=list)
    sent: list[StagedTable] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    bytes_ahead: int = 0

    def add(self, change: TableChange) -> None:
        self.results[change.table.label] = change.result
        if change.is_sent:
            number = len(self.sent) + len(self.looked_through)
            self.looked_through.append(sending.staged(self.transfer.snapshot, change, number))

    def read_ahead(self) -> None:
        """Read of what was found last while Postgres is busy, but keep little of all that in memory."""
        lines = self.looked_through[-1].lines
        if lines and self.bytes_ahead < AHEAD_BYTES:
            self.bytes_ahead += lines.read_ahead(AHEAD_BYTES - self.bytes_ahead)

    def send(self) -> None:
        target, source = self.transfer.target, self.transfer.source
        if self.looked_through and not self.sent:
            may_be_empty = self.tables if any(one.change.sends_every_row for one in self.looked_through) else []
            self.empty = sending.begin(target, source, may_be_empty)
        for one in self.looked_through:
            # COPY goes straight into a table of one's own only: for anybody else row level security forbids it.
            may_be_direct = source.may_alter and not source.is_rehearsal
            one.is_direct = one.change.sends_every_row and may_be_direct and one.change.table.label in self.empty
            sending.send(target, source, self.transfer.snapshot, one)
        self.staged += self.looked_through
        self.sent += self.looked_through
        self.looked_through, self.bytes_ahead = [], 0

    @property
    def is_much(self) -> bool:
        """Whether it pays to merge now; whole tables wait for their misfits, which all tables send together."""
        size = sum(one.change.result.bytes_sent for one in self.staged)
        must_wait = self.transfer.source.is_rehearsal or any(one.change.sends_every_row for one in self.staged)
        return size >= MERGED_BYTES and not must_wait

    def merge(self) -> None:
        _merge(self.transfer.target, self.transfer.source, self.staged)
        self.staged = []

    def finish(self) -> list[TableResult]:
        """Send and merge what is left, prove all of it, and return the results in the order of the tables."""
        target, source = self.transfer.target, self.transfer.source
        self.send()
        if self.sent:
            sending.send_misfits(target, self.transfer.snapshot, self.staged)
            proof.prove(source, self.sent, _merge(target, source, self.staged, proof.query(target, source, self.sent)))
        return [self.results[table.label] for table in self.tables if table.label in self.results]


def _merge(target: Target, source: Source, staged: list[StagedTable], *queries: sql.Composed) -> list[Row]:
    """Merge what was staged, and return what a query that travels with it finds then."""
    with_mirrors = [one for one in staged if one.change.table.mirror and not one.is_direct]
    script = [step for one in with_mirrors for step in _merge_table(source, one)]
    whole = [one.change.table.label for one in staged if one.change.sends_every_row]
    if whole:
        script += _merge_misfits(target, source, whole)
    return target.rows(sql.SQL("\n").join([*script, *queries]))


def _merge_misfits(target: Target, source: Source, labels: list[str]) -> list[sql.Composed]:
    places = {"schema": sql.Identifier(target.schema), "source": sql.Literal(source.name), "staged": statement("number_misfits")}
    delete = statement("delete_misfits", labels=sql.Literal(labels), **places)
    return over_whole_tables(delete, statement("insert_misfits", **places))


def _merge_table(source: Source, staged: StagedTable) -> list[sql.Composed]:
    table, is_whole = staged.change.table, staged.change.sends_every_row
    key, columns = table.key_names, table.mirror_columns
    places = {
        "key": names(key),
        "mirror": mirror_of(source, table),
        "staging": staged.staging,
        "label": sql.Literal(table.label),
        "same_key": equal(key, "mirror", "staging"),
        "hash": sql.Literal(0) if is_whole else row_hash(postgres_digest_line(table)),  # whole tables are read in the end
    }
    cells = {"columns": names(columns), "old": names(columns, "mirror"), "new": names(columns, "excluded")}
    merge_staging = statement("merge_staging", **cells, **places)
    if is_whole:
        return [*over_whole_tables(statement("delete_vanished", **places)), merge_staging]
    is_gone = equal(key, "mirror", "gone")
    return [statement("delete_gone", gone=staged.gone, is_gone=is_gone, **places), merge_staging]
