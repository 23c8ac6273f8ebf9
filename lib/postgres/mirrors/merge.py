"""Bring rows into the mirrors: COPY into staging tables, delete what vanished, insert or update the rest, prove it.

Statements that belong together travel together: the link to the cloud takes 20 to 100 ms each way.

Every row (`every_row`), one step after the other: of what is much, each table is copied into a staging table, or straight into a
mirror that is empty; then, in one COPY, what is little and the misfits of all; then one round trip merges everything and returns
digests, which must be the snapshot's.

Changed rows (`changed_rows`), with a thread beside that does nothing but wait for Postgres:

    here                                                     beside, meanwhile
    1. look through the tables, one by one, and read what    Postgres counts the rows of the mirrors: are they as they were left?
       is little
    2. copy what is much                                     nothing: a connection has one statement at a time
    3. look through the next tables                          Postgres merges what is much
    2 and 3 again, until all tables are looked through
    4. copy all that is little at once, merge it, and ask    nothing
       for the digest of all rows that were merged
    5. compare all rows, where that is due                   nothing

Few rows are counted where the first are sent, in the same message: then there is nothing to wait for.

SQLite is read here only, and the connection is used on one side only: this side leaves it alone until the other one is done.
What the other side raises, this one raises as soon as it sees it, before it sends anything more. Nothing is committed here; where
the changed rows turn out not to be enough, the mirrors are again what they were before step 1.
"""

from collections.abc import Callable, Collection, Iterable
from concurrent import futures
from dataclasses import dataclass, field

from psycopg2 import sql

from lib.base.errors import OtherCounts
from lib.postgres.link.connection import Row, Target
from lib.postgres.link.statements import (
    equal,
    mirror_of,
    names,
    over_whole_tables,
    postgres_digest_line,
    row_hash,
    statement,
    to_the_bit,
)
from lib.postgres.mirrors import last_run, proof, sending, upkeep
from lib.postgres.mirrors.doubt import Doubt
from lib.postgres.mirrors.sending import StagedTable
from lib.postgres.mirrors.transfer import Transfer
from lib.sqlite.compare.table_change import TableChange
from lib.tables.plan import Source, TablePlan
from lib.tables.results import LastRun, TableResult

# So few rows Postgres counts in less time than a round trip takes.
FEW_ROWS = 100_000
# So many bytes of lines are kept in memory, of tables of which little is sent.
AHEAD_BYTES = 4_000_000


def every_row(
    transfer: Transfer, tables: list[TablePlan], changes: Iterable[TableChange], empty: Collection[str] | None = None
) -> list[TableResult]:
    """Make the mirrors and the misfits equal to the snapshot from whole tables, and prove it by count and digest.

    `empty` are the labels of the tables whose mirrors are empty, where that is known.
    """
    queue = _MergeQueue(transfer, tables, empty)
    for change in changes:
        queue.add(change)
        queue.send_much()
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
        look = _look if _is_soon_counted(known, tables) else _look_and_merge
        look(queue, changes, known)
        results = queue.finish()
        compare(results)
    except (Doubt, OtherCounts) as found:
        if queue.has_begun:
            transfer.target.statement("undo_merge")
        raise found if isinstance(found, Doubt) else Doubt(found.what, found.labels) from None
    return results


def undone(transfer: Transfer, others: OtherCounts) -> Transfer:
    """Take back what relied on numbers of rows that were found to be others; return the transfer with the mirrors as they are."""
    transfer.target.statement("undo_merge")
    mirrors = upkeep.read(transfer.target, transfer.source)
    return transfer._replace(others=others, told=transfer.told._replace(mirrors=mirrors))


def rely(_results: list[TableResult]) -> None:
    """Rely on the changed rows: not every row need be compared each time."""


def _is_soon_counted(known: LastRun, tables: list[TablePlan]) -> bool:
    """Whether Postgres counts all rows that the last run has left in less time than a round trip takes."""
    is_all = known.left.keys() == {table.label for table in tables}
    return is_all and sum(result.rows for result in known.left.values()) <= FEW_ROWS


def _look(queue: "_MergeQueue", changes: Iterable[TableChange], known: LastRun) -> None:
    """Do step 1, and let Postgres count when the first rows are sent."""
    target, source = queue.transfer.target, queue.transfer.source
    for change in changes:
        queue.add(change)
    places = {"schema": sql.Identifier(target.schema), "source": sql.Literal(source.name)}
    queue.first.insert(0, statement("refuse_other_counts", **places))
    if source.is_rehearsal and not (queue.much or queue.little):  # else they are counted where the run is saved
        last_run.confirm(target, source, known)


def _look_and_merge(queue: "_MergeQueue", changes: Iterable[TableChange], known: LastRun) -> None:
    """Do steps 1 to 3."""
    with futures.ThreadPoolExecutor(1) as beside:
        busy = beside.submit(last_run.confirm, queue.transfer.target, queue.transfer.source, known)
        for change in changes:
            queue.add(change)
            if busy.done():
                busy.result()
                queue.send_much()
                if queue.is_ready:
                    busy = beside.submit(queue.merge)
        busy.result()


