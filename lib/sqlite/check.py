"""Let SQLite check a whole file, here or beside other work."""

import contextlib
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
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


@contextlib.contextmanager
def beside(path: Path, check: str) -> Iterator[futures.Future]:
    """Check the file in a thread, on a connection of its own; stop when nobody waits for the result any more.

    Wherever a signal breaks in, the thread ends before its connection is closed: SQLite would crash.
    """
    with contextlib.closing(open_as_it_is(path)) as connection, futures.ThreadPoolExecutor(1, initializer=_give_way) as worker:
        connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        try:
            yield worker.submit(_check, connection, check)
        finally:
            connection.interrupt()


def _give_way() -> None:
    """Let everybody else go first: the check has until the end of the run. Only on Linux a thread has a niceness of its own."""
    if sys.platform == "linux":
        os.nice(NICE)


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
