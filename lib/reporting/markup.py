"""Make HTML in which every text is inert: what is not made here is escaped."""

import html

from lib.base.leaving import shown

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
    """Return elements and texts one behind the other."""
    return Html("".join(child if isinstance(child, Html) else _escaped(child) for child in children))


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _escaped(value: object) -> str:
    return html.escape(shown(str(value)))
