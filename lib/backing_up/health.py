"""How each source is doing on each target: asked from the target, and from this machine's own record where that fails."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg2 import sql

from lib.backing_up import local_runs
from lib.backing_up.known import Answer, Failure, Known, Success
from lib.base.errors import MayPass, Problem, Unreachable
from lib.postgres.books import edits as books
from lib.postgres.books import twins
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import how_it_is, statement
from lib.postgres.setup import installation
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings

SHOWN_RUNS = 10
# This machine notes its times in tenths of a second.
CLOCKS_DIFFER = 1
# A run that is late by less is not called so: pauses differ, above all where a person has typed the last ones.
LATE_SECONDS = 3600
# How long a pause may be where nobody knows how often runs come: no schedule is seen, and there were too few of them.
UNKNOWN_PACE = 2 * 86400
# A live process says each minute that it is there.
LIVE_SECONDS = 180


@dataclass(frozen=True)
class Health:
    """What is known of one source on one target, with the warnings of the last run that this machine made.

    `different` are the tables that differed when every row was last compared.
    """

    source: str
    target: TargetSettings
    known: Known
    warnings: list[str]
    is_failing: bool
    different: str

    @property
    def success(self) -> Success | None:
        return self.known["last_success"]

    @property
    def failure(self) -> Failure | None:
        return self.known["last_failure"]

    @property
    def age(self) -> int | None:
        """Return how long ago all was saved, in seconds; nothing where it never was, or that time is still to come."""
        seconds = self.known["now"] - max(self.success["at"], self.known["live_at"] or 0) if self.success else -math.inf
        return round(max(seconds, 0)) if seconds >= -CLOCKS_DIFFER else None

    @property
    def edits(self) -> str:
        """Return what became of people's edits, where they may come back."""
        counts = self.known["edits"]
        return ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in books.OUTCOMES if outcome in counts)

    @property
    def live_age(self) -> float | None:
        """Return how long ago a live process was seen, in seconds; nothing where there was none."""
        return self.known["now"] - self.known["live_at"] if self.known["live_at"] else None

    @property
    def is_live(self) -> bool:
        """Whether a live process is there."""
        return self.live_age is not None and self.live_age < LIVE_SECONDS

    @property
    def next_expected(self) -> int | None:
        """Return when the next run should begin, in Unix seconds, judged by the usual pause, where that can be told.

        Beside a live process that is whenever something changes.
        """
        pace, last = self.known["pace"], self.known["last_start"]
        return round(last + pace) if pace and last and not self.is_live else None

    @property
    def is_overdue(self) -> bool:
        """Whether a run should have begun long ago; where nobody knows when, after three days."""
        pace, last = self.known["pace"] or UNKNOWN_PACE, self.known["last_start"]
        if last is None or self.is_live:
            return False
        return self.known["now"] - last > pace + max(pace / 2, LATE_SECONDS)

    def is_late(self, limit: int | None) -> bool:
        """Whether there is no success, or none that is known to be younger than so many seconds."""
        return self.age is None or bool(limit and self.age > limit)


@dataclass(frozen=True)
class Answered(Health):
    """What the target has answered."""

    known: Answer


@dataclass(frozen=True)
class Unanswered(Health):
    """What this machine has recorded itself; `problem` says why the target could not be asked."""

    problem: Problem

    @property
    def is_out_of_reach(self) -> bool:
        """Whether the target could not be reached, which says nothing against the backup."""
        return isinstance(self.problem, (Unreachable, MayPass))


def of_all(settings: Settings, sources: dict[str, Path]) -> list[Health]:
    """Ask every target about every source; one that does not answer does not stop the others."""
    seen = twins.Seen()
    return [health for target in settings.targets for health in of_target(settings, target, sources, seen)]


