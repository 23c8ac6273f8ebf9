"""The brake: a source that has suddenly lost most of its rows is not mirrored until somebody says that it may be."""

from typing import NamedTuple

from lib.base.errors import Problem, typed
from lib.base.printable import name
from lib.base.words import plural
from lib.postgres.books.told import Told
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Plan
from lib.tables.results import TableResult

# Fewer lost rows than this are no alarm, whatever share they are.
FLOOR = 100
# A table with fewer rows than this may be empty at any time.
SMALL_TABLE = 10
# From so much of each table on it is another database.
REPLACED_PERCENT = 90


class RowCounts(NamedTuple):
    """The rows of every table of a source, before and now; a table that is gone is missing from `now`."""

    before: dict[str, int]
    now: dict[str, int]

    @property
    def lost(self) -> int:
        return sum(self.before.values()) - sum(self.now.values())


def refuse_sudden_loss(told: Told, snapshot: Snapshot, plan: Plan, max_shrink: int) -> None:
    """Raise Problem where a source looks as if something had gone wrong with it.

    `max_shrink` is in percent; 100 turns the brake off.
    """
    now = {table.label: snapshot.rows(table) for table in plan.tables if not table.is_internal}
    rows, source = RowCounts(told.good, now), told.source.name
    if max_shrink < 100 and (loss := _gone(rows) or _emptied(rows) or _shrunk(rows, max_shrink)):
        raise Problem(f"{source} {loss}. Is that right?", _remedy(source))


def refuse_replacement(told: Told, results: list[TableResult], plan: Plan, max_shrink: int) -> None:
    """Raise Problem where nearly every row of every table was deleted or became another one: that is another database.

    One table may be rewritten by ordinary work, and is no alarm while its keys stay.
    """
    source, before = told.source.name, told.before
    large = [label for label, rows in before.items() if rows >= SMALL_TABLE]
    gone = _replaced(results, plan, len(large) > 1)
    lost = sum(gone.get(label, 0) for label in large)
    is_replaced = all(gone.get(label, 0) * 100 >= before[label] * REPLACED_PERCENT for label in large)
    if max_shrink == 100 or lost < FLOOR or not is_replaced:
        return
    raise Problem(
        f"{source} has other rows than it had: {lost:,} of {sum(before.values()):,} are gone or replaced, in every table. "
        "Is that right?",
        _remedy(source),
    )


def _replaced(results: list[TableResult], plan: Plan, has_many: bool) -> dict[str, int]:
    """Count, by label, the rows that are others than before.

    A row without a key gets another number when the file is compacted, and a new column may change every row: then only
    what is deleted counts, as in a source of a single large table, which ordinary work may rewrite.
    """
    has_key = {table.label for table in plan.tables if not any(column.is_key and column.is_rowid for column in table.columns)}
    counts_updated = has_key if has_many and not plan.ddl else set()
    return {table.label: table.deleted + table.updated * (table.label in counts_updated) for table in results}


def _remedy(source: str) -> str:
    return (
        f"if not, see what a restore would bring back:  python3 restore.py --database {typed(source)} --dry-run\n"
        f"     if it is right, run  python3 backup.py {typed(source)} --accept-shrink"
    )


def _gone(rows: RowCounts) -> str:
    gone = [f"{name(table)} ({plural(count, 'row')})" for table, count in rows.before.items() if count and table not in rows.now]
    return f"has lost the table {', '.join(gone)}" if gone else ""


def _emptied(rows: RowCounts) -> str:
    """One table may be emptied by ordinary cleaning; several at once are not."""
    empty = [name(table) for table, count in rows.before.items() if count >= SMALL_TABLE and not rows.now.get(table)]
    return f"has lost all rows of {' and '.join(empty)} at once" if len(empty) > 1 and rows.lost >= FLOOR else ""


def _shrunk(rows: RowCounts, max_shrink: int) -> str:
    before = sum(rows.before.values())
    if rows.lost < FLOOR or rows.lost * 100 <= before * max_shrink:
        return ""
    return f"has lost {rows.lost * 100 // before} % of its rows ({before:,} before, {sum(rows.now.values()):,} now)"
