"""Choose the target to restore from: the one whose newest backup is newest, by its own clock."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.backing_up import health
from lib.backing_up.health import Answered, Unanswered
from lib.base.errors import UNTOUCHED, Problem, SettingsError
from lib.base.words import clock
from lib.postgres.books import twins
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings


@dataclass(frozen=True)
class Candidate:
    """A target that may be restored from: how many seconds ago, by its own clock, it last had all sources, and that in words.

    The age is infinite where it lacks one or does not answer; `problems` say why.
    """

    target: TargetSettings
    age: float
    described: str
    problems: list[Problem]


def ask(settings: Settings, targets: list[TargetSettings], sources: dict[str, Path]) -> list[Candidate]:
    """Ask the targets, in their order, how their backups are; one that does not answer does not stop the others."""
    seen = twins.Seen()
    return [_candidate(target, health.of_target(settings, target, sources, seen)) for target in targets]


def newest(candidates: list[Candidate]) -> Candidate:
    """Return the candidate whose backup is newest; raise Problem where none has one of every source."""
    best = min(candidates, key=lambda candidate: candidate.age)
    if best.age < math.inf:
        return best
    problems = [problem for candidate in candidates for problem in candidate.problems]
    problem = problems[0] if problems else Problem("", "python3 backup.py --status")
    problem.what = "\n".join(candidate.target.named(candidate.described) for candidate in candidates)
    raise problem


def refuse_future(best: Candidate) -> None:
    """Raise SettingsError where the clock of the target has been set back since its newest backup."""
    if best.age < 0:
        raise SettingsError(
            f"the clock of target {best.target.number} was set back: its newest backup is from the future.",
            "see what the targets hold and choose:  python3 restore.py --list --target N",
            UNTOUCHED,
        )


def refuse_run_of_any(run: int | None, targets: list[TargetSettings]) -> None:
    """Raise SettingsError where a run's number could mean several runs: each target counts its own."""
    if run is not None and len(targets) > 1:
        what = f"each of the {len(targets)} targets counts its own runs: of which is run {run}?"
        raise SettingsError(what, "see and choose:  python3 restore.py --list --target N", UNTOUCHED)


def _candidate(target: TargetSettings, known: Sequence[Answered | Unanswered]) -> Candidate:
    problems = [source.problem for source in known if isinstance(source, Unanswered)]
    successes = [source.success for source in known if isinstance(source, Answered) and source.success]
    if len(successes) < len(known):
        lacks = problems[0].what if problems else "a database has never been backed up there"
        return Candidate(target, math.inf, lacks, problems)
    # Each target's own clock tells, then and now: two clocks may differ.
    age = max(source.known["now"] - success["at"] for source, success in zip(known, successes, strict=True))
    return Candidate(target, age, f"complete as of {clock(min(success['at'] for success in successes))}", problems)