def of_target(
    settings: Settings, target_settings: TargetSettings, sources: dict[str, Path], seen: twins.Seen
) -> Sequence[Answered | Unanswered]:
    """Ask one target about every source: it answers for all of them, or for none, as where it was `seen` as another one."""
    try:
        with Target(target_settings, settings.schema) as target:
            twins.refuse(target, seen)
            installation.require(target)
            answers = asked(target, [*sources])
            edits = books.counted(target, [*sources]) if settings.accepts_edits(target_settings.number) else {}
    except Problem as problem:
        return [_as_recorded_here(settings, target_settings, name, problem) for name in sources]
    for name, answer in answers.items():
        answer["edits"] = edits.get(name, {})
    return [_with_what_is_recorded_here(settings, target_settings, name, answers[name]) for name in sources]


def asked(target: Target, sources: Sequence[str]) -> dict[str, Answer]:
    """Return what a target tells of each source, one round trip."""
    schema, of_source = sql.Identifier(target.schema), sql.SQL("asked.name")
    details = statement(
        "health_details",
        schema=schema,
        of_source=of_source,
        lacks=statement("lacks", schema=schema),
        most=sql.Literal(SHOWN_RUNS),
    )
    health = how_it_is(schema, of_source, sql.SQL("error"))
    rows = target.statement("health_of", {"sources": [*sources]}, health=health, details=details)
    return {name: answer | {"database_bytes": size, "edits": {}} for name, answer, size in rows}


def _as_recorded_here(settings: Settings, target: TargetSettings, name: str, problem: Problem) -> Unanswered:
    runs = _runs_recorded_here(settings, target, name)
    success = _newest(runs, "saved")
    known: Known = {
        "now": time.time(),
        "last_success": success,
        "last_failure": _newest(runs, "failed"),
        "runs": runs[:SHOWN_RUNS],
        "pace": None,
        "last_start": success and success["at"],
        "live_at": None,
        "edits": {},
    }
    different = local_runs.difference(settings, name, target.number)
    return Unanswered(name, target, known, _warnings(runs), runs[:1] == [known["last_failure"]], different, problem)


def _with_what_is_recorded_here(settings: Settings, target: TargetSettings, name: str, answer: Answer) -> Answered:
    """A run that could not reach the target has left its trace on this machine alone."""
    runs = _runs_recorded_here(settings, target, name)
    success, theirs, ours = answer["last_success"], answer["last_failure"], _newest(runs, "failed")
    is_failing = number_of(theirs) > number_of(success)
    if ours and theirs and ours["error"].endswith(theirs["error"] or ""):  # the same one, to which the target gave a number
        theirs["remedy"] = ours.get("remedy", "")
    if runs[:1] == [ours] and _has_come_since(success, runs):
        answer["last_failure"] = theirs if is_failing and theirs and "remedy" in theirs else ours
        is_failing = True
    elif ours and (not theirs or ours["at"] > theirs["at"] + 60):
        answer["last_failure"] = ours
    return Answered(name, target, answer, _warnings(runs), is_failing, local_runs.difference(settings, name, target.number))


def number_of(run: Success | Failure | None) -> int:
    """Return its number; 0 where there is no run, or it never got one."""
    return run.get("run", 0) if run else 0


def _has_come_since(success: Success | None, runs: list[Any]) -> bool:
    """Whether the newest of the runs here, which has failed, came after the success that the target tells of.

    Numbers and the order of the lines do not lie. A clock, which may jump, is asked only where that success was not made here.
    """
    last_here = _newest(runs, "saved")
    if not success or number_of(last_here) >= success["run"]:
        return True
    return bool(runs[0]["at"] > success["at"])


def _runs_recorded_here(settings: Settings, target: TargetSettings, name: str) -> list[Any]:
    """Return what lib/backing_up/local_runs.py has, newest first: JSON with all that a Success, a Failure or a ShownRun has."""
    return [*local_runs.read(settings, name, target.number)]


def _newest(runs: list[Any], outcome: str) -> Any:
    """Return a Success, a Failure, or nothing."""
    return next((run for run in runs if run["outcome"] == outcome), None)


def _warnings(runs: list[Any]) -> list[str]:
    return list(runs[0]["warnings"]) if runs else []
