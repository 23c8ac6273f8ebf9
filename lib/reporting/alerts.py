"""Tell people who are not there: a heartbeat for every backup; e-mail, webhook and Telegram when one fails and when all is well
again.

An alert never fails a backup and never holds it up for long: each goes its own way in a thread, and what could not be delivered
is a warning, and is told again by the next run. The same failure is told at once and then once a day.
"""

import contextlib
import http.client
import json
import platform
import re
import smtplib
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from lib import __version__, cli, log, private_file
from lib.channels import Channels, Mail
from lib.config import Settings
from lib.redact import clean
from lib.reporting.outcome import Attempt
from lib.targets import is_local

DELIVERY_SECONDS = 20
REPEAT_SECONDS = 24 * 3600
# 465 is the standard's port for TLS from the first byte, 2465 Amazon's.
TLS_PORTS = (465, 2465)
# Discord takes 2,000 characters, Telegram 4,096.
MOST_CHARACTERS = 1_800
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
            self._error = _reason(error)

    def error(self) -> str:
        """Wait for the end, and return why the message was not delivered."""
        self.join(max(0, self._deadline - time.monotonic()))
        return f"no answer within {DELIVERY_SECONDS} seconds" if self.is_alive() else self._error


def start(channels: Channels) -> Delivery | None:
    """Tell the heartbeat that a backup begins, without waiting for its answer."""
    return Delivery("heartbeat", lambda: _ping(channels.heartbeat, "/start", "")) if channels.heartbeat else None


def tell(settings: Settings, attempts: list[Attempt], status: int, started: Delivery | None) -> list[str]:
    """Tell what became of a backup to every channel that wants to know, and return what could not be delivered as warnings."""
    failures = {attempt.label: attempt.text for attempt in attempts if attempt.text}
    tried = {EVERYTHING, *(attempt.label for attempt in attempts)}
    late = _undelivered([started] if started else [])
    return late + _tell_all(settings, failures, tried, status)


@contextlib.contextmanager
def crashes_told(settings: Settings, started: Delivery | None) -> Iterator[None]:
    """An error that nobody expected is told like any other failure, and then takes its way."""
    try:
        yield
    except Exception as error:
        _undelivered([started] if started else [])
        what = f"Error: an unexpected {type(error).__name__}: {error}\nTry: report it, with the traceback in the log"
        for warning in _tell_all(settings, {EVERYTHING: what}, set(), cli.FAILED):
            log.warning(warning)
        raise


def _tell_all(settings: Settings, failures: dict[str, str], tried: set[str], status: int) -> list[str]:
    memory, sent = _Memory(settings.snapshots / "alerts.json"), []
    for channel, send in senders(settings.channels).items():
        well_again = memory.recovered(channel, tried - set(failures))
        if well_again or memory.is_news(channel, failures):
            sent.append(Delivery(channel, _bound(send, *_message(failures, well_again, status))))
    beat = [_heartbeat(settings.channels.heartbeat, status)] if settings.channels.heartbeat else []
    late = _undelivered(sent + beat)
    memory.remember([delivery.channel for delivery in sent if not delivery.error()], failures, tried)
    return late + memory.problems


def _bound(send: Callable[[str, str], None], subject: str, text: str) -> Callable[[], None]:
    return lambda: send(subject, text)


def senders(channels: Channels) -> dict[str, Callable[[str, str], None]]:
    """Return, by name, what sends a subject and a text through each channel that is set."""
    found = {}
    if channels.mail:
        found["e-mail"] = lambda subject, text: _mail(channels.mail, subject, text)
    if channels.webhook:
        found["webhook"] = lambda subject, text: _webhook(channels.webhook, subject, text)
    if channels.telegram:
        found["Telegram"] = lambda subject, text: _telegram(channels, subject, text)
    return found


