"""What a run sends of one table, and what becomes of it."""

from dataclasses import dataclass, field

from lib.digest import Digest
from lib.plan import TablePlan
from lib.sqlite.lines import EVERY_ROW, Rows


@dataclass
class TableResult:
    """What a run did to one table; `digest` covers all of its rows, misfits included."""

    label: str
    table: str
    rows: int
    misfits: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0
    digest: int = 0

    @property
    def is_internal(self) -> bool:
        """SQLite's own tables, which people do not ask about."""
        return self.table.lower().startswith("sqlite_")


@dataclass(frozen=True)
class LastRun:
    """The snapshot that the last saved run read, and what that run left in each table, by label."""

    snapshot_hash: str
    left: dict[str, TableResult]


@dataclass
class Part:
    """The rows of a table that are sent, the keys that vanished, and the digest of the rows that stay as they are.

    `rows` is None where nothing is sent. `vanished` is None where the whole table is: then Postgres finds what vanished.
    `before` is how many rows the last run left. `is_first` where the mirror is empty: then the rows go straight into it.
    """

    table: TablePlan
    result: TableResult
    rows: Rows | None = EVERY_ROW
    vanished: Rows | None = None
    kept: Digest = field(default_factory=Digest)
    before: int = 0
    is_first: bool = False

    @property
    def is_sent(self) -> bool:
        return self.rows is not None

    @property
    def is_whole(self) -> bool:
        return self.rows == EVERY_ROW
