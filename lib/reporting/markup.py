"""Make HTML in which every text is inert: what is not made here is escaped."""

import html
import re

from lib.redact import clean

# Control characters, and those that turn the direction of what follows: a name must not rearrange the page.
UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
VOID = ("meta", "link", "rect", "path", "line", "circle", "br")


class Html(str):
    """Text that is HTML already."""


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """Return an element; `class_` and `aria_label` become `class` and `aria-label`."""
    given = "".join(f' {_name(key)}="{_escaped(value)}"' for key, value in attributes.items() if value is not None)
    if name in VOID and not children:
        return Html(f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    return Html("".join(child if isinstance(child, Html) else _escaped(child) for child in children))


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _escaped(value: object) -> str:
    text = clean(str(value)).encode("utf-8", "replace").decode()
    return html.escape(UNSHOWN.sub("\ufffd", text))
