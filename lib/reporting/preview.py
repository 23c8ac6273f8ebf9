"""Answer `backup.py --dry-run` and `--verify`: both read everything and leave everything as it is."""

from collections.abc import Callable
from pathlib import Path

from lib import cli
from lib.config import Settings
from lib.plan import Source, TablePlan
from lib.postgres import merge, mirrors, runs
from lib.postgres.connection import Target
from lib.reporting.outcome import Report
from lib.sqlite import lines
from lib.sqlite import snapshot as snapshots
from lib.sqlite.snapshot import Snapshot

Compare = Callable[[Target, Source, Snapshot, TablePlan], dict]


def show(settings: Settings, sources: dict[str, Path], compare: Compare, console: cli.Console) -> int:
    """Compare every table with its mirror; exit 1 where `--verify` finds a difference."""
    report, found = Report(console), []
    for target_settings in settings.targets:
        with report.failures_reported(), Target(target_settings, settings.schema) as target:
            for name, path in sources.items():
                with report.failures_reported():
                    found += _of_source(target, settings, name, path, compare)
    for table in found:
        console.say(table["text"])
    different = [table for table in found if table.get("is_equal") is False]
    failed = bool(report.failures or different)
    console.result({"outcome": "failed" if failed else "saved", "tables": [_without_text(table) for table in found]})
    return cli.FAILED if failed else cli.SAVED


def _of_source(target: Target, settings: Settings, name: str, path: Path, compare: Compare) -> list[dict]:
    source = runs.find_source(target, name)
    with snapshots.taken(path, settings.snapshots, settings.check) as snapshot, target.rehearsal():
        plan = mirrors.plan(snapshot, mirrors.read(target, source), source)
        mirrors.mend(target, plan, source)
        return [{"target": target.host} | compare(target, source, snapshot, table) for table in plan.tables]


def changes(target: Target, source: Source, snapshot: Snapshot, table: TablePlan) -> dict:
    """Say what a backup would do to one table."""
    done = merge.merge_table(target, source, snapshot, table)
    counts = {"inserted": done.inserted, "updated": done.updated, "deleted": done.deleted}
    text = f"{source.name}.{table.name}: would insert {done.inserted:,}, update {done.updated:,}, delete {done.deleted:,}"
    return {"source": source.name, "table": table.name, "rows": done.rows, **counts, "text": text}


def differences(target: Target, source: Source, snapshot: Snapshot, table: TablePlan) -> dict:
    """Compare one table's content with what the target holds, by digest."""
    ours, theirs = lines.digest(snapshot.connection, table), merge.held_digest(target, source, table)
    verdict = "✅ equal" if ours == theirs else "❌ differs"
    text = f"{verdict}  {source.name}.{table.name}: {ours.rows:,} rows here, {theirs.rows:,} in {target.host}"
    found = {"source": source.name, "table": table.name, "rows": ours.rows, "rows_in_target": theirs.rows}
    return found | {"is_equal": ours == theirs, "text": text}


def _without_text(table: dict) -> dict:
    return {name: value for name, value in table.items() if name != "text"}
