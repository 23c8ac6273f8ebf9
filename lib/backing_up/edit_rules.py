"""Which edits of the mirrors may come into the bot's file at all; the rest is refused, and says why."""

from collections import Counter
from collections.abc import Mapping, Sequence

from lib.postgres.books.edits import Edit, Judged
from lib.settings.accepted import DELETE, INSERT, TRIGGERS, Accepted
from lib.sqlite.building import insert_rows
from lib.sqlite.editing.change import REFUSED, Change, Row
from lib.tables.plan import Mirror, TablePlan

# So many rows of a table at once: a tenth of it, of a small one some, but not all that it had.
MOST_ROWS, SHARE, SOME_ROWS = 100, 0.1, 5
WHOLE_ROWS = "misfit_rows"
GONE, NEVER = "no table of the bot's belongs to it", 2**63
# What reading a row raises that no run has written.
UNREADABLE = (ValueError, KeyError, TypeError, OverflowError)


class Rules:
    """What is accepted, since which undo record each item is, the plans and the mirrors as they are now, by mirror.

    `found` are all edits of one source; what was made before `restored_at`, UTC, is older than the file.
    """

    def __init__(
        self,
        accepted: Accepted,
        since: Mapping[str, int],
        plans: Mapping[str, TablePlan],
        mirrors: Mapping[str, Mirror],
        found: Sequence[Edit],
        restored_at: str,
    ):
        self._accepted, self._since, self._plans, self._mirrors = accepted, since, plans, mirrors
        self._restored_at = restored_at
        self._rows: Counter[str] = Counter()
        self._old_rows = Counter(edit.mirror for edit in found if edit.base is not None)
        for edit in found:
            self._rows[edit.mirror] += edit.rows
        self._moved_in = {(edit.mirror, transaction) for edit in found for transaction in edit.left_in}

    def look(self, edit: Edit) -> Change | Judged | None:
        """Return what is to be brought, or why it is not; nothing where all is as it was before."""
        table = self._plans.get(edit.mirror)
        if not table or edit.key is None:
            return Judged(edit, [], REFUSED, self._why_not(edit) or GONE)
        if _is_altered(table, self._mirrors.get(edit.mirror)):
            return Judged(edit, [], REFUSED, "somebody has altered the mirror itself")
        if edit.base == edit.theirs:
            return None
        change = _change(table, edit)
        if isinstance(change, Judged):
            return change
        if change.base and change.theirs and not change.columns:
            return None
        reason = self._why_not(edit) or self._not_accepted(edit, change)
        return Judged(edit, change.columns, REFUSED, reason) if reason else change

    def _why_not(self, edit: Edit) -> str:
        most, rows = min(MOST_ROWS, max(SOME_ROWS, int(edit.table_rows * SHARE))), self._rows[edit.mirror]
        if edit.mirror == WHOLE_ROWS:
            return "rows that are kept whole cannot be edited"
        if rows > most or self._old_rows[edit.mirror] >= max(edit.table_rows, 2):
            return f"{rows:,} rows at once, of {edit.table_rows:,}, are too many"
        is_unknown_there = self._restored_at > (edit.restored_at or "")
        if edit.is_older or (is_unknown_there and (edit.made_at or "") <= self._restored_at):
            return "it is older than the last restore"
        # Where a row has left its key, what the same transaction did to another key may be what became of that row.
        if any((edit.mirror, transaction) in self._moved_in for transaction in edit.transactions):
            return "keys were changed in the same transaction"
        return ""

    def _not_accepted(self, edit: Edit, change: Change) -> str:
        table = change.table.name
        whole = INSERT if change.base is None else DELETE if change.theirs is None else ""
        needed = [whole] if whole else change.columns
        for what in needed:
            if not whole and what in (INSERT, DELETE, TRIGGERS):
                return f"a column cannot be accepted under the name {what}"
            if not self._accepted.has(table, what):
                return f"{table}.{what} is not accepted"
            if edit.record <= self._since.get(f"{table}.{what}", NEVER):
                return f"it was made before {table}.{what} was accepted"
        return ""


def known_change(plans: Mapping[str, TablePlan], edit: Edit) -> Change | Judged:
    """Return what the bot's file had, or is to have, whatever is accepted by now, or why that cannot be told."""
    table = plans.get(edit.mirror)
    return _change(table, edit) if table else Judged(edit, [], REFUSED, GONE)


def _change(table: TablePlan, edit: Edit) -> Change | Judged:
    try:
        return Change(table, _row(table, edit.base), _row(table, edit.theirs), edit.columns)
    except UNREADABLE:
        return Judged(edit, [], REFUSED, "a value cannot be read")


def _is_altered(table: TablePlan, mirror: Mirror | None) -> bool:
    """Whether a mirror has not the columns that the last run has filled, or others by that name."""
    types = {name: column["type"] for name, column in mirror.columns.items()} if mirror else {}
    return any(types.get(column.mirror_name) != column.mirror_type for column in table.columns)


def _row(table: TablePlan, line: str | None) -> Row | None:
    if line is None:
        return None
    return dict(zip((column.name for column in table.columns), insert_rows.values_of(table, line), strict=True))
