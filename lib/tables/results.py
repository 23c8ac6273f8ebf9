"""What a run leaves of each table."""

from dataclasses import dataclass


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
