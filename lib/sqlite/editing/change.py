"""A row that was edited elsewhere: as it was before, as it is there now, and what became of it in the bot's file."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from lib.tables.plan import TablePlan
from lib.tables.values import is_same

APPLIED, MERGED, CONFLICT, REFUSED = "applied", "merged", "conflict", "refused"
Row = dict[str, object]


class Outcome(NamedTuple):
    """What became of a change, and why it did not come; `reason` may say something of what did, too.

    `came` are the columns that an update has brought: others were so already.
    """

    outcome: str
    reason: str = ""
    came: Collection[str] = ()

    @property
    def is_in(self) -> bool:
        """Whether the bot's file has it."""
        return self.outcome in (APPLIED, MERGED)


ALREADY = Outcome(APPLIED, "the bot's database had it already")


@dataclass(frozen=True, eq=False)
class Change:
    """`base` and `theirs` are {SQLite's name of a column: value}; a new row has no base, a deleted one nothing of theirs.

    An update is `of` these columns alone, where any are named.
    """

    table: TablePlan
    base: Row | None
    theirs: Row | None
    of: Collection[str] = ()

    @property
    def key(self) -> Row:
        row = self.theirs or self.base or {}
        return {column.name: row[column.name] for column in self.table.key}

    @property
    def columns(self) -> list[str]:
        """Return the columns that an update has changed."""
        if self.base is None or self.theirs is None:
            return []
        changed = [name for name, value in self.theirs.items() if not is_same(value, self.base[name])]
        return [name for name in changed if not self.of or name in self.of]
