"""Answer `backup.py --status`: in one screen, how each source is doing on each target."""

import platform
from collections.abc import Sequence
from pathlib import Path

from lib.backing_up import health as healths
from lib.backing_up.health import Answered, Health, Unanswered
from lib.base import script
from lib.base.words import age, clock, plural, seconds, size, with_iso
from lib.settings.config import Settings

MARKS = {"saved": "✅", "incomplete": "⚠️ ", "failed": "❌", "running": "…"}
REMEDY = "python3 backup.py, and see why no run has got through:  python3 backup.py --status"
# What `--json` shows as times, not as numbers.
TIMES = ("now", "at", "last_start", "next_expected")
NEVER = "never (python3 restore.py --drill)"


def show(settings: Settings, sources: dict[str, Path], max_age: str | None, console: script.Console) -> int:
    """Print one block per target and source; exit 1 where the last success is missing or older than `max_age`."""
    limit = seconds(max_age) if max_age else None
    known = healths.of_all(settings, sources)
    for health in known:
        console.say(_as_text(health, settings))
    wrong = complaints(known, settings, max_age)
    sources_told = with_iso([_as_json(health, limit) for health in known], TIMES)
    outcome = {"outcome": "failed" if wrong else "saved", "sources": sources_told}
    console.result(outcome | ({"error": "\n".join(wrong), "try": REMEDY} if wrong else {}))
    for text in wrong:
        console.complain(text)
    return script.FAILED if wrong else script.SAVED


def complaints(known: Sequence[Health], settings: Settings, max_age: str | None) -> list[str]:
    """Return a sentence for each source whose last success is missing or older than `max_age`."""
    limit = seconds(max_age) if max_age else None
    return [f"{_name(health, settings)}{said}" for health in known if (said := _complaint(health, limit, max_age))]


def _name(health: Health, settings: Settings) -> str:
    return health.source if len(settings.targets) == 1 else f"{health.source} → {health.target.label}"


def _complaint(health: Health, limit: int | None, max_age: str | None) -> str:
    is_late = health.is_late(limit)
    if is_late and health.age is not None:
        return f": the last success is {age(health.age)} old, more than {max_age}."
    if isinstance(health, Unanswered) and not health.is_out_of_reach:
        return f": {health.problem.what}"
    return ": has never been backed up." if is_late else ""


def _as_json(health: Health, limit: int | None) -> dict[str, object]:
    return {
        "source": health.source,
        "target": health.target.host,
        "number": health.target.number,
        "asked": "the target" if isinstance(health, Answered) else "this machine's record",
        **health.known,
        "is_late": health.is_late(limit),
        "next_expected": health.next_expected,
        "warnings": health.warnings,
        "last_success": health.success and {**health.success, "age": health.age},
    }


def _as_text(health: Health, settings: Settings) -> str:
    lines = [f"{health.source} → {health.target.label}"]
    if isinstance(health, Unanswered):
        lines.append(f"  the target cannot be asked: {health.problem.what}\n  what follows is this machine's own record")
    lines += [f"  last success: {_success(health)}", *_failure(health), *_expected(health)]
    if isinstance(health, Answered):
        lines += [f"  restore points: {_points(health)}", f"  last proven restorable: {_proven(health)}"]
        lines.append(f"  every row last compared: {_compared(health)}")
        lines.append(f"  database size: {fill(health.known['database_bytes'], settings.max_database_bytes)}")
    lines += [f"  warning: {text}" for text in health.warnings]
    marks = " ".join(MARKS[run["outcome"]] for run in health.known["runs"])
    return "\n".join([*lines, f"  last runs, newest first: {marks or 'none'}"])


def _ago(health: Health, at: float) -> str:
    return f"{age(health.known['now'] - at)} ago"


def _success(health: Health) -> str:
    last = health.success
    if not last:
        return "none"
    did = f"{plural(last['rows'], 'row')}, {plural(last['changes'], 'change')}, {size(last['bytes_sent'])} of rows sent"
    return f"run {last['run']}, {clock(last['at'])}, {_ago(health, last['at'])}: {did}, {last['seconds']:.1f} s"


def _failure(health: Health) -> list[str]:
    last = health.failure
    if not last:
        return []
    since = "❌ nothing has got through since" if health.is_failing else "got through since"
    why = (last["error"] or "").splitlines()[0]
    return [f"  last failure: {clock(last['at'])}, {_ago(health, last['at'])} ({since}): {why}"]


def _expected(health: Health) -> list[str]:
    at = health.next_expected
    if not at or not isinstance(health, Answered):
        return []
    left = at - health.known["now"]
    when = f"in {age(left)}" if left >= 0 else f"{age(-left)} ago"
    return [f"  next run expected: {clock(at)}, {when} (they come every {age(health.known['pace'] or 0)})"]


def _points(health: Answered) -> str:
    points = health.known["restore_points"]
    if points["at"] is None:
        return "none"
    return f"{points['count']:,}, back to run {points['oldest']}, {clock(points['at'])}"


def _compared(health: Answered) -> str:
    last = health.known["compared"]
    return f"by run {last['run']}, {clock(last['at'])}, {_ago(health, last['at'])}" if last else "unknown"


def _proven(health: Answered) -> str:
    """Return the last drill that went well; one from elsewhere with who says so, because whoever may back up may write one."""
    proven, failed, text = health.known["proven"], health.known["failed_drill"], NEVER
    if proven:
        text = f"run {proven['run']}, by the drill of {clock(proven['at'])}, {_ago(health, proven['at'])}"
        if proven["machine"] != platform.node():
            text += f", as {proven['by']} on {proven['machine'] or 'an unknown machine'} says"
    return f"{text}; ❌ the drill of {clock(failed['at'])} failed: {failed['error']}" if failed else text


def fill(used: int, limit: int) -> str:
    """Return `5.8 MB of 500.0 MB (1 %)`, given bytes; 0 is no limit."""
    return f"{size(used)} of {size(limit)} ({used * 100 / limit:.0f} %)" if limit else size(used)
