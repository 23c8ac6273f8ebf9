"""The first load of a source: there is nothing to protect yet, so what is whole is committed now and then, and stays.

A link that breaks after hours costs one table then, not all of them. Runs after the first are all or nothing.
"""

import functools
import time
from collections.abc import Callable, Iterable, Iterator

from lib.postgres.books.runs import Run
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import last_run, merge, proof
from lib.postgres.mirrors.doubt import Doubt
from lib.settings import limits
from lib.sqlite.compare import find_changes
from lib.sqlite.compare.table_change import TableChange
from lib.sqlite.lines import read_lines
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Plan, Source, TablePlan
from lib.tables.results import LastRun, TableResult


def bring(target: Target, source: Source, snapshot: Snapshot, plan: Plan, run: Run, note: Callable[[str], None]) -> bool:
    """Send what is not there yet, or the next tables of it; say that every row was compared, in the end."""
    some = iter if source.is_rehearsal else _until_commit
    work = target, source, snapshot, plan.tables
    try:
        loaded = _loaded(target, source, snapshot, plan, run)
        confirm = functools.partial(last_run.confirm, target, source, plan.tables, loaded)
        parts = some(find_changes.since(loaded, snapshot, plan.tables))
        run.tables = merge.merge(*work, parts, confirm, functools.partial(_compare, *work))
    except Doubt as doubt:
        note(f"{source.name}: every row is sent, because {doubt}.")
        run.tables = merge.merge(*work, some(find_changes.every_row(snapshot, plan.tables)))
    return True


def is_whole(run: Run, plan: Plan) -> bool:
    """Whether nothing is left to be sent; else what was sent is to be committed."""
    is_whole = len(run.tables) == len(plan.tables)
    run.committed = 0 if is_whole else len(run.tables)
    return is_whole


def _loaded(target: Target, source: Source, snapshot: Snapshot, plan: Plan, run: Run) -> LastRun:
    """Return what this run has committed, or an earlier one that was cut, where it equals the snapshot; else raise Doubt."""
    results = run.tables or list(_equal(target, source, snapshot, plan))
    if not results:
        raise Doubt("this is the first run")
    return LastRun(snapshot.copy.hash, {result.label: result for result in results})


def _equal(target: Target, source: Source, snapshot: Snapshot, plan: Plan) -> Iterator[TableResult]:
    """Yield what has rows and is in Postgres as it is in the snapshot, by digest."""
    held = proof.held_digests(target, source, plan.tables)
    for table in plan.tables:
        theirs = held[table.label]
        if theirs.rows and theirs.rows == snapshot.rows(table):
            misfits, others = read_lines.digests(snapshot.connection, table)
            if theirs == misfits + others:
                yield TableResult(table.label, table.printable, theirs.rows, misfits.rows, digest=theirs.total)


def _until_commit(parts: Iterable[TableChange]) -> Iterator[TableChange]:
    """Yield the parts that are sent until it is time to commit them."""
    ends = time.monotonic() + limits.FIRST_LOAD_SECONDS
    for part in parts:
        yield part
        if part.is_sent and time.monotonic() > ends:
            return


def _compare(target: Target, source: Source, snapshot: Snapshot, tables: list[TablePlan], results: list[TableResult]) -> None:
    """Compare every row in the end: what was committed on the way lay open to others."""
    if len(results) == len(tables):
        proof.compare(target, source, snapshot, tables, results)
