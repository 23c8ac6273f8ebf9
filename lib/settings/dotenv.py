"""Read a .env file with python-dotenv's syntax: quotes, `export`, comments, `#` inside quotes.

Source: https://github.com/theskumar/python-dotenv (its documented file format); variables are not expanded, because a
password may hold a `$`.
"""

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
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def parse(text: str) -> tuple[dict[str, str], list[int]]:
    """Return the settings of a .env text, and the numbers of the lines that are none."""
    values, malformed, at = {}, [], 0
    text = text.removeprefix("\ufeff")
    while at < len(text):
        match = ASSIGNMENT.match(text, at)
        if match:
            values[match["name"]] = _value(match)
        else:
            match = IGNORED.match(text, at)
        if not match:
            malformed.append(text.count("\n", 0, at) + 1)
            match = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)").match(text, at)
        at = match.end()
        if match.end() == match.start():
            break
    return values, malformed


def read(path: Path) -> tuple[dict[str, str], list[int]]:
    return parse(path.read_text(encoding="utf-8"))


def _value(match: re.Match) -> str:
    if match["single"] is not None:
        return re.sub(r"\\([\\'])", r"\1", match["single"])
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], _kept(escape[1])), match["double"], flags=re.DOTALL)
    return re.sub(r"\s+#.*", "", match["gap"] + match["bare"]).strip()


def _kept(character: str) -> str:
    return character if character in "\\'\"" else "\\" + character
