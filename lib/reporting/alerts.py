"""Tell people who are not there: a heartbeat for every backup; e-mail, webhook and Telegram when one fails and when all is well
again.

An alert never fails a backup and never holds it up for long: each goes its own way in a thread, and what could not be delivered
is a warning, and is told again by the next run. The same failure is told at once and then once a day.
"""

import contextlib
import functools
import json
import platform
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from lib.backing_up.attempts import Attempt
from lib.base import causes, log, private_file, script
from lib.base.redact import clean
from lib.settings.channels import DELIVERY_SECONDS, Channels
from lib.settings.config import Settings

REPEAT_SECONDS = 24 * 3600
MARKS = {"saved": "✅", "incomplete": "⚠️", "failed": "❌"}
SAID = {"saved": "works again", "incomplete": "incomplete", "failed": "failed"}
EVERYTHING = "the whole backup"


class Delivery(threading.Thread):
    """One message on its way. A daemon: a server that never answers must not keep the script alive."""

    def __init__(self, channel: str, send: Callable[[], None]):
        super().__init__(daemon=True)
        self.channel, self._send = channel, send
        self._error, self._deadline = "", time.monotonic() + DELIVERY_SECONDS
        self.start()

    def run(self) -> None:
        try:
            self._send()
        except Exception as error:  # of whatever kind: an alert must not fail a backup
            self._error = _delivery().reason(error)

    def error(self) -> str:
        """Wait for the end, and return why the message was not delivered."""
        self.join(max(0, self._deadline - time.monotonic()))
        return f"no answer within {DELIVERY_SECONDS} seconds" if self.is_alive() else self._error


def _delivery() -> ModuleType:
    """Load HTTP, mail and TLS when they are first needed: that takes longer than many a backup's own work."""
    from lib.reporting import delivery

    return delivery


def start(channels: Channels) -> list[Delivery]:
    """Tell the heartbeat, if there is one, that a backup begins, without waiting for its answer."""
    return [_ping(channels.heartbeat, "/start", "")] if channels.heartbeat else []


def tell(settings: Settings, attempts: list[Attempt], status: int, started: list[Delivery]) -> list[str]:
    """Tell what became of a backup to every channel that wants to know, and return what could not be delivered as warnings."""
    failures = {attempt.label: attempt.text for attempt in attempts if attempt.text}
    tried = {EVERYTHING, *(attempt.label for attempt in attempts)}
    return _undelivered(started) + _tell_all(settings, failures, tried, status)


@contextlib.contextmanager
def crashes_told(settings: Settings, started: list[Delivery]) -> Iterator[None]:
    """An error that nobody expected is told like any other failure, and then takes its way."""
    try:
        yield
    except Exception as error:
        _undelivered(started)
        for warning in _tell_all(settings, {EVERYTHING: causes.of(error).text}, set(), script.FAILED):
            log.warning(warning)
        raise


def _tell_all(settings: Settings, failures: dict[str, str], tried: set[str], status: int) -> list[str]:
    memory, sent = _Memory(settings.record("alerts", ".json")), []
    for channel, send in senders(settings.channels).items():
        well_again = memory.recovered(channel, tried - set(failures))
        if well_again or memory.is_news(channel, failures):
            sent.append(Delivery(channel, functools.partial(send, *_message(failures, well_again, status))))
    beat = [_heartbeat(settings.channels.heartbeat, status)] if settings.channels.heartbeat else []
    late = _undelivered(sent + beat)
    memory.remember([delivery.channel for delivery in sent if not delivery.error()], failures, tried)
    return late + memory.problems


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
    subject = f"🔔 Hybrid backup on {platform.node()}: a test"
    tried: dict[str, Callable[[], Delivery]] = {}
    for name, send in senders(channels).items():
        tried[name] = functools.partial(Delivery, name, functools.partial(send, subject, text))
    if channels.heartbeat:
        tried["heartbeat"] = lambda: _ping(channels.heartbeat, "/log", text)
    return tried


def _message(failures: dict[str, str], well_again: list[str], status: int) -> tuple[str, str]:
    outcome = {script.SAVED: "saved", script.INCOMPLETE: "incomplete"}.get(status, "failed")
    parts = [f"{label}:\n{text}" for label, text in failures.items()]
    if well_again:
        parts.append(f"Works again: {', '.join(well_again)}.")
    parts.append(f"{platform.node()}, {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC")
    return f"{MARKS[outcome]} Hybrid backup on {platform.node()}: {SAID[outcome]}", clean("\n\n".join(parts))


def _undelivered(deliveries: list[Delivery]) -> list[str]:
    errors = {delivery.channel: error for delivery in deliveries if (error := delivery.error())}
    return [f"the alert by {channel} was not delivered: {clean(error)}." for channel, error in errors.items()]


class _Memory:
    """Which failures each channel was told and when, beside the snapshots: {channel: {label: [failure, time]}}."""

    def __init__(self, path: Path):
        self._path = path
        self.problems: list[str] = []
        self._told: dict[str, dict[str, tuple[str, float]]] = {}
        with contextlib.suppress(OSError, ValueError):
            self._told = json.loads(path.read_text())

    def is_news(self, channel: str, failures: dict[str, str]) -> bool:
        told = self._told.get(channel, {})
        return any(label not in told or _is_news(text, *told[label]) for label, text in failures.items())

    def recovered(self, channel: str, well: set[str]) -> list[str]:
        return sorted(well & set(self._told.get(channel, {})))

    def remember(self, channels: list[str], failures: dict[str, str], tried: set[str]) -> None:
        """Note what was delivered just now."""
        if not channels:
            return
        for channel in channels:
            known = {label: told for label, told in self._told.get(channel, {}).items() if label not in tried}
            self._told[channel] = known | {label: (_gist(text), time.time()) for label, text in failures.items()}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            private_file.write(self._path, json.dumps(self._told))
        except OSError as error:
            self.problems.append(f"{self._path} cannot be written ({error.strerror}): the same alert will come again.")


def _is_news(text: str, told: str, at: float) -> bool:
    # A clock that was set back must not silence an alert for long.
    return _gist(text) != told or not 0 <= time.time() - at < REPEAT_SECONDS - 600


def _gist(text: str) -> str:
    """Leave out what is different every time: numbers of runs, times, ages."""
    return re.sub(r"\d+", "#", text)


def _heartbeat(url: str, status: int) -> Delivery:
    body = clean("\n".join([f"exit status {status}", *log.recent()]))
    return _ping(url, "/fail" if status else "", body)


def _ping(url: str, what: str, body: str) -> Delivery:
    return Delivery("heartbeat", lambda: _delivery().ping(url, what, body))
