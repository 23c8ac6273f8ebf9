"""The drill: rebuild every source in a temporary folder, from the target alone, and say whether it would have saved the day."""

import contextlib
import platform
import time
from pathlib import Path

from lib.base import disk, leftovers, script
from lib.base.errors import Problem
from lib.base.words import plural
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.saved_state import SavedState
from lib.postgres.setup import installation
from lib.restoring import rebuild
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.snapshots import previous


def rehearse_all(settings: Settings, targets: list[TargetSettings], sources: dict[str, Path], console: script.Console) -> int:
    """Rehearse the restore of every source from every target, record the results there, and return the exit status."""
    results = [result for target in targets for result in _of_target(settings, target, sources, console)]
    failed = [result for result in results if result["error"]]
    found = {"outcome": "failed" if failed else "saved_state", "drills": results}
    if failed:
        found |= {"error": "\n".join(result["error"] for result in failed), "try": failed[0]["try"]}
    console.result(found)
    return script.FAILED if failed else script.SAVED


def _of_target(
    settings: Settings, target_settings: TargetSettings, sources: dict[str, Path], console: script.Console
) -> list[dict]:
    """One target that does not answer does not stop the others."""
    try:
        with Target(target_settings, settings.schema) as target:
            installation.require(target)
            return [_of_source(target, settings, name, console) for name in sources]
    except Problem as problem:
        console.fail(problem)
        told = dict.fromkeys(("run", "rows", "seconds")) | {"error": problem.what, "try": problem.remedy}
        return [{"source": name, "target": target_settings.host} | told for name in sources]


def _of_source(target: Target, settings: Settings, name: str, console: script.Console) -> dict:
    started, state, error, remedy, said = time.monotonic(), None, None, None, ""
    try:
        with target.transaction("REPEATABLE READ READ ONLY"), _folder(settings, name) as folder:
            state = saved_state.read_state(target, name)
            disk.require(folder, state.bytes, f"{name}: the drill")
            with rebuild.rebuilt(target, state, folder / f"{name}.db") as built:
                said = _compared(built.path, settings.snapshot_of(name, target.settings.number), state)
    except Problem as problem:
        error, remedy = problem.what, problem.remedy
        console.fail(problem)
    seconds = round(time.monotonic() - started, 3)
    if state:
        values = {"source": name, "run": state.run, "seconds": seconds, "rows": state.rows, "error": error}
        values["machine"] = platform.node()
        target.statement("note_drill", values)
    if not error:
        where = "" if len(settings.targets) == 1 else f" → {target.settings.label}"
        console.say(f"✅ {name}{where}: run {state.run} was rebuilt in {seconds:.1f} s, {plural(state.rows, 'row')}, {said}")
    return {
        "source": name,
        "target": target.host,
        "run": state and state.run,
        "rows": state and state.rows,
        "seconds": seconds,
        "error": error,
        "try": remedy,
    }


def _folder(settings: Settings, name: str) -> contextlib.AbstractContextManager[Path]:
    """Make a folder on the disk that has the snapshots: the system's temporary files may be in memory."""
    return leftovers.within(settings.snapshots, name, "drill")


def _compared(built: Path, kept: Path, state: SavedState) -> str:
    """Compare with the snapshot of the same run, where this machine has it; raise Problem where they differ."""
    found = previous.look(kept)
    if found.hash == state.snapshot_hash:
        rebuild.refuse_difference(built, kept, state)
        if found.is_untouched:
            return "identical to the snapshot"
    return "every row compared with what the run recorded (its snapshot is not on this machine)"