@dataclass
class _MergeQueue:
    """Where each change is: `much` or `little` is to be sent of it, or it is `staged` for a merge; `sent` are all that were."""

    transfer: Transfer
    tables: list[TablePlan]
    empty: Collection[str] | None = None
    results: dict[str, TableResult] = field(default_factory=dict)
    much: list[StagedTable] = field(default_factory=list)
    little: list[StagedTable] = field(default_factory=list)
    staged: list[StagedTable] = field(default_factory=list)
    sent: list[StagedTable] = field(default_factory=list)
    has_begun: bool = False

    def __post_init__(self) -> None:
        self._columns = sending.width(self.tables)
        self.first = [sending.begin(self._columns)]

    def add(self, change: TableChange) -> None:
        self.results[change.table.label] = change.result
        if change.is_sent:
            room = AHEAD_BYTES - sum(one.bytes_ahead for one in self.little)
            one = sending.staged(self.transfer.snapshot, change, len(self.results), self._columns, room)
            (self.little if one.is_shared else self.much).append(one)

    def send_much(self) -> None:
        for one in self.much:
            one.is_direct = self._may_be_direct(one)
            sending.send_alone(self.transfer.target, self.transfer.source, one, self._begin())
        self.staged += self.much
        self.sent += self.much
        self.much = []

    def _may_be_direct(self, one: StagedTable) -> bool:
        """COPY goes straight into a table of one's own only: for anybody else row level security forbids it."""
        target, source = self.transfer.target, self.transfer.source
        if not one.is_whole or not source.may_alter or source.is_rehearsal:
            return False
        if self.empty is None:
            self.empty = sending.empty_mirrors(target, source, self.tables)
        return one.change.table.label in self.empty

    def _begin(self) -> list[sql.Composed]:
        """Return what travels with the first rows."""
        first, self.first, self.has_begun = self.first, [], True
        return first

    @property
    def is_ready(self) -> bool:
        """Whether it pays to merge now; whole tables wait for their misfits, which all tables send together."""
        return bool(self.staged) and not (self.transfer.source.is_rehearsal or any(one.is_whole for one in self.staged))

    def merge(self) -> None:
        _merge(self.transfer.target, self.transfer.source, self.staged)
        self.staged = []

    def finish(self) -> list[TableResult]:
        """Send and merge what is left, prove all of it, and return the results in the order of the tables."""
        target, source = self.transfer.target, self.transfer.source
        self.send_much()
        self.staged += self.little
        self.sent += self.little
        if self.little or any(one.is_whole and one.change.result.misfits for one in self.staged):
            sending.send_shared(target, source, self.transfer.snapshot, self.staged, self._columns, self._begin())
        if self.sent:
            proof.prove(source, self.sent, _merge(target, source, self.staged, proof.query(target, source, self.sent)))
        return [self.results[table.label] for table in self.tables if table.label in self.results]


def _merge(target: Target, source: Source, staged: list[StagedTable], *queries: sql.Composed) -> list[Row]:
    """Merge what was staged, and return what a query that travels with it finds then."""
    with_mirrors = [one for one in staged if one.change.table.mirror and not one.is_direct]
    script = [statement("index_staged")] if any(one.is_shared for one in with_mirrors) else []
    script += [step for one in with_mirrors for step in _merge_table(source, one)]
    whole = [one.change.table.label for one in staged if one.is_whole]
    if whole:
        script += _merge_misfits(target, source, whole)
    return target.rows(sql.SQL("\n").join([*script, *queries]))


def _merge_misfits(target: Target, source: Source, labels: list[str]) -> list[sql.Composed]:
    places = {"schema": sql.Identifier(target.schema), "source": sql.Literal(source.name), "staged": statement("number_misfits")}
    delete = statement("delete_misfits", labels=sql.Literal(labels), **places)
    return over_whole_tables(delete, statement("insert_misfits", **places))


def _merge_table(source: Source, staged: StagedTable) -> list[sql.Composed]:
    table, is_whole = staged.change.table, staged.is_whole
    key, columns = table.key_names, table.mirror_columns
    places = {
        "key": names(key),
        "mirror": mirror_of(source, table),
        "staging": staged.staging,
        "label": sql.Literal(table.label),
        "same_key": equal(key, "mirror", "staging"),
        "hash": sql.Literal(0) if is_whole else row_hash(postgres_digest_line(table)),  # whole tables are read in the end
    }
    cells = {"columns": names(columns), "new": names(columns, "excluded")}
    cells |= {"old_bits": to_the_bit(table, "mirror"), "new_bits": to_the_bit(table, "excluded")}
    merge_staging = statement("merge_staging", **cells, **places)
    if is_whole:
        return [*over_whole_tables(statement("delete_vanished", **places)), merge_staging]
    is_gone = equal(key, "mirror", "gone")
    return [statement("delete_gone", gone=staged.gone, is_gone=is_gone, **places), merge_staging]
