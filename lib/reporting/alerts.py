"""Tell people who are not there: a heartbeat for every backup; e-mail, webhook and Telegram when one fails and when all is well
again. So do a drill, a comparison and the watch over the last success, of which the heartbeat hears failures alone.

An alert never fails a backup and never holds it up for long: each goes its own way in a thread, and what could not be delivered
is a warning, and is told again by the next run. The same failure is told at once and then once a day.
"""

import contextlib
import functools
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

from lib.backing_up import local_runs
from lib.backing_up.attempts import Report, Verdicts, exit_status
from lib.base import causes, log, script, stopping
from lib.base.errors import Problem
from lib.base.leaving import shown
from lib.base.script import Console
from lib.postgres.books import edits
from lib.reporting.told import Memory
from lib.settings import config
from lib.settings.channels import DELIVERY_SECONDS, Channels
from lib.settings.config import Settings

MARKS = {"saved": "✅", "incomplete": "⚠️", "failed": "❌"}
SAID = {"saved": "works again", "incomplete": "incomplete", "failed": "failed"}
SETTINGS, CHANNELS = "the settings", "the settings of the alerts"
# Whoever stops a script gives it some seconds before he kills it: docker 10, systemd 90.
LAST_WORD_SECONDS = 5


@dataclass(frozen=True)
class Job:
    """What people hear of when it fails and when it works again: its name as a whole, and for one source on one target."""

    whole: str
    part: str

    def named(self, found: Verdicts, settings: Settings) -> Verdicts:
        """Return what was found under the names of this job; the whole works where all of its parts were looked at."""
        parts = {target.with_source(name) for target in settings.targets for name in settings.sources}
        whole = {self.whole: ""} if parts <= found.keys() else {}
        return whole | {self.part.format(label): failure for label, failure in found.items()}


BACKUP = Job("the whole backup", "{}")
DRILL = Job("the drill", "the drill of {}")
COMPARISON = Job("the comparison", "the comparison of {}")
PROOF = Job("the proof on the server", "the proof of {} on the server")
FLEET = Job("the fleet", "the deployment {}")
AGE = Job("the watch over the schedule", "the schedule of {}")


class Delivery(threading.Thread):
    """One message on its way. A daemon: a server that never answers must not keep the script alive."""

    def __init__(self, channel: str, send: Callable[[], None]):
        super().__init__(daemon=True)
        self.channel, self._send = channel, send
        self._error, self._began = "", time.monotonic()
        self.start()

    def run(self) -> None:
        try:
            self._send()
        except Exception as error:  # of whatever kind: an alert must not fail a backup
            self._error = _delivery().reason(error)

    def error(self, patience: float = DELIVERY_SECONDS) -> str:
        """Wait for the end, so many seconds from the start, and return why the message was not delivered."""
        self.join(max(0, self._began + patience - time.monotonic()))
        return f"no answer within {patience} seconds" if self.is_alive() else self._error


def _delivery() -> ModuleType:
    """Load HTTP, mail and TLS when they are first needed: that takes longer than many a backup's own work."""
    from lib.reporting import delivery

    return delivery


def start(channels: Channels) -> list[Delivery]:
    """Tell the heartbeat, if there is one, that a backup begins, without waiting for its answer."""
    return [_ping(channels.heartbeat, "/start", "")] if channels.heartbeat else []


def tell(settings: Settings, report: Report, started: list[Delivery]) -> list[str]:
    """Tell what became of a backup to every channel that wants to know, and return what could not be delivered as warnings.

    The heartbeat hears of a success only where no source fails, also none that this backup was not asked for. /log leaves a job
    that it was told has started as it is: the one for which this one has given way will end it.
    """
    _, status = report.judged()
    if failing := local_runs.failing(settings):
        report.note(f"failing: {', '.join(failing)}")
    beat = "/fail" if status or failing else "" if report.has_saved_all else "/log"
    late = _undelivered(started, DELIVERY_SECONDS).values()
    # What did not come of people's edits is no failure that ends: it has no success to be told either.
    not_come = {f"the edits of {run.source}": "\n".join(edits.told(run.source, run.edits)) for run in report.runs}
    not_come = {label: what for label, what in not_come.items() if what}
    return [*late, *_tell_all(settings, BACKUP.named(report.verdicts, settings) | not_come, status, beat)]


def beat(settings: Settings) -> list[str]:
    """Tell the heartbeat that live backups go on, where no source fails; return what could not be delivered as warnings."""
    return [] if local_runs.failing(settings) else _tell_all(settings, {}, script.SAVED, "")


def told(settings: Settings, job: Job, console: Console, look: Callable[[], Verdicts]) -> int:
    """Do another job than a backup, tell what it found, and return the exit status; its success is none of the heartbeat's."""
    with end_told(settings, job):
        found = look()
    status = exit_status(found)
    for warning in _tell_all(settings, job.named(found, settings), status, "/fail" if status else None):
        console.warn(warning)
    return status


