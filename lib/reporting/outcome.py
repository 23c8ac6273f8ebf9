"""Collect what became of every source on every target, tell the operator, and choose the exit status."""

import contextlib
from collections.abc import Iterator

from lib import cli, log
from lib.errors import Problem
from lib.postgres.runs import Run

NOTHING_CHANGED = "Nothing was changed in Supabase"


class Report:
    """The outcome of one call of backup.py; failures are printed as they happen."""

    def __init__(self, console: cli.Console):
        self.console = console
        self.runs: list[Run] = []
        self.failures: list[Problem] = []
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self.console.warn(text)

    @contextlib.contextmanager
    def failures_reported(self) -> Iterator[None]:
        """One source or one target that fails does not stop the others."""
        try:
            yield
        except Problem as problem:
            problem.untouched = problem.untouched or f"{NOTHING_CHANGED}."
            self.failures.append(problem)
            self.console.fail(problem)

    def add(self, run: Run) -> None:
        self.runs.append(run)
        for table in run.tables:
            line = (
                f"{run.source}.{table.table}: {table.rows:,} rows, {table.inserted:,} inserted, {table.updated:,} updated, "
                f"{table.deleted:,} deleted, {table.misfits:,} kept whole, {table.bytes_sent:,} bytes, {table.seconds:.2f} s"
            )
            log.info(f"run {run.run}: {line}")
            self.console.note(f"   {line}")

    def close(self, seconds: float) -> int:
        """Print the last line, and return the exit status."""
        saved = [run for run in self.runs if run.outcome == "saved"]
        outcome, status = cli.judged(bool(saved), bool(self.failures))
        if status == cli.SAVED:
            log.last_sync()
            self.console.note(f"✅ {_summary(saved)} in {seconds:.1f} s")
        found = {"outcome": outcome, "seconds": round(seconds, 3), "runs": [run.as_json() for run in self.runs]}
        found["warnings"] = self.warnings
        if self.failures:
            found["error"] = "\n".join(problem.what for problem in self.failures)
            found["try"] = self.failures[0].remedy
        self.console.result(found)
        return status


def _summary(saved: list[Run]) -> str:
    tables = [table for run in saved for table in run.tables]
    inserted, updated, deleted = (sum(getattr(table, what) for table in tables) for what in ("inserted", "updated", "deleted"))
    rows, databases = sum(run.rows for run in saved), len({run.source for run in saved})
    return (
        f"Backed up {databases} database{'s' * (databases != 1)}, {rows:,} rows, all compared "
        f"({inserted:,} inserted, {updated:,} updated, {deleted:,} deleted)"
    )
