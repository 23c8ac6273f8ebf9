"""One source on one target, as a live process sees it: what was saved of it last, and what is to be done about it."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from lib.backing_up import local_runs
from lib.backing_up.attempts import Attempt, Busy, Failed, Saved
from lib.backing_up.local_runs import BUSY_SECONDS
from lib.backing_up.schedule import clock
from lib.base.errors import HeldUp, MayPass, Unreachable
from lib.live.pace import Pause
from lib.reporting.told import REPEAT_SECONDS, gist
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.snapshots import previous, watched
from lib.sqlite.snapshots.watched import State

# Where cron makes the ordinary runs, every six hours, they come first.
ORDINARY_SECONDS = 6 * 3600 + 900
LONG_AGO = -1e9
# A transaction of the bot's may be in the way for so long, as with any run.
HELD_UP_SECONDS = 60
# One outage has many faces, and is told as one.
OUTAGE = "an outage"


@dataclass
class Watch:
    """`saved` is the file's state before it was copied for the last run that got through, `failure` why the last one did not.

    Times are those of `clock`.
    """

    settings: Settings
    source: str
    path: Path
    target: TargetSettings
    saved: State | None = None
    ordinary_at: float = LONG_AGO
    seen_at: float = LONG_AGO
    busy_since: float | None = None
    failure: str = ""
    told_at: float = LONG_AGO
    was_slow: bool = False
    is_edited: bool = False
    pause: Pause = field(default_factory=Pause)

    @property
    def note(self) -> Path:
        """Return the snapshot of the last run that this machine has saved, beside which its note is."""
        return self.settings.snapshot_of(self.source, self.target.number)

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt has failed, be it this process's or another one's on this machine."""
        return bool(self.failure) or self._is_noted_as_failed

    @property
    def _is_noted_as_failed(self) -> bool:
        return local_runs.has_failed(self.settings, self.source, self.target.number)

    @property
    def has_changed(self) -> bool:
        """Whether there may be something to bring: after a failure always."""
        return self.has_failed or self.is_edited or watched.state(self.path) != self.saved

    @property
    def is_doubtful(self) -> bool:
        """Whether an ordinary run must find out: the last one has failed, or another file is in the place of the one it saved."""
        return self.has_failed or not self.saved or not watched.is_same_file(watched.state(self.path), self.saved)

    @property
    def is_due(self) -> bool:
        """Whether nobody has made an ordinary run for six hours; after a failure it is tried again as what has changed."""
        if self.failure:
            return False
        if self.saved and clock() - self.ordinary_at >= ORDINARY_SECONDS:
            checked = previous.last_checked(previous.read(self.note))
            age = time.time() - checked["at"] if checked else ORDINARY_SECONDS
            self.ordinary_at = clock() - age if age >= 0 else LONG_AGO
        return clock() - self.ordinary_at >= ORDINARY_SECONDS

    @property
    def is_at_rest(self) -> bool:
        """Whether all that was committed is saved, as far as anybody can tell."""
        return bool(self.saved) and not self.busy_since and not self.has_changed

    @property
    def is_stuck(self) -> bool:
        """Whether other runs have been at work on it for so long that it looks as if nothing got through."""
        return bool(self.busy_since) and clock() - (self.busy_since or 0) >= BUSY_SECONDS

    @property
    def last_run(self) -> int:
        """Return the last run that this machine has noted."""
        run = previous.read(self.note).get("run")
        return run if isinstance(run, int) else 0

    def _is_held_up(self, attempt: Attempt | None) -> bool:
        """Whether a transaction of the bot's was in the way, and not yet for as long as any run would wait."""
        is_locked = isinstance(attempt, Failed) and isinstance(attempt.problem, HeldUp)
        return is_locked and clock() - (self.busy_since or clock()) < HELD_UP_SECONDS

    def take(self, attempt: Attempt | None, state: State, is_ordinary: bool) -> bool:
        """Take what became of an attempt; nothing is a batch of which nothing was new. Return whether that is news."""
        before, now = self.failure, clock()
        if isinstance(attempt, Busy) or self._is_held_up(attempt):
            self.busy_since = self.busy_since or now
            self.pause.begin()
            return False
        self.busy_since = None
        if isinstance(attempt, Failed):
            is_outage = isinstance(attempt.problem, MayPass | Unreachable)
            self.failure = OUTAGE if is_outage else gist(attempt.problem.text)
            self.pause.begin()
            is_news = self.failure != before or now - self.told_at >= REPEAT_SECONDS
            self.told_at = now if is_news else self.told_at
            return is_news
        self.saved, self.failure, self.is_edited = state, "", False
        has_sent_all = isinstance(attempt, Saved) and attempt.run.is_compared and not (is_ordinary or attempt.run.edits)
        if has_sent_all or (self._is_noted_as_failed and not before):
            # Every row was sent, or the note of a failure has stayed: where that is so each time, it is not to be each second.
            self.pause.begin()
        else:
            self.pause.forget()
        if is_ordinary:
            self.ordinary_at = now
        return bool(attempt) and (is_ordinary or bool(before))
