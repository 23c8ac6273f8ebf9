"""Answer `backup.py --status`: when did each source last get through, and what came of the last runs."""

from pathlib import Path

from lib import cli
from lib.config import Settings
from lib.postgres import runs
from lib.postgres.connection import Target
from lib.reporting.words import age, plural, seconds

SHOWN_RUNS = 5
MARKS = {"saved": "✅", "incomplete": "⚠️ ", "failed": "❌", "running": "…"}


def show(settings: Settings, sources: dict[str, Path], max_age: str | None, console: cli.Console) -> int:
    """Print one block per target and source; exit 1 where the last success is missing or older than `max_age`."""
    limit = seconds(max_age) if max_age else None
    found = []
    for target_settings in settings.targets:
        with Target(target_settings, settings.schema) as target:
            found += [_of_source(target, name) for name in sources]
    late = [block for block in found if block["last_success"] is None or (limit and block["last_success"]["age"] > limit)]
    for block in found:
        console.say(_as_text(block))
    console.result({"outcome": "failed" if late else "saved", "sources": found})
    for block in late:
        console.complain(f"{block['source']}: {_lateness(block, max_age)}")
    return cli.FAILED if late else cli.SAVED


def _of_source(target: Target, name: str) -> dict:
    success = runs.last_saved(target, name)
    last = dict(zip(("run", "finished_at", "age", "rows"), success, strict=True)) if success else None
    found = {"source": name, "target": target.host, "last_success": last, "runs": runs.recent(target, name, SHOWN_RUNS)}
    drill = target.run("last_drill", {"source": name})
    return found | {"proven": dict(zip(("run", "finished_at", "age"), drill[0], strict=True)) if drill else None}


def _as_text(block: dict) -> str:
    last = block["last_success"]
    lines = [f"{block['source']} → {block['target']}"]
    if last:
        lines.append(
            f"  last success: run {last['run']}, {last['finished_at']} UTC, {age(last['age'])} ago, {plural(last['rows'], 'row')}"
        )
    else:
        lines.append("  last success: none")
    proven = block["proven"]
    if proven:
        lines.append(f"  last proven restorable: run {proven['run']}, {proven['finished_at']} UTC, {age(proven['age'])} ago")
    else:
        lines.append("  last proven restorable: never (python3 restore.py --drill)")
    for run in block["runs"]:
        reason = f"  {run['error'].splitlines()[0]}" if run["error"] else ""
        lines.append(f"  {MARKS[run['outcome']]} run {run['run']}  {run['started_at']} UTC  {run['outcome']}{reason}")
    return "\n".join(lines)


def _lateness(block: dict, max_age: str | None) -> str:
    last = block["last_success"]
    if not last:
        return "has never been backed up."
    return f"the last success is {age(last['age'])} old, more than {max_age}."
