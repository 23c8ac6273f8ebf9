"""What restore.py tells: what can be restored, the plan, and what was replaced."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lib import cli, log
from lib.errors import Problem, SourceError
from lib.postgres import runs, saved
from lib.postgres.connection import Target
from lib.postgres.saved import SavedState
from lib.reporting.words import plural, size

UNTOUCHED = "The SQLite files were not touched."
LISTED_RUNS = 50


def list_states(target: Target, sources: dict[str, Path], console: cli.Console) -> int:
    """Print the runs of each source, newest first; the last saved one can be restored."""
    found = []
    for name in sources:
        last = runs.last_saved(target, name)
        for run in runs.recent(target, name, LISTED_RUNS):
            if run["outcome"] == "saved":
                restorable = bool(last) and run["run"] == last[0]
                found.append(
                    {"source": name, "restorable": restorable} | {key: run[key] for key in ("run", "finished_at", "rows")}
                )
    for run in found:
        mark = "✅" if run["restorable"] else "  "
        console.say(f"{mark} run {run['run']}  {run['source']}  {run['finished_at']} UTC  {plural(run['rows'], 'row')}")
    console.result({"runs": found})
    return cli.SAVED


class Report:
    """The outcome of one call of restore.py."""

    def __init__(self, target: Target, console: cli.Console):
        self.target, self.console = target, console
        self.restored: list[dict] = []
        self.failures: list[Problem] = []

    @contextlib.contextmanager
    def failures_reported(self, kind: type[Problem] = Problem) -> Iterator[None]:
        """One source that cannot be restored does not stop the others."""
        try:
            yield
        except kind as problem:
            problem.untouched = problem.untouched or UNTOUCHED
            self.failures.append(problem)
            self.console.fail(problem)

    def available_states(self, places: dict[str, Path]) -> dict[str, SavedState]:
        states = {}
        for name in places:
            with self.failures_reported(SourceError):
                states[name] = saved.read_state(self.target, name)
        return states

    def plan(self, states: dict[str, SavedState], places: dict[str, Path]) -> None:
        self.console.say(f"Restore from {self.target.host}:")
        for name, state in states.items():
            self.console.say(f"  {name}: run {state.run}, {state.finished_at} UTC, {plural(state.rows, 'row')} → {places[name]}")
            if places[name].exists():
                self.console.say(f"    the file that is there ({size(places[name].stat().st_size)}) is kept beside it")

    def replaced(self, state: SavedState, place: Path, kept: Path | None, missing: list[str]) -> None:
        found = {
            "source": state.source.name,
            "run": state.run,
            "rows": state.rows,
            "path": str(place),
            "kept": kept and str(kept),
        }
        self.restored.append(found)
        log.info(f"restored {place} from run {state.run}" + (f"; the old file is {kept}" if kept else ""))
        self.console.say(f"✅ {place}: {plural(state.rows, 'row')} of run {state.run}, every row compared")
        if kept:
            self.console.say(f"   the old file is {kept}")
        if missing:
            self.console.warn(
                f"{state.source.name} uses what only the bot knows ({', '.join(sorted(set(missing)))}): "
                "let the bot run REINDEX before it goes to work."
            )

    def nothing_done(self) -> int:
        self.console.say(f"Nothing was done. {UNTOUCHED}")
        self.console.result({"outcome": "failed" if self.failures else "saved", "restored": []})
        return cli.FAILED if self.failures else cli.SAVED

    def close(self) -> int:
        outcome, status = cli.judged(bool(self.restored), bool(self.failures))
        found = {"outcome": outcome, "restored": self.restored}
        if self.failures:
            found |= {"error": "\n".join(problem.what for problem in self.failures), "try": self.failures[0].remedy}
        self.console.result(found)
        return status
