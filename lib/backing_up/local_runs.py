"""The runs as this machine saw them, in a file beside the snapshots: it knows also of those that never reached the target."""

import json
import time
from pathlib import Path

from lib.backing_up.attempts import Attempt
from lib.base import private_file
from lib.base.redact import clean
from lib.settings.config import Settings

KEPT_LINES = 2000


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


def read(settings: Settings, source: str, target: int) -> list[dict]:
    """Return what is known here of the runs of a source for a target, newest first; `at` is in Unix seconds."""
    found = [json.loads(line) for line in _lines(_path(settings))]
    return [run for run in reversed(found) if (run["source"], run["target"]) == (source, target)]


def saved(settings: Settings, source: str) -> list[tuple[int, int]]:
    """Return the targets and runs of a source that this machine has saved, newest first."""
    found = [json.loads(line) for line in _lines(_path(settings))]
    return [(run["target"], run["run"]) for run in reversed(found) if run["source"] == source and run["outcome"] == "saved"]


def _path(settings: Settings) -> Path:
    return settings.record("runs", ".jsonl")


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    except OSError:
        return []


def _as_line(attempt: Attempt, warnings: list[str]) -> str:
    found = {"source": attempt.source, "target": attempt.target.number, "at": round(time.time(), 1)}
    if attempt.run:
        tables = attempt.run.tables
        changes = sum(table.inserted + table.updated + table.deleted for table in tables)
        found |= {"outcome": "saved", "run": attempt.run.run, "rows": attempt.run.rows, "changes": changes}
        found |= {"bytes_sent": attempt.run.bytes_sent, "seconds": attempt.run.seconds}
    if attempt.problem:
        found |= {"outcome": "failed", "error": clean(attempt.problem.what)}
    return json.dumps(found | {"warnings": [clean(text) for text in warnings]})
