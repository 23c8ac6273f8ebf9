"""Answer `backup.py --dry-run` and `--verify`: both read everything and leave everything as it is."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lib.backing_up import local_runs
from lib.backing_up.attempts import Report, Verdicts
from lib.base import script
from lib.base.errors import Problem
from lib.postgres.books import runs, twins
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import altered, plan_mirrors, proof, upkeep
from lib.settings.config import Settings
from lib.sqlite.lines import read_lines
from lib.sqlite.snapshots import copying
from lib.sqlite.snapshots import snapshot as snapshots
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.digest import Digest
from lib.tables.plan import Source, TablePlan
from lib.tables.results import TableResult

# A bot that has written since the last backup differs, too.
EQUAL_AGAIN = "python3 backup.py --full && python3 backup.py --verify"
# What is said of one table, as `--json` shows it; its sentence is in "text".
Told = dict[str, Any]
Compare = Callable[[Target, Settings, Source, Snapshot, Report], list[Told]]


def show(settings: Settings, sources: dict[str, Path], compare: Compare, console: script.Console) -> Verdicts:
    """Compare every table with its mirror, and return what failed and what `--verify` found to differ, which is noted."""
    report, told, found, seen = Report(console), list[Told](), Verdicts(), twins.Seen()
    for target_settings in settings.targets:
        with report.attempted(target_settings, *sources), Target(target_settings, settings.schema) as target:
            twins.refuse(target, seen)
            for name, path in sources.items():
                with report.attempted(target_settings, name):
                    of_source = target.with_reconnects(partial(_of_source, target, settings, name, path, compare, report))
                    told += of_source
                    found[target_settings.with_source(name)] = _as_failure(_different(of_source))
                    if compare is differences:
                        tables = ", ".join(table["table"] for table in _different(of_source))
                        for warning in local_runs.note_compared(settings, name, target_settings.number, tables):
                            report.warn(warning)
    _answer(told, report, console)
    return found | report.verdicts


def _answer(told: list[Told], report: Report, console: script.Console) -> None:
    for table in told:
        tell = console.fault if table.get("is_equal") is False else console.say
        tell(table["text"])
    errors = [problem.what for problem in report.failures] + [table["text"] for table in _different(told)]
    result = {
        "outcome": "failed" if errors else "saved",
        "tables": [_without_text(table) for table in told],
        "warnings": report.warnings,
    }
    if errors:
        result |= {"error": "\n".join(errors), "try": report.failures[0].remedy if report.failures else EQUAL_AGAIN}
    console.result(result)


def _different(told: list[Told]) -> list[Told]:
    return [table for table in told if table.get("is_equal") is False]


def _as_failure(different: list[Told]) -> str:
    return Problem("\n".join(table["text"] for table in different), EQUAL_AGAIN).text if different else ""


def _of_source(target: Target, settings: Settings, name: str, path: Path, compare: Compare, report: Report) -> list[Told]:
    previous = settings.snapshot_of(name, target.settings.number)
    source, _ = copying.told_first(path, previous, lambda: runs.find_source(target, name))
    with snapshots.taken(path, settings.snapshots, settings.check, previous) as snapshot, target.rehearsal():
        told = compare(target, settings, source, snapshot, report)
        for warning in snapshot.copy.warnings:
            report.warn(target.settings.named(warning))
        return [{"source": name, "target": target.host, "number": target.settings.number} | table for table in told]


def changes(target: Target, results: list[TableResult], source: Source) -> list[Told]:
    """Say what a backup would do to each table of the bot's."""
    return [_change(target, source, done) for done in results if not done.is_internal]


def _change(target: Target, source: Source, done: TableResult) -> Told:
    counts = {name: getattr(done, name) for name in ("inserted", "updated", "deleted")}
    text = f"{source.name}.{done.table}: would insert {done.inserted:,}, update {done.updated:,}, delete {done.deleted:,}"
    return {"table": done.table, "rows": done.rows, **counts, "bytes_sent": done.bytes_sent, "text": target.settings.named(text)}


def differences(target: Target, _: Settings, source: Source, snapshot: Snapshot, _report: Report) -> list[Told]:
    """Compare each table's content with what the target holds, by digest."""
    present = upkeep.read(target, source)
    present = altered.mended(target, source, snapshot, present).mirrors
    plan = plan_mirrors.plan(snapshot, present, source)
    upkeep.mend(target, plan, source, present)
    held = proof.held_digests(target, source, plan.tables)
    compared = {table.label: read_lines.digest(snapshot.connection, table) for table in plan.tables}
    return [
        _difference(target, source, table, compared[table.label], held[table.label])
        for table in plan.tables
        if not table.is_internal or compared[table.label] != held[table.label]
    ]


def _difference(target: Target, source: Source, table: TablePlan, ours: Digest, theirs: Digest) -> Told:
    verdict = "✅ equal" if ours == theirs else "❌ differs"
    what = f"{source.name}.{table.printable}: {ours.rows:,} rows here, {theirs.rows:,} in {target.host}"
    text = f"{verdict}  {target.settings.named(what)}"
    counts = {"rows": ours.rows, "rows_in_target": theirs.rows}
    return {"table": table.printable, **counts, "is_equal": ours == theirs, "text": text}


def _without_text(table: Told) -> Told:
    return {name: value for name, value in table.items() if name != "text"}
