"""Choose the target to restore from: the one whose newest backup is newest, by its own clock."""

from collections.abc import Sequence
from pathlib import Path

from lib.backing_up import health
from lib.backing_up.health import Answered, Health, Success, Unanswered
from lib.base.errors import Problem, SettingsError
from lib.base.script import Console
from lib.base.words import clock
from lib.settings import config
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings


def of_target(settings: Settings, sources: dict[str, Path], number: int | None, console: Console) -> TargetSettings:
    """Return the target that was named, the only one, or the best of several, and say why it is that one."""
    targets = config.chosen_targets(settings, number)
    if len(targets) == 1:
        return targets[0]
    known: dict[int, Sequence[Health]] = {target.number: health.of_target(settings, target, sources) for target in targets}
    ages = {target.number: age for target in targets if (age := _age(known[target.number])) is not None}
    if not ages:
        raise _first_problem(known)
    best = min((target for target in targets if target.number in ages), key=lambda target: ages[target.number])
    for target in targets:
        mark = "✅" if target is best else "  "
        console.say(f"{mark} target {target.number}, {target.host}: {_described(known[target.number])}")
    if ages[best.number] < 0:
        raise SettingsError(
            f"the clock of target {best.number} was set back: its newest backup is from the future.",
            "see what the targets hold and choose:  python3 restore.py --list --target N",
            "The SQLite files were not touched.",
        )
    console.say(f"Target {best.number} has the newest backup, and is used (--target N to choose another).")
    return best


def _age(known: Sequence[Health]) -> float | None:
    """Return how many seconds ago the target last had all sources; None where it lacks one or does not answer.

    Each target's own clock tells, then and now: two clocks may differ.
    """
    successes = _successes(known)
    return (
        max(health.known["now"] - success["at"] for health, success in zip(known, successes, strict=True)) if successes else None
    )


def _successes(known: Sequence[Health]) -> list[Success]:
    """Return the last success of every source; none where the target lacks one or does not answer."""
    found = [health.success for health in known if isinstance(health, Answered) and health.success]
    return found if len(found) == len(known) else []


def _described(known: Sequence[Health]) -> str:
    if successes := _successes(known):
        return f"complete as of {clock(min(success['at'] for success in successes))}"
    return next(iter(_problems(known)), Problem("a database has never been backed up there")).what


def _problems(known: Sequence[Health]) -> list[Problem]:
    return [health.problem for health in known if isinstance(health, Unanswered)]


def _first_problem(known: dict[int, Sequence[Health]]) -> Problem:
    problems = [problem for healths in known.values() for problem in _problems(healths)]
    return problems[0] if problems else Problem("no target holds a backup of every database.", "python3 backup.py --status")
