"""The runs as this machine saw them, in a file beside the snapshots: it knows also of those that never reached the target.

So is what `--verify` found to differ: nobody else keeps that.

Their order is that of the lines, whatever a clock says. A line that cannot be read counts as absent.
"""

import contextlib
import functools
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from lib.backing_up import alone
from lib.backing_up.attempts import Attempt, Busy, Failed, Saved
from lib.base import causes, private_file, stopping
from lib.base.errors import Problem
from lib.base.redact import clean
from lib.base.words import plural
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings

KEPT_LINES = 500
# What is busy for so long, at every attempt, gets nothing through.
BUSY_SECONDS = 3600
# No calendar goes beyond; damaged numbers may.
END_OF_TIME = 1e11
FIELDS = {"source": str, "target": int, "at": (int, float), "outcome": str, "warnings": list}
MORE_FIELDS: dict[str, dict[str, Any]] = {
    "saved": {**dict.fromkeys(("run", "rows", "changes", "bytes_sent"), int), "seconds": (int, float)},
    "failed": {"error": str},
    "busy": {},
    # What a comparison alone has found.
    "equal": {},
    "different": {"tables": str},
}
RUNS, COMPARED = ("saved", "failed"), ("equal", "different")


class _Recorded(TypedDict):
    source: str
    target: int
    at: float
    outcome: str
    warnings: list[str]


class RecordedRun(_Recorded, total=False):
    """An attempt, `at` in Unix seconds: a saved one has a number, counts and `seconds`, a failed one an error and a remedy.

    `is_compared` says whether a saved one has compared every row; what was compared alone has the `tables` that differ.
    """

    run: int
    rows: int
    changes: int
    bytes_sent: int
    seconds: float
    is_compared: bool
    error: str
    remedy: str
    tables: str


def note(settings: Settings, attempts: Sequence[Attempt], warnings: list[str]) -> list[str]:
    """Write one line for each attempt, and return as warnings what could not be read or written."""
    return _add(settings, [_recorded(attempt, warnings) for attempt in attempts])


@contextlib.contextmanager
def end_noted(settings: Settings, sources: Iterable[str], attempts: Sequence[Attempt]) -> Iterator[None]:
    """Where a signal or an error ends a backup, what it had not got to has failed by that."""

    def ended(problem: Problem) -> None:
        got_to = {(attempt.source, attempt.target.number) for attempt in attempts}
        left = [(name, on) for on in settings.targets for name in sources if (name, on.number) not in got_to]
        note(settings, [*attempts, *(Failed(name, on, problem) for name, on in left)], [])

    def stopped(number: int) -> None:
        if alone.is_ours():
            return
        ended(Problem(f"it was stopped by {signal.Signals(number).name}.", "see who stopped it; the next one does it all"))

    with stopping.last_word(stopped):
        try:
            yield
        except Exception as error:
            ended(causes.of(error))
            raise


def note_compared(settings: Settings, source: str, target: int, tables: str) -> list[str]:
    """Note which tables differ, or that none does any more; return warnings as `note` does."""
    if not tables and not difference(settings, source, target):
        return []
    outcome, at = "different" if tables else "equal", round(time.time(), 1)
    return _add(settings, [RecordedRun(source=source, target=target, at=at, outcome=outcome, warnings=[], tables=clean(tables))])


def difference(settings: Settings, source: str, target: int) -> str:
    """Return the tables that differed when every row was last compared, by a run or by `--verify`; nothing where none did."""
    compared = (run for run in _of(settings, source, target) if run["outcome"] in COMPARED or run.get("is_compared"))
    return next((run.get("tables", "") for run in compared), "")


def _add(settings: Settings, added: list[RecordedRun]) -> list[str]:
    path, told = settings.noted_runs, list[str]()
    so = "without the network, --status will not know of this run."
    try:
        known, lost = _read(path)
    except OSError as error:
        return [private_file.unread(path, error, so)]
    if lost:
        told.append(f"{path} {lost}: what it told of earlier runs is lost, and it is written anew.")
    lines = [*known[-KEPT_LINES:], *added]
    return [*told, *private_file.write_note(path, "".join(f"{json.dumps(line)}\n" for line in lines), so)]


def read(settings: Settings, source: str, target: int) -> list[RecordedRun]:
    """Return what is known here of the runs of a source for a target, newest first, but of those that gave way to another."""
    return [run for run in _of(settings, source, target) if run["outcome"] in RUNS]


