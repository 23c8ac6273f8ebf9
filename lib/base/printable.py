"""What others have named or written is shown, not obeyed: control characters could steer a terminal or forge a log."""

import re

# Control characters but the newline, marks that reverse the reading direction, line separators, and bytes that are no text.
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

MOST_LETTERS = 60


def printable(text: str) -> str:
    r"""Return text in which every such character is visible: `\x1b`."""
    return OBEYED.sub(_escaped, text)


def name(text: str) -> str:
    """Return the name of a table, a column or a file as one visible line."""
    return printable(text.replace("\n", "\\n"))


def short(text: str) -> str:
    """Return the beginning of what may be of any length, where it stands within a sentence."""
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"


def is_no_text(text: str) -> bool:
    """Whether it has bytes that are not UTF-8, as surrogate escapes."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def record(text: str) -> str:
    """Return text of which only the first line begins like a line of the log."""
    return printable(text).replace("\n", "\n    ")


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
