"""Let SQLite check a whole file, here or beside other work."""

import contextlib
import os
import re
import sqlite3
import sys
from concurrent import futures
from pathlib import Path

from lib.sqlite import standins
from lib.sqlite.reading import open_as_it_is

MOST_FINDINGS = 1_000_000
# Every row is looked up in every index.
CACHE_KB = 16_000
NICE = 10
# Not damage: the bot has stored what its own declaration does not allow, and it must come back so.
CONTRADICTION = re.compile(r"(NULL|NUMERIC|TEXT|non-\w+) value in |CHECK constraint failed in ")
CHECKS = {"full": "integrity_check", "quick": "quick_check"}


class Checking:
    """A check in a thread that lets all others go first, one file at a time.

    Wherever a signal breaks in, the thread is done with the file before its connection is closed: SQLite would crash.
    """

    def __init__(self, path: Path, check: str):
        self._connection = open_as_it_is(path)
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._found = BESIDE.submit(self._run, check)

    def _run(self, check: str) -> None:
        _check(self._connection, check)
        self._connection.execute("PRAGMA shrink_memory")  # the next one has begun when this one is closed

    def finish(self) -> None:
        """Wait until SQLite has looked through the file; raise DatabaseError where it is damaged."""
        self._found.result()

    def close(self) -> None:
        """Nobody waits for the result any more."""
        while not self._found.cancel() and not self._found.done():
            self._connection.interrupt()
            futures.wait([self._found], 0.01)
        self._connection.close()


def _give_way() -> None:
    """Let everybody else go first: the check has until the end of the run. Only on Linux a thread has a niceness of its own."""
    if sys.platform == "linux":
        os.nice(NICE)


BESIDE = futures.ThreadPoolExecutor(1, initializer=_give_way)


def of_file(path: Path) -> None:
    """Let SQLite check the whole file; raise DatabaseError for damage, not for rows that break their own declaration."""
    with contextlib.closing(open_as_it_is(path)) as connection:
        _check(connection, "full")


def _check(connection: sqlite3.Connection, check: str) -> None:
    pragma, missing = CHECKS[check], []
    found = _checked(connection, pragma, missing)
    if missing:  # with a stand-in for a collation or a function, the indexes cannot be judged
        found = _checked(connection, "quick_check", missing)
    damage = [row for row in found if row != "ok" and not CONTRADICTION.match(row)]
    if damage:
        raise sqlite3.DatabaseError(f"database disk image is malformed ({pragma}: {'; '.join(damage[:3])})")


def _checked(connection: sqlite3.Connection, pragma: str, missing: list[str]) -> list[str]:
    query = f"PRAGMA {pragma}({MOST_FINDINGS})"
    return standins.tried(connection, lambda: [row[0] for row in connection.execute(query)], missing)
