"""Collect what became of every source on every target, tell the operator, and choose the exit status."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from lib.base import log, script
from lib.base.errors import Locked, Problem
from lib.base.words import plural, size
from lib.postgres.books.runs import Run
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.tables.results import TableResult

STUCK = "nothing has got through for long: see what that run does, and end it if it hangs"
# What was looked at, and why it failed, as it was printed; nothing where all is well.
Verdicts = dict[str, str]


def exit_status(found: Verdicts) -> int:
    """Return the exit status of what only looks."""
    return script.FAILED if any(found.values()) else script.SAVED


@dataclass(frozen=True)
class Attempt:
    """One source on one target: Saved, Failed or Busy."""

    source: str
    target: TargetSettings

    @property
    def label(self) -> str:
        return self.target.with_source(self.source)


@dataclass(frozen=True)
class Saved(Attempt):
    run: Run


@dataclass(frozen=True)
class Failed(Attempt):
    problem: Problem


@dataclass(frozen=True)
class Busy(Attempt):
    """Another run was at work on it: that one will tell what became of it."""

    problem: Locked


class Report:
    """The outcome of one call of backup.py; failures are printed as they happen."""

    def __init__(self, console: script.Console):
        self.console, self.is_live = console, False
        self.runs: list[Run] = []
        self.attempts: list[Attempt] = []
        self.failures: list[Problem] = []
        self.warnings: list[str] = []

    @classmethod
    def of(cls, settings: Settings, console: script.Console) -> "Report":
        """Begin with what is to be said of the settings; with a live batch it was said before."""
        report = cls(console)
        report.is_live = settings.is_live
        for warning in [] if settings.is_live else settings.warnings:
            report.warn(warning)
        for note in [] if settings.is_live else settings.notes:
            report.note(note)
        return report

    def warn(self, text: str) -> None:
        """Print a warning; it stands in the result as well. With a live batch whoever made it says what is new."""
        self.warnings.append(text)
        if not self.is_live:
            self.console.warn(text)

    def note(self, text: str) -> None:
        """Say to somebody who watches, and to the log, what is being done."""
        log.info(text)
        self.console.note(f"   {text}")

    @contextlib.contextmanager
    def failures_reported(self, target: TargetSettings) -> Iterator[None]:
        """One source or one target that fails does not stop the others; which target it is, is said where there are several."""
        try:
            yield
        except Problem as problem:
            problem.untouched = problem.untouched or f"Nothing was changed {target.place}."
            problem.what = target.named(problem.what)
            self.failures.append(problem)
            self.console.fail(problem)

    @contextlib.contextmanager
    def attempted(self, target: TargetSettings, *sources: str) -> Iterator[None]:
        """The same, remembering which sources on which target it was that failed."""
        with self.failures_reported(target):
            try:
                yield
            except Locked as problem:
                self.attempts += [Busy(source, target, problem) for source in sources]
                self.note(target.named(problem.what))
            except Problem as problem:
                self.attempts += [Failed(source, target, problem) for source in sources]
                raise

    def fail(self, stuck: list[Busy]) -> None:
        """Take what was busy for a failure after all."""
        for busy in stuck:
            self.attempts.remove(busy)
            with self.attempted(busy.target, busy.source):
                raise Problem(busy.problem.what, STUCK, busy.problem.untouched)

    @property
    def verdicts(self) -> Verdicts:
        """Return what became of every source on every target, but where it was busy."""
        found = [attempt for attempt in self.attempts if not isinstance(attempt, Busy)]
        return {attempt.label: attempt.problem.text if isinstance(attempt, Failed) else "" for attempt in found}

    @property
    def has_saved_all(self) -> bool:
        """Whether every source was saved on every target, by this very call."""
        return all(isinstance(attempt, Saved) for attempt in self.attempts)

    def add(self, target: TargetSettings, run: Run) -> None:
        """Take a saved run, and say what it did to each table."""
        self.runs.append(run)
        self.attempts.append(Saved(run.source, target, run))
        for table in run.told_tables:
            line = _line(run, table)
            log.info(target.named(f"run {run.run}: {line}"))
            self.console.note(f"   {target.named(line)}")

    def judged(self) -> tuple[str, int]:
        """Return the outcome and the exit status."""
        return script.judged(bool(self.runs), bool(self.failures))

    def close(self, seconds: float) -> int:
        """Print the last line, and return the exit status."""
        saved, (outcome, status) = self.runs, self.judged()
        if status == script.SAVED and self.has_saved_all:
            log.last_sync()
            self.console.note(f"✅ {_summary(saved)} in {seconds:.1f} s")
        result = {"outcome": outcome, "seconds": round(seconds, 3), "runs": [run.as_json() for run in self.runs]}
        result["warnings"] = self.warnings
        if busy := [attempt.problem.what for attempt in self.attempts if isinstance(attempt, Busy)]:
            result["busy"] = busy
        if self.failures:
            result["error"] = "\n".join(problem.what for problem in self.failures)
            result["try"] = self.failures[0].remedy
        self.console.result(result)
        return status


def _line(run: Run, table: TableResult) -> str:
    changes = f"{table.inserted:,} inserted, {table.updated:,} updated, {table.deleted:,} deleted"
    misfits = f", {table.misfits:,} kept whole" if table.misfits else ""
    rows, sent = plural(table.rows, "row"), size(table.bytes_sent)
    return f"{run.source}.{table.table}: {rows}, {changes}{misfits}, {sent}, {table.seconds:.2f} s"


def _summary(saved: list[Run]) -> str:
    tables = [table for run in saved for table in run.bots_tables]
    inserted, updated, deleted = (sum(getattr(table, what) for table in tables) for what in ("inserted", "updated", "deleted"))
    databases = plural(len({run.source for run in saved}), "database")
    rows = plural(sum(run.rows for run in saved), "row")
    return f"Backed up {databases}, {rows}, all compared ({inserted:,} inserted, {updated:,} updated, {deleted:,} deleted)"
