"""The runs as this machine saw them, in a file beside the snapshots: it knows also of those that never reached the target."""

import json
import time
from pathlib import Path
from typing import TypedDict

from lib.backing_up.attempts import Attempt, Failed, Saved
from lib.base import private_file
from lib.base.redact import clean
from lib.settings.config import Settings

KEPT_LINES = 2000


class _Recorded(TypedDict):
    source: str
    target: int
    at: float
    outcome: str
    warnings: list[str]


class RecordedRun(_Recorded, total=False):
    """An attempt, `at` in Unix seconds: a saved one has a number, counts and `seconds`, a failed one an error and a remedy."""

    run: int
    rows: int
    changes: int
    bytes_sent: int
    seconds: float
    error: str
    remedy: str


def note(settings: Settings, attempts: list[Attempt], warnings: list[str]) -> list[str]:
    """Write one line for each attempt, and return as a warning why that was not possible."""
    path = _path(settings)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [*_lines(path)[-KEPT_LINES:], *(_as_line(attempt, warnings) for attempt in attempts)]
        private_file.write(path, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        return [f"{path} cannot be written ({error.strerror}): without the network, --status will not know of this run."]
    return []


def read(settings: Settings, source: str, target: int) -> list[RecordedRun]:
    """Return what is known here of the runs of a source for a target, newest first."""
    return [run for run in _newest_first(settings) if (run["source"], run["target"]) == (source, target)]


def saved(settings: Settings, source: str) -> list[tuple[int, int]]:
    """Return the targets and runs of a source that this machine has saved, newest first, as (target, run)."""
    saved_runs = [run for run in _newest_first(settings) if run["outcome"] == "saved"]
    return [(run["target"], run["run"]) for run in saved_runs if run["source"] == source]


def _newest_first(settings: Settings) -> list[RecordedRun]:
    return [json.loads(line) for line in reversed(_lines(_path(settings)))]


def _path(settings: Settings) -> Path:
    return settings.record("runs", ".jsonl")


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    except OSError:
        return []


def _as_line(attempt: Attempt, warnings: list[str]) -> str:
    recorded: RecordedRun = {
        "source": attempt.source,
        "target": attempt.target.number,
        "at": round(time.time(), 1),
        "outcome": "saved" if isinstance(attempt, Saved) else "failed",
        "warnings": [clean(text) for text in warnings],
    }
    if isinstance(attempt, Saved):
        run = attempt.run
        changes = sum(table.inserted + table.updated + table.deleted for table in run.tables)
        recorded |= {"run": run.run, "rows": run.rows, "changes": changes, "bytes_sent": run.bytes_sent, "seconds": run.seconds}
    elif isinstance(attempt, Failed):
        what = attempt.problem.what.removeprefix(attempt.target.named(""))  # the line has the target already, as the run has
        recorded |= {"error": clean(what), "remedy": clean(attempt.problem.remedy)}
    return json.dumps(recorded)
