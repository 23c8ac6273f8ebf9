"""The alert channels among the settings: heartbeat, webhook, e-mail, Telegram; each is off until its settings are there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from lib.base import redact
from lib.base.errors import SettingsError
from lib.settings.targets import is_local, is_port
from lib.start import REPOSITORY

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
# A comma, or as some write a semicolon, that is not in quotes.
SEPARATOR = re.compile(r"""[,;](?=(?:[^"]*"[^"]*")*[^"]*$)""")
# A part of an address that is as long as this may be its key; what our own paths have as well is none.
LONG = 8
PUBLIC = ("true", "false")
# What switches a channel on, and with it the names that may else be the bot's own.
SWITCHES = {
    "HEARTBEAT_URL": "HEARTBEAT_",
    "ALERT_WEBHOOK_URL": "ALERT_",
    "ALERT_EMAIL_TO": "SMTP_",
    "TELEGRAM_CHAT_ID": "TELEGRAM_",
}
# Beyond are names that bots have: TELEGRAM_CHANNEL_ID.
ALIKE, LIKE_OURS = 0.86, re.compile("(?i)AL|HEA|SMT|TEL")


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
    """Where alerts go; an empty one is off. The addresses hold secrets, and `repr` does not show them.

    `wrong` says by name what cannot be used: that channel is off, and no backup is stopped by it.
    """

    heartbeat: str = field(default="", repr=False)
    webhook: str = field(default="", repr=False)
    mail: Mail | None = None
    telegram: str = field(default="", repr=False)
    telegram_chat: str = ""
    wrong: tuple[str, ...] = ()


def read(values: dict[str, str]) -> Channels:
    """Return the channels that are set."""
    wrong = _misspelt(values)
    public = " ".join([str(REPOSITORY), *(values.get(name, "") for name in ("SQLITE_DATABASES", "BACKUP_SCHEMA", "BACKUP_LOG"))])
    for name in ("HEARTBEAT_URL", "ALERT_WEBHOOK_URL", "TELEGRAM_API_URL"):
        for secret in _secrets(values.get(name, "")):
            if len(secret) < redact.SHORTEST or secret not in public:
                redact.remember(secret)
    return Channels(
        heartbeat=_url(values, "HEARTBEAT_URL", wrong),
        webhook=_url(values, "ALERT_WEBHOOK_URL", wrong),
        mail=_mail(values, wrong),
        telegram=_telegram(values, wrong),
        telegram_chat=values.get("TELEGRAM_CHAT_ID", ""),
        wrong=tuple(wrong),
    )


def refuse_url(name: str, url: str) -> None:
    """Raise SettingsError where an address that was typed cannot be used; keep it secret from now on."""
    wrong: list[str] = []
    for secret in _secrets(url):
        redact.remember(secret)
    _url({name: url}, name, wrong)
    if wrong:
        raise SettingsError(wrong[0], f"python3 setup_supabase.py {name} https://HOST/PATH")


def _misspelt(values: dict[str, str]) -> list[str]:
    """Return what is said of names that are nearly ours, where the one that is meant is not set."""
    on = (*SWITCHES, *(prefix for name, prefix in SWITCHES.items() if name in values))
    meant = [name for name in NAMES if name not in values and name.startswith(on)]
    names = sorted(name for name in values if LIKE_OURS.match(name) and name not in NAMES)
    if not names:
        return []
    import difflib  # only who may be mistaken needs it

    near = {name: difflib.get_close_matches(name.upper(), meant, 1, ALIKE) for name in names}
    return [f"{name} is not a setting of Hybrid backup; is {known[0]} meant?" for name, known in near.items() if known]


def _secrets(url: str) -> Iterator[str]:
    """Whoever knows an address can use it: yield what of it a server may repeat, as it is written and as it is meant."""
    place, _, query = re.sub(r"^\w+://", "", url).partition("?")
    host, _, path = place.partition("/")
    values = [pair.partition("=")[2] for pair in re.split("[&;]", query)]
    parts = [part for part in re.split(r"[/?&;#=:@]", f"{path}?{query}") if len(part) >= LONG]
    whole = [url, f"/{path}"] if path or query else []
    for secret in (*whole, *values, *parts, *host.rpartition("@")[0].split(":")):
        if secret not in PUBLIC:
            yield from (secret, unquote(secret))


def _url(values: dict[str, str], name: str, wrong: list[str], default: str = "") -> str:
    """Return an address without a trailing slash, or nothing where it cannot be used."""
    url = values.get(name, default).rstrip("/")
    parts = _split(url)
    if url and (not parts or not parts.hostname or "@" in parts.netloc or not re.fullmatch(r"[!-~]+", url)):
        wrong.append(f"{name} is not of the form https://HOST/PATH.")
        return ""
    if parts and parts.scheme != "https" and not is_local(parts.hostname or ""):
        wrong.append(f"{name}: others could read along; use https.")
        return ""
    return url


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  it raises where the port is no number
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") else None


def _mail(values: dict[str, str], wrong: list[str]) -> Mail | None:
    """The SMTP_ settings alone may be the bot's own; ALERT_EMAIL_TO makes them ours."""
    if "ALERT_EMAIL_TO" not in values:
        return None
    problems: list[str] = []
    user, password = values.get("SMTP_USER", ""), values.get("SMTP_PASSWORD", "")
    redact.remember(password)
    recipients, senders = _addresses(values["ALERT_EMAIL_TO"]), _addresses(values.get("SMTP_FROM", user))
    if "SMTP_HOST" not in values:
        problems.append("ALERT_EMAIL_TO needs SMTP_HOST: the server that takes the mail.")
    if bool(user) != bool(password):
        problems.append("SMTP_USER and SMTP_PASSWORD belong together; one of them is not set.")
    if not recipients:
        problems.append(
            f"ALERT_EMAIL_TO {values['ALERT_EMAIL_TO']!r} is no e-mail address, nor several with commas between them."
        )
    if len(senders) != 1:
        problems.append("SMTP_FROM is not set to an e-mail address.")
    port = _port(values, problems)
    wrong += problems
    return None if problems else Mail(values["SMTP_HOST"], port, user, password, senders[0], recipients)


def _addresses(text: str) -> tuple[str, ...]:
    """Return addresses, as `a@b` or `Name <a@b>`, that commas separate; nothing where one of them is none, or two."""
    from email.utils import formataddr, parseaddr  # what a run without mail does not need is not loaded

    parts = [part for part in SEPARATOR.split(text) if part.strip()]
    found = [parseaddr(part) for part in parts if part.count("@") == 1]
    is_each = len(found) == len(parts) and all(ADDRESS.fullmatch(address) for _, address in found)
    return tuple(map(formataddr, found)) if is_each else ()


def _port(values: dict[str, str], problems: list[str]) -> int:
    port = values.get("SMTP_PORT", "587")
    if is_port(port):
        return int(port)
    problems.append(f"SMTP_PORT {port!r} is not a number from 1 to 65535.")
    return 587


def _telegram(values: dict[str, str], wrong: list[str]) -> str:
    """Return the address that sends a message; the token alone may be the bot's own, TELEGRAM_CHAT_ID makes it ours."""
    if "TELEGRAM_CHAT_ID" not in values:
        return ""
    token = values.get("TELEGRAM_BOT_TOKEN", "")
    for secret in (token, token.partition(":")[2]):
        redact.remember(secret)
    if not re.fullmatch(r"\d+:[A-Za-z0-9_-]+", token):
        wrong.append("TELEGRAM_CHAT_ID needs TELEGRAM_BOT_TOKEN, as @BotFather gave it: 123456:ABC-…")
        return ""
    server = _url(values, "TELEGRAM_API_URL", wrong, "https://api.telegram.org")
    return f"{server}/bot{token}/sendMessage" if server else ""
