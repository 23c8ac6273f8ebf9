"""Read a .env file with python-dotenv's syntax: quotes, `export`, comments, `#` inside quotes.

Source: https://github.com/theskumar/python-dotenv (its documented file format); variables are not expanded, because a
password may hold a `$`.
"""

import io
import re
from pathlib import Path

ASSIGNMENT = re.compile(
    r"""
    [ \t]*(?:export[ \t]+)?
    (?P<name>[^=\#\s'"]+)
    [ \t]*=(?P<gap>[ \t]*)
    (?:'(?P<single>(?:\\.|[^'\\])*)' | "(?P<double>(?:\\.|[^"\\])*)" | (?P<bare>(?![ \t'"])[^\r\n]*))
    [ \t]*(?:\#[^\r\n]*)?(?:\r\n|\n|\r|$)
    """,
    re.VERBOSE | re.DOTALL,
)
IGNORED = re.compile(r"[ \t]*(?:\#[^\r\n]*)?(?:\r\n|\n|\r|$)")
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class NoText(Exception):
    """The file holds what no text does: a database, say."""


def parse(text: str) -> tuple[dict[str, str], list[int]]:
    """Return the settings of a .env text, and the numbers of the lines that are none."""
    values: dict[str, str] = {}
    malformed: list[int] = []
    text, at = text.removeprefix("\ufeff"), 0
    while at < len(text):
        if match := ASSIGNMENT.match(text, at):
            values[match["name"]] = _value(match)
        elif not (match := IGNORED.match(text, at)):
            malformed.append(text.count("\n", 0, at) + 1)
            match = LINE.match(text, at)
        at = match.end() if match else len(text)
    return values, malformed


def read(path: Path) -> tuple[dict[str, str], list[int]]:
    """Do the same for a file; raise OSError, NoText or UnicodeDecodeError."""
    raw = path.read_bytes()
    if b"\0" in raw:
        raise NoText
    return parse(io.StringIO(raw.decode("utf-8"), newline=None).read())


def _value(match: re.Match[str]) -> str:
    if match["single"] is not None:
        return re.sub(r"\\([\\'])", r"\1", match["single"])
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], _as_written(escape[1])), match["double"], flags=re.DOTALL)
    return re.sub(r"\s+#.*", "", match["gap"] + match["bare"]).strip()


def _as_written(character: str) -> str:
    return character if character in "\\'\"" else "\\" + character