def trials(channels: Channels) -> dict[str, Callable[[], Delivery]]:
    """Return, by name, what tries each channel that is set; the heartbeat's state stays as it is."""
    text = "This is a test: alerts of Hybrid backup will arrive here."
    subject = f"🔔 Hybrid backup on {platform.node()}: a test"
    found = {
        name: (lambda name=name, send=send: Delivery(name, _bound(send, subject, text)))
        for name, send in senders(channels).items()
    }
    if channels.heartbeat:
        found["heartbeat"] = lambda: Delivery("heartbeat", lambda: _ping(channels.heartbeat, "/log", text))
    return found


def _message(failures: dict[str, str], well_again: list[str], status: int) -> tuple[str, str]:
    outcome = {cli.SAVED: "saved", cli.INCOMPLETE: "incomplete"}.get(status, "failed")
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
        self._path, self.problems = path, []
        try:
            self._told = json.loads(path.read_text())
        except (OSError, ValueError):
            self._told = {}

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
            self._told[channel] = known | {label: [_gist(text), time.time()] for label, text in failures.items()}
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
    return Delivery("heartbeat", lambda: _ping(url, "/fail" if status else "", body))


def _ping(url: str, what: str, body: str) -> None:
    """Source: https://healthchecks.io/docs/http_api/ (/start, /fail, /log; up to 100 kB of text)."""
    address, _, query = url.partition("?")
    _post(address + what + ("?" + query if query else ""), body[-50_000:].encode(), "text/plain; charset=utf-8")


def _webhook(url: str, subject: str, text: str) -> None:
    """Slack reads `text`, Discord `content`; neither may take a name in it for a mention."""
    said = _shortened(f"{subject}\n{text}").replace("<", "‹")
    _post_json(url, {"text": said, "content": said, "allowed_mentions": {"parse": []}})


def _telegram(channels: Channels, subject: str, text: str) -> None:
    _post_json(channels.telegram, {"chat_id": channels.telegram_chat, "text": _shortened(f"{subject}\n{text}")})


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + " …"


def _post_json(url: str, found: dict) -> None:
    _post(url, json.dumps(found).encode(), "application/json")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would follow with a GET and lose the message, and take that for success."""

    def redirect_request(self, *_: object) -> None:
        return None


def _post(url: str, body: bytes, kind: str) -> None:
    headers = {"Content-Type": kind, "User-Agent": f"hybrid-backup/{__version__}"}
    request = urllib.request.Request(url, body, headers, method="POST")
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=DELIVERY_SECONDS) as answer:
        answer.read(1000)


def _mail(mail: Mail, subject: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, mail.sender, ", ".join(mail.recipients)
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="hybrid-backup.invalid")
    message.set_content(text)
    with _smtp(mail) as server:
        if mail.user:
            server.login(mail.user, mail.password)
        refused = server.send_message(message)
    if refused:
        raise smtplib.SMTPRecipientsRefused(refused)


def _smtp(mail: Mail) -> smtplib.SMTP:
    """Connect with TLS that verifies the server; only on this machine may it be missing."""
    context = ssl.create_default_context()
    if mail.port in TLS_PORTS:
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=DELIVERY_SECONDS, context=context)
    server = smtplib.SMTP(mail.host, mail.port, timeout=DELIVERY_SECONDS)
    server.ehlo()
    if server.has_extn("starttls") or not is_local(mail.host):
        server.starttls(context=context)
    return server


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return _http_reason(error)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the server refuses " + ", ".join(f"{to} ({_smtp_text(*said)})" for to, said in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server says {_smtp_text(error.smtp_code, error.smtp_error)}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason
    if isinstance(error, http.client.HTTPException):
        return f"the answer is no HTTP ({type(error).__name__})"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _http_reason(error: urllib.error.HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"the address has moved (HTTP {error.code}): put the new one into the settings"
    with contextlib.suppress(Exception):  # what it says besides is welcome, no more
        said = " ".join(error.read(500).decode("utf-8", "replace").split())[:200].rstrip(".")
        return f"HTTP {error.code} {error.reason}" + (f": {said}" if said else "")
    return f"HTTP {error.code}"


def _smtp_text(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())}".rstrip(".")
