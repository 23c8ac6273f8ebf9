"""How soon a live process may do what: a tenth of a core on average, and growing pauses after what has failed."""

from dataclasses import dataclass

from lib.backing_up.schedule import clock

SHARE = 0.1
# So much processor time may be saved for what comes at once.
MOST_SAVED = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class Allowance:
    """The processor time that may be used, in seconds: a share of what goes by, less what was used."""

    def __init__(self) -> None:
        self._saved, self._at = MOST_SAVED, clock()

    @property
    def is_left(self) -> bool:
        now = clock()
        self._saved, self._at = min(MOST_SAVED, self._saved + SHARE * (now - self._at)), now
        return self._saved > 0

    def use(self, seconds: float) -> None:
        self._saved -= seconds


@dataclass
class Pause:
    """The pause before something is tried again: each is twice the one before it."""

    length: float = 0.0
    until: float = 0.0

    @property
    def is_over(self) -> bool:
        return clock() >= self.until

    def begin(self) -> None:
        self.length = min(max(2 * self.length, FIRST_PAUSE), LONGEST_PAUSE)
        self.until = clock() + self.length

    def forget(self) -> None:
        self.length = self.until = 0.0
