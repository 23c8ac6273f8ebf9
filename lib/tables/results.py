"""What a run leaves of each table."""

from dataclasses import dataclass
from typing import NamedTuple, TypedDict


@dataclass
class TableResult:
    """What a run did to one table; `label` names it in the bookkeeping, `digest` covers all of its rows, misfits included.

    `is_known` where that is what Postgres has already as left by the last run: it need not travel.
    """

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
    is_known: bool = False

    @property
    def is_internal(self) -> bool:
        """SQLite's own tables, which people do not ask about."""
        return self.table.lower().startswith("sqlite_")


class LastRun(NamedTuple):
    """The snapshot that the last saved run read, and what that run left in each table, by label."""

    snapshot_hash: str
    left: dict[str, TableResult]


class SavedBy(TypedDict):
    """Which bot has made the last saved run, and when (UTC, as text); all is None where no run was saved yet."""

    origin: str | None
    machine: str | None
    path: str | None
    run: int | None
    at: str | None


class LastSaved(SavedBy):
    """What Postgres tells of the last saved run (sql/setup/950_told.sql), and of which schema: `belongs_to`.

    Everybody with the password may have written it: it is compared with what this machine knows, not relied on.
    """

    snapshot_hash: str | None
    definition_hash: str | None
    tables_hash: str | None
    is_restored: bool
    is_watched: bool
    is_complete: bool | None
    others_act: bool
    belongs_to: str
