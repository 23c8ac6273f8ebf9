"""Repeat a backup on a steady grid: for containers and wherever there is no cron."""

import time
from collections.abc import Callable
from typing import NoReturn

from lib.base import script, streams

LOOK_SECONDS = 60


def repeat(every: int, back_up: Callable[[], int], console: script.Console) -> NoReturn:
    """Back up now and then every so many seconds, until a signal ends the script."""
    first = clock()
    while True:
        streams.answered.clear()  # one object for each run
        back_up()
        start = next_start(first, every, clock())
        console.note(f"next run in {start - clock():,.0f} s")
        _wait_until(start)


def next_start(first: float, every: int, now: float) -> float:
    """Return the next point of the grid; those that a long run or a sleeping machine has missed are left out."""
    return first + every * ((now - first) // every + 1)


def clock() -> float:
    """Return seconds that no change of the date disturbs, and that go on while the machine sleeps if the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _wait_until(start: float) -> None:
    # time.sleep stands still while the machine sleeps, so it looks at the clock again and again.
    while (left := start - clock()) > 0:
        time.sleep(min(left, LOOK_SECONDS))
