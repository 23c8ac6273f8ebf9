"""What a run sends of one table."""

from dataclasses import dataclass, field

from lib.sqlite.lines.read_lines import EVERY_ROW, Selection
from lib.tables.digest import Digest
from lib.tables.plan import TablePlan
from lib.tables.results import TableResult


@dataclass
class TableChange:
    """The rows of a table that are sent, the keys that vanished, and the digest of the rows that stay as they are.

    `rows` is None where nothing is sent. `vanished` is None where the whole table is: then Postgres finds what vanished.
    `before` is how many rows the last run left. `is_first` where the mirror is empty: then the rows go straight into it.
    """

    table: TablePlan
    result: TableResult
    rows: Selection | None = EVERY_ROW
    vanished: Selection | None = None
    unchanged: Digest = field(default_factory=Digest)
    before: int = 0
    is_first: bool = False

    @property
    def is_sent(self) -> bool:
        return self.rows is not None

    @property
    def sends_every_row(self) -> bool:
        return self.rows == EVERY_ROW
