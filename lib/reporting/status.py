"""Answer `backup.py --status`: in one screen, how each source is doing on each target."""

import socket
from pathlib import Path

from lib.backing_up import health as healths
from lib.backing_up import scheduled
from lib.backing_up.health import Answered, Health, Unanswered
from lib.backing_up.known import Proof, ShownRun, equal_tables
from lib.base import script
from lib.base.words import age, ago, clock, plural, seconds, size, with_iso
from lib.reporting import troubles
from lib.reporting.troubles import Trouble
from lib.settings.config import Settings

MARKS = {"saved": "✅", "incomplete": "⚠️", "failed": "❌", "running": "⏳"}
MEANINGS = {"saved": "saved", "incomplete": "incomplete", "failed": "failed", "running": "at work, or killed"}
# What `--json` shows as times, not as numbers.
TIMES = ("now", "at", "last_start", "live_at", "next_expected")
NEVER = "never (python3 restore.py --drill)"
UNKNOWN = "unknown until the target answers"


def show(settings: Settings, sources: dict[str, Path], max_age: str | None, console: script.Console) -> int:
    """Print a verdict, then one block per target and source; exit 1 where something is wrong."""
    limit = seconds(max_age) if max_age else None
    known, schedule = healths.of_all(settings, sources), scheduled.look(settings)
    scheduled.expect(schedule, known)
    found = troubles.of(known, settings, schedule, max_age)
    for line in _verdict(known, found):
        console.say(line)
    for health in known:
        console.say(f"\n{_as_text(health, settings)}")
    console.say(f"\nschedule: {schedule.said}")
    sources_told = with_iso([_as_json(health, limit) for health in known], TIMES)
    exit_status = troubles.tell(found, {"schedule": schedule.kind, "sources": sources_told}, console)
    if max_age:
        troubles.tell_others(settings, known, max_age, console)
    return exit_status


def _verdict(known: list[Health], found: list[Trouble]) -> list[str]:
    """Return all that matters in one line, and what else is wrong in further ones."""
    if not found:
        return [f"✅ {troubles.verdict(found, known)}: {troubles.all_is_well(known)}"]
    lines = [f"{trouble.mark} {trouble.line}" for trouble in found]
    return [f"{found[0].mark} {troubles.verdict(found, known)}: {found[0].line}", *lines[1:]]


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
    lines += [
        f"  last success: {_success(health)}",
        *_live(health),
        *_failure(health),
        *_expected(health),
        *_told(health, settings),
        *([f"  edits made in Supabase: {health.edits}"] if health.edits else []),
    ]
    lines += [f"  warning: {text}" for text in health.warnings]
    return "\n".join([*lines, f"  last runs, newest first: {_marks(health.known['runs'])}"])


def _told(health: Health, settings: Settings) -> list[str]:
    """Return what only the target knows."""
    if not isinstance(health, Answered):
        return [f"  restore points, last drill, size: {UNKNOWN}"]
    return [
        f"  restore points: {_points(health)}",
        f"  last proven restorable: {_proven(health)}",
        f"  every row last compared: {_compared(health)}",
        *([f"  proven on the server: {_on_server(health, proof)}"] if (proof := health.known["proof"]) else []),
        f"  database size: {fill(health.known['database_bytes'], settings.max_database_bytes)}",
    ]


def _marks(runs: list[ShownRun]) -> str:
    """Return a mark for each run, and what the marks mean."""
    outcomes = [run["outcome"] for run in runs]
    meant = ", ".join(f"{MARKS[outcome]} {MEANINGS[outcome]}" for outcome in MARKS if outcome in outcomes)
    return f"{' '.join(MARKS[outcome] for outcome in outcomes)} ({meant})" if runs else "none"


def _ago(health: Health, at: float) -> str:
    return ago(health.known["now"] - at)


def _success(health: Health) -> str:
    last = health.success
    if not last:
        return troubles.no_success(health)
    did = f"{plural(last['rows'], 'row')}, {plural(last['changes'], 'change')}, {size(last['bytes_sent'])} sent"
    return f"run {last['run']}, {clock(last['at'])}, {_ago(health, last['at'])}: {did}, {last['seconds']:.1f} s"


def _live(health: Health) -> list[str]:
    if health.live_age is None:
        return []
    return [f"  live: {age(health.live_age)} behind" if health.is_live else f"  live: ⚠️  not seen for {age(health.live_age)}"]


def _failure(health: Health) -> list[str]:
    last = health.failure
    if not last:
        return []
    since = "❌ nothing has got through since" if health.is_failing else "got through since"
    why = (last["error"] or "").splitlines()[0]
    return [f"  last failure: {clock(last['at'])}, {_ago(health, last['at'])} ({since}): {why}"]


def _expected(health: Health) -> list[str]:
    at = health.next_expected
    if not at:
        return []
    left = at - health.known["now"]
    when = f"in {age(left)}" if left >= 0 else ago(-left)
    overdue = "❌ overdue, " if health.is_overdue else ""
    return [f"  next run expected: {overdue}{clock(at)}, {when} (they come every {age(health.known['pace'] or 0)})"]


def _points(health: Answered) -> str:
    points = health.known["restore_points"]
    if points["at"] is None:
        return "none"
    kept = f"; {points['kept']:,} kept for ever" if points["kept"] else ""
    return f"{points['count']:,}, back to run {points['oldest']}, {clock(points['at'])}{kept}"


def _compared(health: Answered) -> str:
    """Every first run compares all; only those of an older release have not noted it."""
    if last := health.known["compared"]:
        return f"by run {last['run']}, {clock(last['at'])}, {_ago(health, last['at'])}"
    return "unknown" if health.success else "never"


def _on_server(health: Answered, proof: Proof) -> str:
    """Return what Postgres found when it last looked by itself, without this machine."""
    told = f"{plural(equal_tables(proof), 'table')} equal, {clock(proof['at'])}, {_ago(health, proof['at'])}"
    ill = [f"❌ {table}: {what}" for table, what in proof["different"].items()]
    left = [f"{table} was left out: {why}" for table, why in proof["unproven"].items()]
    return "; ".join([told, *ill, *left])


def _proven(health: Answered) -> str:
    """Return the last drill that went well; one from elsewhere with who says so, because whoever may back up may write one."""
    proven, failed, text = health.known["proven"], health.known["failed_drill"], NEVER
    if proven:
        text = f"run {proven['run']}, by the drill of {clock(proven['at'])}, {_ago(health, proven['at'])}"
        if proven["machine"] != socket.gethostname():
            text += f", as {proven['by']} on {proven['machine'] or 'an unknown machine'} says"
    return f"{text}; ❌ the drill of {clock(failed['at'])} failed: {failed['error']}" if failed else text


def fill(used: int, limit: int) -> str:
    """Return `5.8 MB of 500.0 MB (1 %)`, given bytes; 0 is no limit."""
    return f"{size(used)} of {size(limit)} ({used * 100 / limit:.0f} %)" if limit else size(used)
