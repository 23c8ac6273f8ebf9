"""The first load of a source: there is nothing to protect yet, so what is whole is committed now and then, and stays.

A link that breaks after hours costs one table then, not all of them. Runs after the first are all or nothing.
"""

import functools
import time
from collections.abc import Callable, Iterable, Iterator

from lib.postgres.books.runs import Run
from lib.postgres.mirrors import merge, proof
from lib.postgres.mirrors.doubt import Doubt
from lib.postgres.mirrors.transfer import Transfer
from lib.settings import limits
from lib.sqlite.compare import find_changes
from lib.sqlite.compare.table_change import TableChange
from lib.sqlite.lines import read_lines
from lib.tables.digest import Digest
from lib.tables.plan import Plan, TablePlan
from lib.tables.results import LastRun, TableResult


def bring(transfer: Transfer, plan: Plan, note: Callable[[str], None]) -> None:
    """Send what is not there yet, or the next tables of it; in the end every row is compared. `note` is told why all is sent."""
    snapshot, run, tables = transfer.snapshot, transfer.run, plan.tables
    some = iter if transfer.source.is_rehearsal else _until_commit
    held = {} if run.tables else proof.held_digests(transfer.target, transfer.source, tables)
    try:
        loaded = _loaded(transfer, plan, held)
        changes = some(find_changes.since(loaded, snapshot, tables))
        run.tables = merge.changed_rows(transfer, tables, changes, loaded, functools.partial(_compare, transfer, tables))
    except Doubt as doubt:
        note(f"{transfer.source.name}: every row is sent, because {doubt}.")
        empty = {label for label, digest in held.items() if not digest.rows} if held else None
        run.tables = merge.every_row(transfer, tables, some(find_changes.every_row(snapshot, tables)), empty)


def is_whole(run: Run, plan: Plan) -> bool:
    """Whether nothing is left to be sent; else what was sent is to be committed."""
    return len(run.tables) == len(plan.tables)


def _loaded(transfer: Transfer, plan: Plan, held: dict[str, Digest]) -> LastRun:
    """Return what this run has committed, or an earlier one that was cut, where it equals the snapshot; else raise Doubt."""
    results = transfer.run.tables or list(_equal(transfer, plan, held))
    if not results:
        raise Doubt("this is the first run")
    return LastRun(transfer.snapshot.copy.hash, {result.label: result for result in results})


def _equal(transfer: Transfer, plan: Plan, held: dict[str, Digest]) -> Iterator[TableResult]:
    """Yield what has rows and is in Postgres as it is in the snapshot, by digest."""
    for table in plan.tables:
        theirs = held[table.label]
        if theirs.rows and theirs.rows == transfer.snapshot.rows(table):
            misfits, others = read_lines.digests(transfer.snapshot.connection, table)
            if theirs == misfits + others:
                yield TableResult(table.label, table.printable, theirs.rows, misfits.rows, digest=theirs.total)


def _until_commit(changes: Iterable[TableChange]) -> Iterator[TableChange]:
    """Yield the changes that are sent until it is time to commit them."""
    ends = time.monotonic() + limits.FIRST_LOAD_SECONDS
    for change in changes:
        yield change
        if change.is_sent and time.monotonic() > ends:
            return


def _compare(transfer: Transfer, tables: list[TablePlan], results: list[TableResult]) -> None:
    """Compare every row in the end: what was committed on the way lay open to others."""
    if len(results) == len(tables):
        proof.compare(transfer, tables, results)
