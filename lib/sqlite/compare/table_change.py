"""What a run sends of one table."""

from dataclasses import dataclass, field

from lib.sqlite.lines.read_lines import EVERY_ROW, Selection
from lib.tables.digest import Digest
from lib.tables.plan import TablePlan
from lib.tables.results import TableResult

NO_ROW = Selection(where="0")


@dataclass(frozen=True)
class TableChange:
    """The rows of a table that are sent, those whose keys vanished, and the digest of the rows that are unchanged.

    As it is made, the whole table is sent: then Postgres finds what vanished. With NO_ROW nothing is. Of changed rows, `vanished`
    selects from the previous snapshot, and `before` is how many rows the last run left. `result` grows while the change is sent.
    """

    table: TablePlan
    result: TableResult
    rows: Selection = EVERY_ROW
    vanished: Selection = NO_ROW
    unchanged: Digest = field(default_factory=Digest)
    before: int = 0

    @property
    def is_sent(self) -> bool:
        return self.rows != NO_ROW

    @property
    def sends_every_row(self) -> bool:
        return self.rows == EVERY_ROW

    @property
    def most(self) -> int:
        """Return how many rows are sent, or how many keys may be, whichever is more."""
        return max(self.result.rows, self.before) - self.unchanged.rows
