"""The drill: rebuild every source in a temporary folder, from the target alone, and say whether it would have saved the day."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.backing_up.attempts import Verdicts
from lib.base import disk, leftovers
from lib.base.errors import Problem
from lib.base.script import Console
from lib.base.words import plural
from lib.postgres.books import twins
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.saved_state import SavedState
from lib.postgres.setup import installation
from lib.restoring import rebuild
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.snapshots import previous


@dataclass(frozen=True)
class Rehearsal:
    """The restore of one source from one target, rehearsed in so many `seconds`; `problem` says why it failed.

    `state` is None, and `seconds` may be, where the target did not get so far as to say what it holds.
    """

    source: str
    target: TargetSettings
    state: SavedState | None
    seconds: float | None
    problem: Problem | None

    @property
    def as_json(self) -> dict[str, Any]:
        """Return what `--json` shows; what is not known is None."""
        return {
            "source": self.source,
            "target": self.target.host,
            "number": self.target.number,
            "run": self.state and self.state.run,
            "rows": self.state and self.state.rows,
            "seconds": self.seconds,
            "error": self.problem and self.problem.what,
            "try": self.problem and self.problem.remedy,
        }


def rehearse_all(settings: Settings, targets: list[TargetSettings], sources: dict[str, Path], console: Console) -> Verdicts:
    """Rehearse the restore of every source from every target, record the results there, and return them."""
    seen = twins.Seen()
    rehearsals = [rehearsal for target in targets for rehearsal in _of_target(settings, target, sources, seen, console)]
    problems = [rehearsal.problem for rehearsal in rehearsals if rehearsal.problem]
    told: dict[str, Any] = {"outcome": "failed" if problems else "saved"}
    told["drills"] = [rehearsal.as_json for rehearsal in rehearsals]
    if problems:
        told |= {"error": "\n".join(problem.what for problem in problems), "try": problems[0].remedy}
    console.result(told)
    return {
        rehearsal.target.with_source(rehearsal.source): rehearsal.problem.text if rehearsal.problem else ""
        for rehearsal in rehearsals
    }


def _of_target(
    settings: Settings, target_settings: TargetSettings, sources: dict[str, Path], seen: twins.Seen, console: Console
) -> list[Rehearsal]:
    """One target that does not answer does not stop the others."""
    try:
        with Target(target_settings, settings.schema) as target:
            twins.refuse(target, seen)
            installation.require(target)
            return [_of_source(target, settings, name, console) for name in sources]
    except Problem as problem:
        problem.what = target_settings.named(problem.what)
        console.fail(problem)
        return [Rehearsal(name, target_settings, None, None, problem) for name in sources]


def _of_source(target: Target, settings: Settings, name: str, console: Console) -> Rehearsal:
    """Rehearse, record the result in the target, and say it."""
    started, compared = time.monotonic(), ""
    state: SavedState | None = None
    problem: Problem | None = None
    try:
        with target.transaction("REPEATABLE READ READ ONLY"):
            state = saved_state.read_state(target, name)
            compared = _rebuilt_and_compared(target, settings, state)
    except Problem as raised:
        problem = raised
        problem.what = target.settings.named(problem.what)
        console.fail(problem)
    rehearsal = Rehearsal(name, target.settings, state, round(time.monotonic() - started, 3), problem)
    if state:
        noted = {field: rehearsal.as_json[field] for field in ("source", "run", "seconds", "rows", "error")}
        target.statement("note_drill", noted | {"machine": socket.gethostname()})
        if not problem:
            where = "" if len(settings.targets) == 1 else f" → {target.settings.label}"
            rows = plural(state.rows, "row")
            console.say(f"✅ {name}{where}: run {state.run} was rebuilt in {rehearsal.seconds:.1f} s, {rows}, {compared}")
    return rehearsal


def _rebuilt_and_compared(target: Target, settings: Settings, state: SavedState) -> str:
    """Rebuild a source, and compare it with the snapshot of the same run, where this machine has it; say what was compared.

    The folder is on the disk that has the snapshots: the system's temporary files may be in memory.
    """
    name, snapshot = state.source.name, settings.snapshot_of(state.source.name, target.settings.number)
    with leftovers.within(settings.snapshots, name, "drill") as folder:
        disk.require(folder, state.bytes, f"{name}: the drill")
        with rebuild.rebuilt(target, state, folder / f"{name}.db") as built:
            looked_at = previous.look(snapshot)
            if looked_at.hash == state.snapshot_hash:
                rebuild.refuse_difference(built.path, snapshot, state)
                if looked_at.is_untouched:
                    return "identical to the snapshot"
    return "every row compared with what the run recorded (its snapshot is not on this machine)"
