"""Collations and functions that only the bot knows: stand-ins, so that its file can be read, checked and rebuilt without them."""

import re
import sqlite3
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
COLLATION = re.compile(r"no such collation sequence: (.*)", re.DOTALL)
FUNCTION = re.compile(r"(?:no such|unknown) function: (.*?)(?:\(\))?", re.DOTALL)
MOST = 100


def tried(connection: sqlite3.Connection, operation: Callable[[], Found], missing: list[str]) -> Found:
    """Run an operation; register a stand-in for each name that SQLite misses, and note it in `missing`.

    A stand-in collation compares bytes, a stand-in function returns NULL.
    """
    for _ in range(MOST):
        try:
            return operation()
        except sqlite3.OperationalError as error:
            collation, function = COLLATION.fullmatch(str(error)), FUNCTION.fullmatch(str(error))
            if collation:
                connection.create_collation(collation[1], _by_bytes)
            elif function:
                connection.create_function(function[1], -1, _null, deterministic=True)
                # Only a trusted schema may call it; what SQLite itself brings along has no side effects in Python's build.
                connection.execute("PRAGMA trusted_schema = ON")
            else:
                raise
            missing.append((collation or function)[1])
    return operation()


def _by_bytes(left: str, right: str) -> int:
    return (left > right) - (left < right)


def _null(*_: object) -> None:
    return None
