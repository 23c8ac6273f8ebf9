"""Choose the target to restore from: the one whose newest backup is newest."""

from pathlib import Path

from lib import config, health
from lib.cli import Console
from lib.config import Settings
from lib.errors import Problem
from lib.health import Health
from lib.reporting.words import clock
from lib.targets import TargetSettings


def of_target(settings: Settings, sources: dict[str, Path], number: int | None, console: Console) -> TargetSettings:
    """Return the target that was named, the only one, or the best of several, and say why it is that one."""
    targets = config.chosen_targets(settings, number)
    if len(targets) == 1:
        return targets[0]
    known = {target.number: health.of_target(settings, target, sources) for target in targets}
    held = {target.number: _complete_until(known[target.number]) for target in targets}
    best = max(targets, key=lambda target: held[target.number])
    if not held[best.number]:
        raise _first_problem(known)
    for target in targets:
        mark = "✅" if target is best else "  "
        console.say(f"{mark} target {target.number}, {target.host}: {_described(known[target.number], held[target.number])}")
    console.say(f"Target {best.number} has the newest backup, and is used (--target N to choose another).")
    return best


def _complete_until(found: list[Health]) -> float:
    """Return when the target last had all sources, in Unix seconds; 0 where it lacks one or does not answer."""
    if any(block.problem or not block.success for block in found):
        return 0
    return min(block.success["at"] for block in found)


def _described(found: list[Health], at: float) -> str:
    if at:
        return f"complete as of {clock(at)}"
    return next((block.problem.what for block in found if block.problem), "a database has never been backed up there")


def _first_problem(known: dict[int, list[Health]]) -> Problem:
    problems = [block.problem for found in known.values() for block in found if block.problem]
    return problems[0] if problems else Problem("no target holds a backup of every database.", "python3 backup.py --status")
