"""What the report tells of one source on one target: how it is doing, what its last 30 days were, how the database grew."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from lib.backing_up import health as healths
from lib.backing_up.health import Health, Unanswered
from lib.postgres.books import growth, twins
from lib.postgres.books.growth import Point
from lib.postgres.link.connection import Target
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings


class Run(TypedDict):
    """One run; `at` is when it ended, or when it began where it has not; `error` says why it failed; the first one sent all."""

    run: int
    outcome: str
    at: float
    rows: int | None
    error: str | None
    seconds: float
    bytes_sent: int | None
    is_first: bool


class TableThen(TypedDict):
    """What one run left of a table, and how many rows it changed."""

    at: float
    rows: int
    changes: int
    misfits: int


class Drill(TypedDict):
    """A rehearsed restore; `error` says why it failed, `seconds` how long it took."""

    run: int
    at: float
    seconds: float
    rows: int
    error: str | None


class Edit(TypedDict):
    """Rows that somebody has changed in a mirror by hand."""

    table: str
    operation: str
    rows: int
    by: str
    at: float


class Chronicle(TypedDict):
    """What sql/statements/chronicle.sql tells; all lists are oldest first, `tables` by name, times in Unix seconds."""

    runs: list[Run]
    tables: dict[str, list[TableThen]]
    drills: list[Drill]
    edits: list[Edit]


NOTHING_YET = Chronicle(runs=[], tables={}, drills=[], edits=[])


@dataclass(frozen=True)
class Account:
    """All of that for one source on one target; where the target has not answered, there is no chronicle and no size."""

    health: Health
    chronicle: Chronicle
    sizes: list[Point]

    @property
    def source(self) -> str:
        return self.health.source

    @property
    def target(self) -> TargetSettings:
        return self.health.target


def accounts(settings: Settings, sources: dict[str, Path]) -> list[Account]:
    """Return the account of every source on every target."""
    seen = twins.Seen()
    return [account for target in settings.targets for account in _accounts(settings, target, sources, seen)]


def _accounts(
    settings: Settings, target_settings: TargetSettings, sources: dict[str, Path], seen: twins.Seen
) -> Iterator[Account]:
    known = healths.of_target(settings, target_settings, sources, seen)
    if any(isinstance(health, Unanswered) for health in known):
        yield from (Account(health, NOTHING_YET, []) for health in known)
        return
    with Target(target_settings, settings.schema) as target:
        *_, sizes = growth.read(target, known[0].source)
        for health in known:
            ((chronicle,),) = target.statement("chronicle", {"source": health.source})
            yield Account(health, chronicle, sizes)
