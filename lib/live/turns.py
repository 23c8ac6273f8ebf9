"""Stay, see each commit, and have it in Supabase within seconds.

A live batch is an ordinary run but for one thing: SQLite's check of the file is left to the next ordinary run. Those are made at
the start, every six hours unless somebody else has made them, for a file that is another one, and after a failure. Between two
looks nothing is held but the connections: no lock, no file, no transaction.
"""

import contextlib
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, Protocol

from lib.backing_up import alone, local_runs
from lib.backing_up.attempts import Attempt, Busy, Failed, Report
from lib.backing_up.schedule import clock
from lib.base import causes, log, streams
from lib.base.errors import Outdated, Problem
from lib.base.script import Console
from lib.live.pace import SHARE, Allowance
from lib.live.watch import LONG_AGO, Watch
from lib.postgres.books import edits, runs
from lib.postgres.link.kept import Kept, Reach
from lib.reporting import alerts
from lib.reporting.told import REPEAT_SECONDS, gist
from lib.settings import limits
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.snapshots import watched

# A commit that follows the one before it by less is waited for, but only for so long.
QUIET_SECONDS, LONGEST_UNREST = 0.2, 0.5
SEEN_SECONDS, BEAT_SECONDS, EDITS_SECONDS = 60, 300, 2
# A batch is little: who has not answered for so long has fallen silent, and others wait; an ordinary run may need more.
SILENCE_SECONDS, LONGER_SILENCE = 60.0, 300.0
# No look comes later, whatever is asked for: others count on a sign each minute.
LONGEST = 60


class BackUp(Protocol):
    """What backs up sources to the settings' targets, and says what became of each."""

    def __call__(self, settings: Settings, sources: dict[str, Path], *, reach: Reach) -> Report: ...


def stay(settings: Settings, sources: dict[str, Path], interval: int, back_up: BackUp, console: Console) -> NoReturn:
    """Look at the sources until a signal comes, and back up what has changed; raise Problem where another process does."""
    with alone.held(settings), limits.at_most(**limits.SOON):
        live = Live(settings, sources, interval, back_up, console)
        while True:
            live.turn()
            time.sleep(interval / 2)


