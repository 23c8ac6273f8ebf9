"""Let SQLite check a whole file, here or beside other work."""

import contextlib
import os
import re
import sqlite3
import sys
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

from lib.sqlite.files import indexes, stand_ins, virtual_tables
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_as_it_is, stand_in

MOST_FINDINGS = 1_000_000
# Every row is looked up in every index.
CACHE_KB = 16_000
NICE = 10
# Not damage: the bot has stored what its own declaration does not allow, and it must come back so.
CONTRADICTION = re.compile(r"(NULL|NUMERIC|TEXT|non-\w+) value in |CHECK constraint failed in ")
# Nor is a page that could not be read at all, by the last byte of SQLite's own code (https://sqlite.org/rescode.html).
UNREAD = re.compile(r"unable to get the page\. error code=(\d+)")
REASONS = {7: "out of memory", 10: "disk I/O error", 13: "database or disk is full", 14: "unable to open database file"}
CHECKS = {"full": "integrity_check", "quick": "quick_check"}
# What else is asked about a sound file; it answers with sentences.
Ask = Callable[[sqlite3.Connection], list[str]]


def _nothing(_: sqlite3.Connection) -> list[str]:
    return []


class Checking:
    """A check in a thread that lets all others go first, one file at a time; `ask` is asked for doubts about a sound file.

    Wherever a signal breaks in, the thread is done with the file before its connection is closed: SQLite would crash.
    """

    def __init__(self, path: Path, check: str, ask: Ask = _nothing):
        self._connection, self._ask = open_as_it_is(path, "rw"), ask
        self._doubts = BESIDE.submit(self._run, check)

    def _run(self, check: str) -> list[str]:
        doubts = [*_check(self._connection, check), *self._ask(self._connection)]
        self._connection.execute("PRAGMA shrink_memory")  # the next one has begun when this one is closed
        return doubts

    def finish(self) -> list[str]:
        """Wait until SQLite has looked through the file; raise DatabaseError where it is damaged, return what may be wrong."""
        return self._doubts.result()

    def close(self) -> None:
        """Nobody waits for the result any more."""
        while not self._doubts.cancel() and not self._doubts.done():
            self._connection.interrupt()
            futures.wait([self._doubts], 0.01)
        self._connection.close()


def give_way() -> None:
    """Let all others go first: this has until the end of the run. Only on Linux a thread has a niceness of its own."""
    if sys.platform == "linux":
        os.nice(NICE)


BESIDE = futures.ThreadPoolExecutor(1, initializer=give_way)


def of_file(path: Path) -> None:
    """Let SQLite check the whole file; raise DatabaseError for damage, not for rows that break their own declaration."""
    with contextlib.closing(open_as_it_is(path, "rw")) as connection:
        _check(connection, "full")


def _check(connection: sqlite3.Connection, check: str) -> list[str]:
    """Raise DatabaseError for damage, TooOld where this SQLite does not understand the file; return what may be wrong."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")  # it may name what has no text for a name
    as_they_are = stand_ins.not_needed_by(connection)
    missing = stand_in(connection)
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    # With a stand-in for a collation or a function, the indexes cannot be judged: only those of tables that need none.
    checks = [f"{CHECKS['quick' if missing else check]}({MOST_FINDINGS})"]
    if missing and check == "full":
        checks += [f"integrity_check({quoted(table)})" for table in as_they_are]
    with virtual_tables.left_out(connection):
        findings = [row[0] for pragma in checks for row in connection.execute(f"PRAGMA {pragma}")]
        doubted = indexes.doubted(connection, findings)
    damage = [row for row in findings if row != "ok" and not CONTRADICTION.match(row) and row not in doubted]
    refuse_unread(damage)
    if damage:
        raise sqlite3.DatabaseError(f"database disk image is malformed ({CHECKS[check]}: {'; '.join(damage[:3])})")
    return list(dict.fromkeys(doubted.values()))


def refuse_unread(damage: list[str]) -> None:
    """Raise OperationalError where what looks like damage is that pages could not be read."""
    codes = [int(match[1]) % 256 for finding in damage if (match := UNREAD.search(finding))]
    for reason in [REASONS[code] for code in codes if code in REASONS][:1]:
        raise sqlite3.OperationalError(reason)
