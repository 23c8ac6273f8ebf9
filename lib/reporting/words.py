"""Numbers and times as people read and write them."""

import datetime
import re
import time

from lib.errors import SettingsError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def age(seconds: float) -> str:
    """Return `40 seconds`, `3 minutes`, `7 hours` or `2 days`."""
    seconds = round(seconds)
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            return plural(seconds // unit, name)
    return plural(max(seconds, 0), "second")


def clock(at: float) -> str:
    """Return Unix seconds as `2026-11-22 12:00:03 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def plural(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def size(count: int) -> str:
    """Return bytes as `310 B`, `28.1 kB` or `1.2 GB`."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def moment(text: str, today: datetime.date | None = None) -> tuple[int | None, datetime.datetime | None]:
    """Read a run number or a time, UTC unless it has an offset; a day means its end, `yesterday` too."""
    text, today = text.strip(), today or datetime.datetime.now(datetime.timezone.utc).date()
    if text.isascii() and text.isdigit():
        return int(text), None
    days = {"today": today, "yesterday": today - datetime.timedelta(days=1)}
    try:
        day = days.get(text) or datetime.date.fromisoformat(text)
        return None, datetime.datetime.combine(day, datetime.time.max, datetime.timezone.utc)
    except ValueError:
        pass
    try:
        found = datetime.datetime.fromisoformat(re.sub(r"[zZ]$| UTC$", "+00:00", text))
    except ValueError:
        raise SettingsError(
            f"{text!r} is neither a run nor a time.", 'write --at 117, --at "2026-11-20 12:00", --at 2026-11-20 or --at yesterday'
        ) from None
    return None, found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)


def seconds(text: str) -> int:
    """Read `90s`, `45m`, `7h` or `2d`."""
    match = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if not match or not int(match[1]):
        raise SettingsError(f"{text!r} is no length of time.", "write 90s, 45m, 7h or 2d")
    return int(match[1]) * SECONDS[match[2]]