class Live:
    """What stays from one turn to the next; `interval` is within how many seconds a commit should be saved."""

    def __init__(self, settings: Settings, sources: dict[str, Path], interval: int, back_up: BackUp, console: Console):
        self._settings, self._interval, self._back_up, self._console = settings, interval, back_up, console
        self._watches = [Watch(settings, name, path, target) for target in settings.targets for name, path in sources.items()]
        self._allowance, self._kept, self._beat_at = Allowance(), Kept(), clock()
        self._unnoted: dict[str, Attempt] = {}
        self._said: dict[str, float] = {}
        self._asked_at = LONG_AGO
        self._telling = futures.ThreadPoolExecutor(1)
        self._file = settings.folder / settings.file
        self._file_state = watched.stat_of(self._file)

    def turn(self) -> None:
        """Look at everything once, and do what is to be done."""
        for target in self._settings.targets:
            self._look_for_edits(target)
            ready = [watch for watch in self._watches if watch.target is target and watch.pause.is_over]
            due = [watch for watch in ready if watch.is_due]
            with limits.at_most(SILENCE_SECONDS=LONGER_SILENCE):
                self._run(target, due, self._settings)
            changed = [watch for watch in ready if watch not in due and watch.has_changed]
            if changed and self._allowance.is_left:
                self._bring(target, changed)
            self._note_seen(target)
        self._beat()
        self._look_at_settings()

    def _look_for_edits(self, target: TargetSettings) -> None:
        """Ask every few seconds whether people have edited a mirror, where that may come back."""
        watches = [watch for watch in self._watches if watch.target is target and watch.saved]
        if not self._settings.accepted.items or target.number != 1 or not watches or clock() - self._asked_at < EDITS_SECONDS:
            return
        self._asked_at = clock()
        with contextlib.suppress(Problem), limits.at_most(SILENCE_SECONDS=SILENCE_SECONDS):  # the next batch finds out, and tells
            with self._kept.reach(target, self._settings.schema) as reached:
                edited = edits.edited(reached, [watch.source for watch in watches])
            for watch in watches:
                watch.is_edited = watch.source in edited

    def _bring(self, target: TargetSettings, changed: list[Watch]) -> None:
        """Bring what has changed: by an ordinary run where it is doubtful that a batch may do."""
        _wait_until_quiet(changed)
        began, doubtful = time.process_time(), [watch for watch in changed if watch.is_doubtful]
        with limits.at_most(SILENCE_SECONDS=LONGER_SILENCE):
            self._run(target, doubtful, self._settings)
        sure = [watch for watch in changed if watch not in doubtful and not watch.is_doubtful]  # that may have taken minutes
        with limits.at_most(SILENCE_SECONDS=SILENCE_SECONDS):
            self._run(target, sure, replace(self._settings, is_live=True))
        used = time.process_time() - began
        self._allowance.use(used)
        if used > SHARE * self._interval and not doubtful:
            self._say_slow(changed, used)

    def _run(self, target: TargetSettings, watches: Sequence[Watch], settings: Settings) -> None:
        """Back up some sources to a target, and take note of what became of each."""
        if not watches:
            return
        began, states = time.monotonic(), [watched.state(watch.path) for watch in watches]
        streams.answered.clear()  # one object for each run
        report = self._attempted(replace(settings, targets=[target]), {watch.source: watch.path for watch in watches})
        if outdated := [problem for problem in report.failures if isinstance(problem, Outdated)]:
            raise outdated[0]
        stuck = {watch.source for watch in watches if watch.is_stuck}
        report.fail([attempt for attempt in report.attempts if isinstance(attempt, Busy) and attempt.source in stuck])
        attempts = {attempt.source: attempt for attempt in report.attempts}
        taken = zip(watches, states, strict=True)
        news = [watch.source for watch, state in taken if watch.take(attempts.get(watch.source), state, not settings.is_live)]
        self._unnoted |= {attempt.label: attempt for attempt in report.attempts if not isinstance(attempt, Busy | Failed)}
        if settings.is_live and (said := self._new(report.warnings)):
            news = [*attempts]
            for warning in said:
                self._console.warn(warning)
        if news:
            self._note([attempts[source] for source in news], report.warnings)
            self._say(lambda: alerts.tell(self._settings, report, []))
        if report.attempts:
            report.close(time.monotonic() - began)

    def _attempted(self, settings: Settings, sources: dict[str, Path]) -> Report:
        """Return what became of it; an error that nothing has caught fails these sources, and does not end the process.

        What cannot be reached costs no copy.
        """
        (target,), report = settings.targets, Report(self._console)
        try:
            with report.attempted(target, *sources), self._kept.reach(target, settings.schema):
                pass
            return report if report.failures else self._back_up(settings, sources, reach=self._kept.reach)
        except Exception as error:
            log.error(traceback.format_exc())
            with report.attempted(target, *sources):
                raise causes.of(error) from error
            return report

    def _new(self, warnings: list[str]) -> list[str]:
        """Return what was not said yet, or a day ago: what stays so is not to be said with every batch."""
        now = clock()
        self._said = {text: at for text, at in self._said.items() if now - at < REPEAT_SECONDS}
        new = [text for text in warnings if gist(text) not in self._said]
        self._said |= dict.fromkeys(map(gist, new), now)
        return new

    def _note(self, attempts: Sequence[Attempt], warnings: list[str]) -> None:
        """Note attempts on this machine; what was saved and not noted yet, now and then."""
        for attempt in attempts:
            self._unnoted.pop(attempt.label, None)
        for warning in self._new(local_runs.note(self._settings, attempts, warnings)):
            self._console.warn(warning)

    def _say(self, tell: Callable[[], list[str]]) -> None:
        """Tell people beside the work, in order: whoever is told may not answer for long."""

        def told() -> None:
            for warning in tell():
                self._console.warn(warning)

        self._telling.submit(told)

    def _say_slow(self, watches: list[Watch], used: float) -> None:
        """Say once of what is too large for the interval that was asked for."""
        for watch in [watch for watch in watches if not watch.was_slow]:
            watch.was_slow = True
            self._console.warn(
                f"{watch.source}: a batch takes {used:.1f} s of a processor, of which live backups use a tenth: "
                f"where it changes all the time, one comes every {used / SHARE:.0f} s, not every {self._interval} s."
            )

    def _note_seen(self, target: TargetSettings) -> None:
        """Say once a minute in Postgres, and nothing else, that nothing is new: `--status` and others go by it."""
        unseen = [watch for watch in self._watches if watch.target is target and clock() - watch.seen_at >= SEEN_SECONDS]
        quiet = [watch for watch in unseen if watch.is_at_rest]
        if not quiet:
            return
        for watch in quiet:
            watch.seen_at = clock()
        try:
            with limits.at_most(SILENCE_SECONDS=SILENCE_SECONDS), self._kept.reach(target, self._settings.schema) as reached:
                runs.note_seen(reached, {watch.source: watch.last_run for watch in quiet})
        except Problem:  # an ordinary run finds out, and tells
            for watch in quiet:
                watch.ordinary_at, watch.saved = LONG_AGO, None

    def _beat(self) -> None:
        """Tell the heartbeat every few minutes that all is well, and note on this machine what was saved."""
        if clock() - self._beat_at < BEAT_SECONDS:
            return
        self._beat_at = clock()
        if self._unnoted:
            self._note([*self._unnoted.values()], [])
        if all(watch.saved and not watch.failure and not watch.busy_since for watch in self._watches):
            self._say(lambda: alerts.beat(self._settings))

    def _look_at_settings(self) -> None:
        """Say once that settings count from a start on."""
        state = watched.stat_of(self._file)
        if state != self._file_state:
            self._file_state = state
            self._console.warn(f"{self._file} was changed: that counts for live backups when they are started again.")


def _wait_until_quiet(watches: list[Watch]) -> None:
    """Wait for the end of several commits that follow each other closely."""
    deadline, states = clock() + LONGEST_UNREST, None
    while (now := [watched.state(watch.path) for watch in watches]) != states and clock() < deadline:
        states = now
        time.sleep(QUIET_SECONDS)
