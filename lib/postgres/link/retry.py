"""Try again what may pass, with growing pauses; never what was refused: wrong passwords ban this machine's address."""

import random
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from lib.base import log
from lib.base.errors import MayPass, Problem
from lib.base.leaving import shown
from lib.settings import limits

Result = TypeVar("Result")
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class Patience:
    """The time that is left for one target; it is used up once, however many sources wait for that target."""

    def __init__(self) -> None:
        self._ends: float | None = None
        self._pause = FIRST_PAUSE

    def wait(self, problem: Problem) -> None:
        """Pause, longer each time; raise the problem where the time is up."""
        self._ends = self._ends or time.monotonic() + limits.RETRY_SECONDS
        pause = self._pause * random.uniform(0.5, 1)
        if time.monotonic() + pause > self._ends:
            raise problem
        _say(f"{problem.what} Trying again in {pause:.0f} s.")
        time.sleep(pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def renew(self) -> None:
        """Something has worked: the next trouble is another one."""
        self._ends, self._pause = None, FIRST_PAUSE

    def try_again(self, attempt: Callable[[], Result], may_pass: tuple[type[Problem], ...] = (MayPass,)) -> Result:
        """Call `attempt` until it works or fails for good."""
        while True:
            try:
                return attempt()
            except may_pass as problem:
                self.wait(problem)


def _say(text: str) -> None:
    """Waiting is no failure: it goes to the log, and to whoever watches."""
    log.warning(text)
    if sys.stderr.isatty():
        print(shown(text), file=sys.stderr, flush=True)
