"""The alert channels among the settings: heartbeat, webhook, e-mail, Telegram; each is off until its settings are there."""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from lib.base import redact
from lib.settings.targets import is_local, is_port

NAMES = (
    "HEARTBEAT_URL",
    "ALERT_WEBHOOK_URL",
    "ALERT_EMAIL_TO",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_USER",
    "SMTP_PASSWORD",
    "SMTP_FROM",
    "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_CHAT_ID",
    "TELEGRAM_API_URL",
)
DELIVERY_SECONDS = 20
ADDRESS = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")


@dataclass(frozen=True)
class Mail:
    """How mail is sent, and to whom; `repr` does not show the password."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Channels:
    """Where alerts go; an empty one is off. The addresses hold secrets, and `repr` does not show them."""

    heartbeat: str = field(default="", repr=False)
    webhook: str = field(default="", repr=False)
    mail: Mail | None = None
    telegram: str = field(default="", repr=False)
    telegram_chat: str = ""


def read(values: dict[str, str], problems: list[str]) -> Channels:
    """Return the channels that are set; problems are collected."""
    return Channels(
        heartbeat=_url(values, "HEARTBEAT_URL", problems),
        webhook=_url(values, "ALERT_WEBHOOK_URL", problems),
        mail=_mail(values, problems),
        telegram=_telegram(values, problems),
        telegram_chat=values.get("TELEGRAM_CHAT_ID", ""),
    )


def _url(values: dict[str, str], name: str, problems: list[str], default: str = "") -> str:
    """Return an address without a trailing slash; whoever knows it can use it, so it is a secret like a password."""
    url = values.get(name, default).rstrip("/")
    if not url:
        return ""
    parts = _split(url)
    if not parts or not parts.hostname or not re.fullmatch(r"[!-~]+", url):
        problems.append(f"{name} is not of the form https://HOST/PATH.")
    elif parts.scheme != "https" and not is_local(parts.hostname):
        problems.append(f"{name}: others could read along; use https.")
    if parts and len(parts.path) > 1:
        redact.remember(url)
        redact.remember(parts.path)
    return url


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  it raises where the port is no number
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") else None


def _mail(values: dict[str, str], problems: list[str]) -> Mail | None:
    """The SMTP_ settings alone may be the bot's own; ALERT_EMAIL_TO makes them ours."""
    if "ALERT_EMAIL_TO" not in values:
        return None
    recipients = tuple(part.strip() for part in values["ALERT_EMAIL_TO"].split(",") if part.strip())
    user, password = values.get("SMTP_USER", ""), values.get("SMTP_PASSWORD", "")
    redact.remember(password)
    sender = values.get("SMTP_FROM", user)
    if "SMTP_HOST" not in values:
        problems.append("ALERT_EMAIL_TO needs SMTP_HOST: the server that takes the mail.")
    if bool(user) != bool(password):
        problems.append("SMTP_USER and SMTP_PASSWORD belong together; one of them is not set.")
    wrong = [address for address in recipients if not ADDRESS.fullmatch(address)]
    problems += [f"ALERT_EMAIL_TO {address!r} is no e-mail address." for address in wrong]
    if not ADDRESS.fullmatch(sender):
        problems.append("SMTP_FROM is not set to an e-mail address.")
    return Mail(values.get("SMTP_HOST", ""), _port(values, problems), user, password, sender, recipients)


def _port(values: dict[str, str], problems: list[str]) -> int:
    port = values.get("SMTP_PORT", "587")
    if is_port(port):
        return int(port)
    problems.append(f"SMTP_PORT {port!r} is not a number from 1 to 65535.")
    return 587


def _telegram(values: dict[str, str], problems: list[str]) -> str:
    """Return the address that sends a message; the token alone may be the bot's own, TELEGRAM_CHAT_ID makes it ours."""
    if "TELEGRAM_CHAT_ID" not in values:
        return ""
    token = values.get("TELEGRAM_BOT_TOKEN", "")
    redact.remember(token)
    if not re.fullmatch(r"\d+:[A-Za-z0-9_-]+", token):
        problems.append("TELEGRAM_CHAT_ID needs TELEGRAM_BOT_TOKEN, as @BotFather gave it: 123456:ABC-…")
    server = _url(values, "TELEGRAM_API_URL", problems, "https://api.telegram.org")
    return f"{server}/bot{token}/sendMessage"
