"""Indexes that functions compute: where the bot registers its own lower(), its index is not as SQLite's own would make it."""

import contextlib
import re
import sqlite3

from lib.base.printable import name
from lib.sqlite.files.names import quoted

FINDING = re.compile(
    r"(?:row \d+ missing from|row \d+ values differ from|wrong # of entries in|non-unique entry in) index (.*)", re.DOTALL
)
CALLS = ("Function", "PureFunc")


def doubted(connection: sqlite3.Connection, findings: list[str]) -> dict[str, str]:
    """Return the findings that are about indexes that functions compute, each with the sentence that says so."""
    about = {finding: match[1] for finding in findings if (match := FINDING.fullmatch(finding))}
    computed = {index for index in set(about.values()) if _calls_functions(connection, index)}
    return {finding: _sentence(index) for finding, index in about.items() if index in computed}


def _calls_functions(connection: sqlite3.Connection, index: str) -> bool:
    with contextlib.suppress(sqlite3.OperationalError):  # its name is no text, and was not given in full
        return any(step[1] in CALLS for step in connection.execute(f"EXPLAIN REINDEX main.{quoted(index)}"))
    return False


def _sentence(index: str) -> str:
    return (
        f"the index {name(index)} is not as SQLite's own functions would make it. That is right where the bot registers "
        f"functions of the same names; else let it run  REINDEX {name(quoted(index))}"
    )
