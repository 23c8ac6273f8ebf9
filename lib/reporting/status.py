"""Answer `backup.py --status`: in one screen, how each source is doing on each target."""

import platform
from pathlib import Path

from lib.backing_up import health
from lib.backing_up.health import Health
from lib.base import script
from lib.base.words import age, clock, plural, seconds, size
from lib.settings.config import Settings

MARKS = {"saved": "✅", "incomplete": "⚠️ ", "failed": "❌", "running": "…"}
REMEDY = "python3 backup.py, and see why no run has got through:  python3 backup.py --status"
NEVER = "never (python3 restore.py --drill)"


def show(settings: Settings, sources: dict[str, Path], max_age: str | None, console: script.Console) -> int:
    """Print one block per target and source; exit 1 where the last success is missing or older than `max_age`."""
    limit = seconds(max_age) if max_age else None
    found = health.of_all(settings, sources)
    for block in found:
        console.say(_as_text(block, settings))
    complaints = [f"{_name(block, settings)}{said}" for block in found if (said := _complaint(block, limit, max_age))]
    outcome = {"outcome": "failed" if complaints else "saved", "sources": [_as_json(block, limit) for block in found]}
    console.result(outcome | ({"error": "\n".join(complaints), "try": REMEDY} if complaints else {}))
    for text in complaints:
        console.complain(text)
    return script.FAILED if complaints else script.SAVED


def _name(block: Health, settings: Settings) -> str:
    return block.source if len(settings.targets) == 1 else f"{block.source} → {block.target.label}"


def _complaint(block: Health, limit: int | None, max_age: str | None) -> str:
    late = block.lateness(limit)
    if late == "old":
        return f": the last success is {age(block.age)} old, more than {max_age}."
    if block.problem and not health.is_out_of_reach(block):
        return f": {block.problem.what}"
    return f": {late}." if late else ""


def _as_json(block: Health, limit: int | None) -> dict:
    known = {"source": block.source, "target": block.target.host, "number": block.target.number}
    known["asked"] = "this machine's record" if block.problem else "the target"
    success = block.success and block.success | {"age": block.age}
    found = {"is_late": bool(block.lateness(limit)), "next_expected": block.next_expected, "warnings": block.warnings}
    return known | block.found | found | {"last_success": success}


def _as_text(block: Health, settings: Settings) -> str:
    lines = [f"{block.source} → {block.target.label}"]
    if block.problem:
        lines.append(f"  the target cannot be asked: {block.problem.what}\n  what follows is this machine's own record")
    lines += [f"  last success: {_success(block)}", *_failure(block), *_expected(block)]
    if not block.problem:
        lines += [f"  restore points: {_points(block)}", f"  last proven restorable: {_proven(block)}"]
        lines.append(f"  every row last compared: {_compared(block)}")
        lines.append(f"  database size: {fill(block.found['database_bytes'], settings.max_database_mb)}")
    lines += [f"  warning: {text}" for text in block.warnings]
    marks = " ".join(MARKS[run["outcome"]] for run in block.found["runs"])
    return "\n".join([*lines, f"  last runs, newest first: {marks or 'none'}"])


def _success(block: Health) -> str:
    last = block.success
    if not last:
        return "none"
    did = f"{plural(last['rows'], 'row')}, {plural(last['changes'], 'change')}, {size(last['bytes_sent'])} of rows sent"
    return f"run {last['run']}, {clock(last['at'])}, {age(block.age)} ago: {did}, {last['seconds']:.1f} s"


def _failure(block: Health) -> list[str]:
    last = block.failure
    if not last:
        return []
    ago = age(block.found["now"] - last["at"])
    since = "❌ nothing has got through since" if block.is_failing else "got through since"
    return [f"  last failure: {clock(last['at'])}, {ago} ago ({since}): {(last['error'] or '').splitlines()[0]}"]


def _expected(block: Health) -> list[str]:
    at = block.next_expected
    if not at:
        return []
    left = at - block.found["now"]
    when = f"in {age(left)}" if left >= 0 else f"{age(-left)} ago"
    return [f"  next run expected: {clock(at)}, {when} (they come every {age(block.found['pace'])})"]


def _points(block: Health) -> str:
    points = block.found["restore_points"]
    if not points["count"]:
        return "none"
    return f"{points['count']:,}, back to run {points['oldest']}, {clock(points['at'])}"


def _compared(block: Health) -> str:
    found = block.found["compared"]
    return f"by run {found['run']}, {clock(found['at'])}, {age(block.found['now'] - found['at'])} ago" if found else "unknown"


def _proven(block: Health) -> str:
    """Return the last drill that went well; one from elsewhere with who says so, because whoever may back up may write one."""
    proven, failed = block.found["proven"], block.found["failed_drill"]
    text = (
        f"run {proven['run']}, by the drill of {clock(proven['at'])}, {age(block.found['now'] - proven['at'])} ago"
        if proven
        else NEVER
    )
    if proven and proven["machine"] != platform.node():
        text += f", as {proven['by']} on {proven['machine'] or 'an unknown machine'} says"
    return f"{text}; ❌ the drill of {clock(failed['at'])} failed: {failed['error']}" if failed else text


def fill(found: int, plan_mb: int) -> str:
    """Return `5.8 MB of 500.0 MB (1 %)`; 0 is no limit."""
    if not plan_mb:
        return size(found)
    return f"{size(found)} of {size(plan_mb * 1_000_000)} ({found / plan_mb / 10_000:.0f} %)"
