"""How each source is doing on each target: asked from the target, and from this machine's own record where that fails."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from lib.backing_up import local_runs
from lib.base.errors import MayPass, Problem, Unreachable
from lib.postgres.link.connection import Target
from lib.postgres.setup import installation
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings

SHOWN_RUNS = 10


@dataclass
class Health:
    """What is known of one source on one target; times are Unix seconds, `now` is the clock that they were taken from.

    `found` is what sql/statements/health.sql tells; `problem` says why the target could not be asked.
    """

    source: str
    target: TargetSettings
    found: dict
    problem: Problem | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def success(self) -> dict | None:
        return self.found.get("last_success")

    @property
    def age(self) -> int | None:
        """Return how long ago the last success was, in seconds."""
        return round(self.found["now"] - self.success["at"]) if self.success else None

    @property
    def failure(self) -> dict | None:
        return self.found.get("last_failure")

    @property
    def is_failing(self) -> bool:
        """Whether the last failure is newer than the last success."""
        if not self.failure or not self.success:
            return bool(self.failure)
        # Two clocks may differ; the numbers of two runs do not lie.
        what = "run" if "run" in self.failure else "at"
        return self.failure[what] > self.success[what]

    @property
    def next_expected(self) -> int | None:
        """Return when the next run should begin, judged by the usual pause between runs."""
        pace, last = self.found.get("pace"), self.found.get("last_start")
        return round(last + pace) if pace and last else None

    def lateness(self, limit: int | None) -> str:
        """Say why this is not good enough, or nothing."""
        if not self.success:
            return "has never been backed up"
        return "old" if limit and self.age > limit else ""


def of_all(settings: Settings, sources: dict[str, Path]) -> list[Health]:
    """Ask every target about every source; one that does not answer does not stop the others."""
    return [found for target in settings.targets for found in of_target(settings, target, sources)]


def of_target(settings: Settings, target_settings: TargetSettings, sources: dict[str, Path]) -> list[Health]:
    try:
        with Target(target_settings, settings.schema) as target:
            installation.require(target)
            found = {name: target.statement("health", {"source": name, "most": SHOWN_RUNS})[0][0] for name in sources}
    except Problem as problem:
        return [_as_seen_here(settings, target_settings, name, problem) for name in sources]
    return [_with_what_is_known_here(settings, target_settings, name, found[name]) for name in sources]


def is_out_of_reach(found: Health) -> bool:
    """Whether the target could not be asked because it could not be reached, which says nothing against the backup."""
    return isinstance(found.problem, (Unreachable, MayPass))


def _as_seen_here(settings: Settings, target: TargetSettings, name: str, problem: Problem) -> Health:
    runs = local_runs.read(settings, name, target.number)
    found = {
        "now": time.time(),
        "last_success": _newest(runs, "saved"),
        "last_failure": _newest(runs, "failed"),
        "runs": runs[:SHOWN_RUNS],
    }
    return Health(name, target, found, problem, _warnings(runs))


def _with_what_is_known_here(settings: Settings, target: TargetSettings, name: str, found: dict) -> Health:
    """A run that could not reach the target has left its trace on this machine alone."""
    runs = local_runs.read(settings, name, target.number)
    ours, theirs = _newest(runs, "failed"), found["last_failure"]
    if ours and (not theirs or ours["at"] > theirs["at"] + 60):
        found["last_failure"] = ours
    return Health(name, target, found, warnings=_warnings(runs))


def _newest(runs: list[dict], outcome: str) -> dict | None:
    return next((run for run in runs if run["outcome"] == outcome), None)


def _warnings(runs: list[dict]) -> list[str]:
    return runs[0]["warnings"] if runs else []
