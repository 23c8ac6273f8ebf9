"""Deliver one message by HTTP or by mail, or raise an error that `reason` can put into words."""

import contextlib
import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from lib import __version__
from lib.base.redact import clean
from lib.settings.channels import DELIVERY_SECONDS, Channels, Mail
from lib.settings.targets import is_local

# 465 is the standard's port for TLS from the first byte, 2465 Amazon's.
TLS_PORTS = (465, 2465)
# Discord takes 2,000 characters, Telegram 4,096.
MOST_CHARACTERS = 1_800
# So much of a refusal is read, and a little of it shown.
MOST_BYTES = 20_000


def ping(url: str, what: str, body: str) -> None:
    """Source: https://healthchecks.io/docs/http_api/ (/start, /fail, /log; up to 100 kB of text)."""
    address, _, query = url.partition("?")
    _post(address + what + ("?" + query if query else ""), body[-50_000:].encode(), "text/plain; charset=utf-8")


def webhook(url: str, subject: str, text: str) -> None:
    """Slack reads `text`, Discord `content`; neither may take a name in it for a mention."""
    said = _shortened(f"{subject}\n{text}").replace("<", "‹")
    _post_json(url, {"text": said, "content": said, "allowed_mentions": {"parse": []}})


def telegram(channels: Channels, subject: str, text: str) -> None:
    """Source: https://core.telegram.org/bots/api#sendmessage"""
    _post_json(channels.telegram, {"chat_id": channels.telegram_chat, "text": _shortened(f"{subject}\n{text}")})


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + " …"


def _post_json(url: str, message: dict[str, object]) -> None:
    _post(url, json.dumps(message).encode(), "application/json")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would follow with a GET and lose the message, and take that for success."""

    def redirect_request(self, *_: object) -> None:
        return None


def _post(url: str, body: bytes, kind: str) -> None:
    headers = {"Content-Type": kind, "User-Agent": f"hybrid-backup/{__version__}"}
    request = urllib.request.Request(url, body, headers, method="POST")
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=DELIVERY_SECONDS) as answer:
        answer.read(1000)


def mail(to: Mail, subject: str, text: str) -> None:
    """Send one plain text; raise where the server refuses any of the recipients."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, to.sender, ", ".join(to.recipients)
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="hybrid-backup.invalid")
    message.set_content(text)
    with _smtp(to) as server:
        if to.user:
            server.login(to.user, to.password)
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


def reason(error: Exception) -> str:
    """Put into words, on one line, why a message was not delivered."""
    if isinstance(error, urllib.error.HTTPError):
        return _http_reason(error)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the server refuses " + ", ".join(f"{to} ({_smtp_text(*said)})" for to, said in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server says {_smtp_text(error.smtp_code, error.smtp_error)}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, http.client.HTTPException):
        return f"the answer is no HTTP ({type(cause).__name__})"
    return " ".join(str(cause).split()).rstrip(".") or type(cause).__name__


def _http_reason(error: urllib.error.HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"the address has moved (HTTP {error.code}): put the new one into the settings"
    with contextlib.suppress(Exception):  # what it says besides is welcome, no more
        answer = clean(error.read(MOST_BYTES).decode("utf-8", "replace"))  # before it is cut: half a secret is one, too
        said = " ".join(answer.split())[:200].rstrip(".")
        return f"HTTP {error.code} {error.reason}" + (f": {said}" if said else "")
    return f"HTTP {error.code}"


def _smtp_text(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())}".rstrip(".")
