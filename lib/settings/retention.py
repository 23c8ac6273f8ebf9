"""How long runs stay restore points: every one, then one an hour, then one a day."""

from datetime import timedelta
from typing import NamedTuple

from lib.base.errors import SettingsError
from lib.base.words import seconds

DAYS, ALL, HOURLY, DAILY = "BACKUP_KEEP_DAYS", "BACKUP_KEEP_ALL", "BACKUP_KEEP_HOURLY", "BACKUP_KEEP_DAILY"
DEFAULTS = {DAYS: "30", ALL: "24h", HOURLY: "7d"}
MOST_DAYS = 36500
ONE_DAY = timedelta(days=1)


class Retention(NamedTuple):
    """Every run stays for `keep_all`, the first of each hour for `keep_hourly`, the first of each day for `keep_days`."""

    keep_days: int = 30
    keep_all: timedelta = ONE_DAY
    keep_hourly: timedelta = 7 * ONE_DAY


def read(values: dict[str, str], problems: list[str]) -> Retention:
    """Read the settings; BACKUP_KEEP_DAILY is BACKUP_KEEP_DAYS in the words of the others."""
    days = _days(values, problems)
    every, hourly = (_length(values, name, days, problems) for name in (ALL, HOURLY))
    return Retention(days, every, hourly)


def _days(values: dict[str, str], problems: list[str]) -> int:
    days, daily = values[DAYS], _seconds(values, DAILY, problems)
    if daily and not daily % ONE_DAY and values[DAYS] in (DEFAULTS[DAYS], str(daily.days)):
        days = str(daily.days)
    elif daily:
        why = "is not in whole days" if daily % ONE_DAY else f"is not the same as {DAYS} {days}: leave one of them out"
        problems.append(f"{DAILY} {values[DAILY]!r} {why}.")
    if days.isascii() and days.isdigit() and 1 <= int(days) <= MOST_DAYS:
        return int(days)
    problems.append(f"{DAILY if daily else DAYS} {days!r} is not a whole number from 1 to {MOST_DAYS}.")
    return 1


def _length(values: dict[str, str], name: str, days: int, problems: list[str]) -> timedelta:
    """Return how long; what was never given ends with the days, whatever its default."""
    length = _seconds(values, name, problems)
    if length > days * ONE_DAY and values[name] != DEFAULTS[name]:
        problems.append(f"{name} {values[name]!r} is longer than the {days} days after which history ends ({DAYS}).")
    return length


def _seconds(values: dict[str, str], name: str, problems: list[str]) -> timedelta:
    try:
        return timedelta(seconds=seconds(values[name], MOST_DAYS * 86400)) if name in values else timedelta()
    except SettingsError as wrong:
        problems.append(f"{name} {wrong.what.rstrip('.')}: {wrong.remedy}.")
        return timedelta()