def saved(settings: Settings, source: str) -> list[tuple[int, int]]:
    """Return the targets and runs of a source that this machine has saved, newest first, as (target, run)."""
    saved_runs = [run for run in _newest_first(settings) if run["outcome"] == "saved"]
    return [(run["target"], run["run"]) for run in saved_runs if run["source"] == source]


def failing(settings: Settings) -> list[str]:
    """Return the sources on their targets of which the last attempt has failed."""
    every = [(name, target) for target in settings.targets for name in settings.sources]
    return [target.with_source(name) for name, target in every if has_failed(settings, name, target.number)]


def has_failed(settings: Settings, source: str, target: int) -> bool:
    """Whether the last attempt that is noted of a source for a target has failed; the notes are read when they have changed."""
    try:
        about = os.stat(settings.noted_runs)
    except OSError:
        return False
    return (source, target) in _failed(settings.noted_runs, (about.st_ino, about.st_size, about.st_mtime_ns))


@functools.lru_cache(maxsize=1)
def _failed(path: Path, _: tuple[int, ...]) -> frozenset[tuple[str, int]]:
    with contextlib.suppress(OSError):
        last = {(run["source"], run["target"]): run["outcome"] for run in _read(path)[0] if run["outcome"] in RUNS}
        return frozenset(about for about, outcome in last.items() if outcome == "failed")
    return frozenset()


def stuck(settings: Settings, attempts: list[Attempt]) -> list[Busy]:
    """Return what other runs are at work on, and were at every attempt for so long that it looks as if nothing got through."""
    return [attempt for attempt in attempts if isinstance(attempt, Busy) and _is_stuck(settings, attempt.source, attempt.target)]


def _is_stuck(settings: Settings, source: str, target: TargetSettings) -> bool:
    busy_since = time.time()
    for run in _of(settings, source, target.number):
        if run["outcome"] in RUNS:
            break
        busy_since = run["at"] if run["outcome"] == "busy" else busy_since
    return not 0 <= time.time() - busy_since < BUSY_SECONDS  # a clock that was set back must not silence it


def _of(settings: Settings, source: str, target: int) -> list[RecordedRun]:
    return [run for run in _newest_first(settings) if (run["source"], run["target"]) == (source, target)]


def _newest_first(settings: Settings) -> list[RecordedRun]:
    return _known(settings)[::-1]


def _known(settings: Settings) -> list[RecordedRun]:
    with contextlib.suppress(OSError):  # whoever writes it tells that
        return _read(settings.noted_runs)[0]
    return []


def _read(path: Path) -> tuple[list[RecordedRun], str]:
    """Return what can be read, oldest first, and what is wrong with the rest; raise OSError where it may all be right."""
    try:
        lines = private_file.read(path).splitlines()
    except ValueError:
        return [], "is not a file"
    runs = [run for line in lines if (run := _parsed(line))]
    lost = len(lines) - len(runs)
    return runs, f"has {plural(lost, 'line')} that cannot be read" if lost else ""


def _parsed(line: bytes) -> RecordedRun | None:
    with contextlib.suppress(ValueError, RecursionError):
        run: Any = json.loads(line)
        if isinstance(run, dict) and _is_whole(run):
            return cast(RecordedRun, run)
    return None


def _is_whole(run: dict[str, Any]) -> bool:
    if not _has(run, FIELDS) or run["outcome"] not in MORE_FIELDS:
        return False
    return _has(run, MORE_FIELDS[run["outcome"]]) and 0 <= run["at"] < END_OF_TIME


def _has(run: dict[str, Any], fields: dict[str, Any]) -> bool:
    return all(isinstance(run.get(name), kind) for name, kind in fields.items())


def _recorded(attempt: Attempt, warnings: list[str]) -> RecordedRun:
    recorded: RecordedRun = {
        "source": attempt.source,
        "target": attempt.target.number,
        "at": round(time.time(), 1),
        "outcome": "saved" if isinstance(attempt, Saved) else "busy" if isinstance(attempt, Busy) else "failed",
        "warnings": [clean(text) for text in warnings],
    }
    if isinstance(attempt, Saved):
        run = attempt.run
        recorded |= {
            "run": run.run,
            "rows": run.rows,
            "changes": run.changes,
            "bytes_sent": run.bytes_sent,
            "seconds": run.seconds,
            "is_compared": run.is_compared,
        }
    elif isinstance(attempt, Failed):
        what = attempt.problem.what.removeprefix(attempt.target.named(""))  # the line has the target already, as the run has
        recorded |= {"error": clean(what), "remedy": clean(attempt.problem.remedy)}
    return recorded