@contextlib.contextmanager
def end_told(settings: Settings, job: Job, started: Sequence[Delivery] = ()) -> Iterator[None]:
    """A signal that ends the script, and an error that nothing has caught, are told like any failure, and then take their way."""

    def stopped(number: int) -> None:
        if number != signal.SIGINT:  # as a rule that is a person at the terminal
            by = signal.Signals(number).name
            said = Problem(f"{job.whole} was stopped by {by}.", "see who stopped it; the next one does it all")
            _undelivered(started, LAST_WORD_SECONDS)
            _tell_all(settings, {job.whole: said.text}, script.FAILED, "/fail", LAST_WORD_SECONDS)

    with stopping.last_word(stopped):
        try:
            yield
        except Exception as error:
            told = error if isinstance(error, Problem) else causes.of(error)
            _undelivered(started, DELIVERY_SECONDS)
            for warning in _tell_all(settings, {job.whole: told.text}, script.FAILED, "/fail"):
                log.warning(warning)
            raise


def loaded(env_file: str | None, console: Console) -> Settings:
    """Read the settings; those that stop everything are told through the channels that can be read."""
    try:
        return config.load(env_file)
    except config.WrongSettings as problem:
        for warning in _tell_all(problem.settings, {SETTINGS: problem.text}, script.USAGE, "/fail"):
            console.warn(warning)
        raise


def _tell_all(
    settings: Settings, verdicts: Verdicts, status: int, beat: str | None, patience: float = DELIVERY_SECONDS
) -> list[str]:
    """Tell the heartbeat, and every channel for which there is news."""
    channels = settings.channels
    if SETTINGS not in verdicts:  # then they were read
        verdicts = {SETTINGS: "", CHANNELS: "\n".join(f"Error: {wrong}" for wrong in channels.wrong), **verdicts}
    sent = [_ping(channels.heartbeat, beat, _log(status, verdicts))] if channels.heartbeat and beat is not None else []
    ways = senders(channels)
    if not ways:
        return [*_undelivered(sent, patience).values()]
    memory, news = Memory(settings.record("alerts", ".json")), []
    for channel, send in ways.items():
        well_again = memory.recovered(channel, verdicts)
        if well_again or memory.is_news(channel, verdicts):
            news.append(Delivery(channel, functools.partial(send, *_message(verdicts, well_again, status))))
    late = _undelivered(sent + news, patience)
    memory.remember([delivery.channel for delivery in news if delivery.channel not in late], [*late], verdicts)
    return [*late.values(), *memory.problems]


def senders(channels: Channels) -> dict[str, Callable[[str, str], None]]:
    """Return, by name, what sends a subject and a text through each channel that is set."""
    ways = {}
    if channels.mail:
        ways["e-mail"] = lambda subject, text: _delivery().mail(channels.mail, subject, text)
    if channels.webhook:
        ways["webhook"] = lambda subject, text: _delivery().webhook(channels.webhook, subject, text)
    if channels.telegram:
        ways["Telegram"] = lambda subject, text: _delivery().telegram(channels, subject, text)
    return ways


def trials(channels: Channels) -> dict[str, Callable[[], Delivery]]:
    """Return, by name, what tries each channel that is set; the heartbeat's state stays as it is."""
    text = "This is a test: alerts of Hybrid backup will arrive here."
    subject = f"🔔 Hybrid backup on {socket.gethostname()}: a test"
    tried: dict[str, Callable[[], Delivery]] = {}
    for name, send in senders(channels).items():
        tried[name] = functools.partial(Delivery, name, functools.partial(send, subject, text))
    if channels.heartbeat:
        tried["heartbeat"] = lambda: _ping(channels.heartbeat, "/log", text)
    return tried


def _message(verdicts: Verdicts, well_again: list[str], status: int) -> tuple[str, str]:
    parts = [f"{label}:\n{failure}" for label, failure in verdicts.items() if failure]
    outcome = "failed" if status not in (script.SAVED, script.INCOMPLETE) else "incomplete" if parts else "saved"
    if well_again:
        parts.append(f"Works again: {', '.join(well_again)}.")
    parts.append(f"{socket.gethostname()}, {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC")
    return f"{MARKS[outcome]} Hybrid backup on {socket.gethostname()}: {SAID[outcome]}", shown("\n\n".join(parts))


def _log(status: int, verdicts: Verdicts) -> str:
    """Return what the heartbeat keeps: the last lines of the log, with the failures where they came to no log."""
    said = "\n".join(log.recent())
    failures = [shown(failure) for failure in verdicts.values() if failure]
    unsaid = [failure for failure in failures if failure.splitlines()[0].removeprefix("Error: ") not in said]
    return "\n".join([f"exit status {status}", *unsaid, shown(said)])


def _undelivered(deliveries: Sequence[Delivery], patience: float) -> dict[str, str]:
    """Return, by channel, a warning of what did not arrive."""
    errors = {delivery.channel: error for delivery in deliveries if (error := delivery.error(patience))}
    return {channel: f"the alert by {channel} was not delivered: {shown(error)}." for channel, error in errors.items()}


def _ping(url: str, what: str, body: str) -> Delivery:
    return Delivery("heartbeat", lambda: _delivery().ping(url, what, body))
