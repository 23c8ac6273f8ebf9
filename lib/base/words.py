"""Numbers and times as people read and write them."""

import contextlib
import datetime
import re
import time
from collections.abc import Container
from typing import Any

from lib.base.errors import SettingsError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 366 * 86400
LAST_RUN = 2**63 - 1
# Not datetime.fromisoformat, which reads more on newer versions of Python than on older ones.
TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ]([01]\d|2[0-4])(?::([0-5]\d)(?::([0-5]\d|60)(?:[.,](\d+))?)?)?)?"
    r" ?(Z|UTC|[+-]\d\d(?::?[0-5]\d)?)?",
    re.ASCII | re.IGNORECASE,
)
CLOCK = re.compile(r"\d\d:", re.ASCII)
AGO = re.compile(r"(\d{1,5}) (second|minute|hour|day|week)s? ago", re.ASCII | re.IGNORECASE)


def age(seconds: float) -> str:
    """Return `40 seconds`, `3 minutes`, `7 hours` or `2 days`."""
    seconds = round(seconds)
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            return plural(seconds // unit, name)
    return plural(max(seconds, 0), "second")


def ago(seconds: float) -> str:
    """Return `7 hours ago`; what has not been yet says that a clock is wrong."""
    return f"{age(seconds)} ago" if seconds > -1 else f"unknown how long ago: {age(-seconds)} in the future"


def clock(at: float) -> str:
    """Return Unix seconds as `2026-11-22 12:00:03 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def iso(at: float | str) -> str:
    """Return Unix seconds, or UTC as `2026-11-22 12:00:03`, as machines read it everywhere: `2026-11-22T12:00:03Z`."""
    return (at if isinstance(at, str) else clock(at)).removesuffix(" UTC").replace(" ", "T") + "Z"


def with_iso(told: Any, names: Container[str]) -> Any:
    """Return what `--json` shows with the times that have these names, at whatever depth, in that form."""
    if isinstance(told, dict):
        return {name: iso(value) if name in names and value else with_iso(value, names) for name, value in told.items()}
    return [with_iso(value, names) for value in told] if isinstance(told, list) else told


def plural(count: int, name: str) -> str:
    """Return `1 row`, `2 rows` or `1,000 rows`."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def size(count: int) -> str:
    """Return bytes as `310 B`, `28.1 kB` or `1.2 GB`."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def run(text: str) -> int:
    """Return the run that a text names; raise SettingsError for anything else."""
    if _is_run(text):
        return int(text)
    raise SettingsError(f"{text!r} is no run's number.", "python3 backup.py --edits  shows them")


def _is_run(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= LAST_RUN


def moment(text: str, today: datetime.date | None = None) -> tuple[int | None, datetime.datetime | None]:
    """Read a run number, or a time: UTC unless it has an offset, and its end, be it a day's, a minute's or a second's.

    Return the run, or the moment that follows the end: what is meant has ended before it.
    """
    text = " ".join(text.split())
    if _is_run(text):
        return int(text), None
    with contextlib.suppress(ValueError, OverflowError):
        if gone := AGO.fullmatch(text):
            past = datetime.timedelta(**{f"{gone[2].lower()}s": int(gone[1])})
            return None, datetime.datetime.now(datetime.timezone.utc) - past
        if named := _named(text, today):
            return None, _end_of(*named.groups())
    raise SettingsError(
        f"{text!r} is neither a run nor a time.",
        'write --at 117, --at "2026-11-20 12:00", --at 2026-11-20, --at "yesterday 14:05", --at 14:05 or --at "2 hours ago"',
    )


def beginning(text: str) -> datetime.datetime | None:
    """Return when the day, hour, minute or second begins whose end `moment` has read; nothing for a run."""
    _, end = moment(text)
    named = _named(" ".join(text.split()))
    if not named or not end:
        return end
    _, hour, minute, second, *_ = named.groups()
    parts = {"seconds": second, "minutes": minute, "hours": hour, "days": "all of it"}
    return end - datetime.timedelta(**{next(unit for unit, part in parts.items() if part): 1})


def _named(text: str, today: datetime.date | None = None) -> re.Match[str] | None:
    today = today or datetime.datetime.now(datetime.timezone.utc).date()
    days = {"today": today, "yesterday": today - datetime.timedelta(days=1)}
    day, blank, rest = text.partition(" ")
    if CLOCK.match(text):
        return TIME.fullmatch(f"{today} {text}")
    return TIME.fullmatch(f"{days.get(day.lower(), day)}{blank}{rest}")


def _end_of(
    day: str, hour: str | None, minute: str | None, second: str | None, fraction: str | None, zone: str | None
) -> datetime.datetime:
    """Return the moment that follows a time that is given as precisely as its parts; the last day of all has no end."""
    with contextlib.suppress(OverflowError):
        return _behind(day, hour, minute, second, fraction, zone)
    return datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)


def _behind(
    day: str, hour: str | None, minute: str | None, second: str | None, fraction: str | None, zone: str | None
) -> datetime.datetime:
    start = datetime.datetime.combine(datetime.date.fromisoformat(day), datetime.time.min, _zone(zone or "Z"))
    parts = (int(hour or 0), int(minute or 0), int(second or 0))
    if not hour or parts == (24, 0, 0):
        return start + datetime.timedelta(days=1)
    if parts[0] == 24:
        raise ValueError(hour)
    digits = (fraction or "")[:6]
    start += datetime.timedelta(0, parts[2], int(digits.ljust(6, "0")), 0, parts[1], parts[0])
    if second:
        return start + datetime.timedelta(microseconds=10 ** (6 - len(digits)))
    return start + datetime.timedelta(**{"minutes" if minute else "hours": 1})


def _zone(text: str) -> datetime.timezone:
    if text[0] not in "+-":
        return datetime.timezone.utc
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    return datetime.timezone(int(f"{text[0]}1") * datetime.timedelta(hours=hours, minutes=minutes))


def seconds(text: str, longest: int = LONGEST) -> int:
    """Read `90s`, `45m`, `7h` or `2d`."""
    match = re.fullmatch(r"0*(\d{1,9})([smhd])", text.strip())
    if not match or not 0 < (length := int(match[1]) * SECONDS[match[2]]) <= longest:
        most = f"{longest // SECONDS['d']}d" if longest >= SECONDS["d"] else f"{longest}s"
        raise SettingsError(f"{text!r} is no length of time from 1s to {most}.", "write 90s, 45m, 7h or 2d")
    return length
