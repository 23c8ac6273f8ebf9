"""The one place that knows the secrets, and keeps them out of text that is kept, or leaves (lib/base/leaving.py)."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

from lib.base.printable import printable

# A shorter one is part of many a word and number: it is hidden where an address has its secrets, behind a = or before an @.
SHORTEST = 4
MASK = "••••"

_secrets: set[str] = set()


def remember(secret: str) -> None:
    """Hide this secret from now on, also as URLs, JSON, Python and base64 would write it."""
    if len(secret) >= SHORTEST:
        _secrets.update(form for form in _forms(secret) if len(form) >= SHORTEST)
    elif secret:
        _secrets.update((secret, quote(secret, safe="")))


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])
    for escaped in (quote(secret, safe=""), quote_plus(secret), quote(secret)):
        yield from (escaped, escaped.lower() if "%" in escaped else escaped)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from (_inside(encode, secret, place) for place in range(3))


def _inside(encode: Callable[[bytes], bytes], secret: str, place: int) -> str:
    """Return the part of a base64 text that any secret at this place of a group of three leaves in it."""
    raw = bytes(place) + secret.encode("utf-8", "surrogateescape")
    start, end = -(-place * 8 // 6), len(raw) * 8 // 6
    return encode(raw).decode()[start:end]


def hide(text: str) -> str:
    """Return text with every secret masked; it may be several lines."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK) if len(secret) >= SHORTEST else _in_an_address(secret).sub(MASK, text)
    return text


def _in_an_address(secret: str) -> re.Pattern[str]:
    return re.compile(rf"(?<==){re.escape(secret)}(?!\w)|(?<=:){re.escape(secret)}(?=@)")


def clean(text: str) -> str:
    """Return text without secrets and control characters, to be kept."""
    return printable(hide(text))
