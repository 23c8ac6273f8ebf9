"""Bring rows that were edited elsewhere into the bot's file, where they are still as they were before the edit.

All of it is one transaction, for which the bot waits as for any of its own. A row is brought whole or not at all.
"""

import contextlib
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from lib.base.errors import HeldUp
from lib.sqlite.editing import editable, one_row
from lib.sqlite.editing.change import ALREADY, REFUSED, Change, Outcome
from lib.sqlite.editing.one_row import Refusal
from lib.sqlite.editing.references import References
from lib.sqlite.files.opening import open_read_only, trust_own_functions, uri
from lib.tables.plan import folded

PATIENCE_SECONDS = 5
# So long the bot's commits wait at most while it is looked for which edits break a foreign key.
SEARCH_SECONDS = 2
# What SQLite says of the file and of what is around it; all else is about the row. Python 3.10 has no codes.
SURROUNDINGS = re.compile(
    "database is locked|database (?:table|schema) is locked.*|out of memory|attempt to write a readonly database|"
    "interrupted|disk I/O error|database disk image is malformed|database or disk is full|unable to open database file|"
    "locking protocol|file is not a database"
)
LONELY = Outcome(REFUSED, "it breaks a foreign key")
TOO_LONG = Outcome(REFUSED, "another edit breaks a foreign key, and it took too long to see which: make this one again")
TAKEN = "SQLite says: UNIQUE constraint failed"


class RolledBack(Exception):
    """The bot's own schema has rolled back the whole transaction for this change."""

    def __init__(self, change: Change, reason: str):
        super().__init__(reason)
        self.change, self.reason = change, reason


def bring(
    path: Path,
    changes: Sequence[Change],
    with_triggers: Collection[str] = (),
    note: Callable[[list[Outcome]], None] = lambda outcomes: None,
) -> list[Outcome]:
    """Bring all changes that can be brought, and return what became of each; raise HeldUp where the bot does not let us.

    `with_triggers` names the tables whose triggers may act. `note` is told all outcomes right before anything new is in the file.
    """
    known: dict[int, Outcome] = {}
    while True:
        try:
            with _opened(path) as connection:
                outcomes = Attempt(connection, changes, with_triggers).outcomes(known)
                if any(outcome.is_in and outcome != ALREADY for outcome in outcomes):
                    note(outcomes)
                else:
                    connection.execute("ROLLBACK")  # a COMMIT would write to the file all the same
            return outcomes
        except RolledBack as found:
            known[changes.index(found.change)] = Outcome(REFUSED, f"SQLite says: {found.reason}")


def are_in(path: Path, changes: Sequence[Change]) -> list[bool | None]:
    """Whether a file has what each of these changes was to bring, or what was there before it; None where it has neither."""
    with contextlib.closing(open_read_only(path)) as connection:
        return [_is_in(connection, change) for change in changes]


def _is_in(connection: sqlite3.Connection, change: Change) -> bool | None:
    known = editable.of(connection, change.table, accepts_triggers=True)
    with contextlib.suppress(sqlite3.OperationalError):  # a column is gone
        return None if known.why_not else one_row.is_in(connection, change, known)
    return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the bot's file for one transaction: SQLite's own rules act, and no foreign key changes other rows."""
    opened = sqlite3.connect(uri(path, "rw"), uri=True, timeout=PATIENCE_SECONDS, isolation_level=None)
    with contextlib.closing(opened) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        trust_own_functions(connection)
        connection.execute("PRAGMA foreign_keys = OFF")
        with _patiently(path):
            connection.execute("BEGIN IMMEDIATE")
        yield connection
        with _patiently(path):
            if connection.in_transaction:
                connection.execute("COMMIT")


@contextlib.contextmanager
def _patiently(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        what = f"{path.name} was locked for more than {PATIENCE_SECONDS} seconds: edits made in Supabase could not be brought in."
        raise HeldUp(what, "see which program keeps a transaction open") from error


class Attempt:
    """One transaction in which changes are brought."""

    def __init__(self, connection: sqlite3.Connection, changes: Sequence[Change], with_triggers: Collection[str]):
        self._connection, self._changes = connection, changes
        tables = {change.table.name: change.table for change in changes}
        self._known = {name: editable.of(connection, table, name in with_triggers) for name, table in tables.items()}
        self._triggers_act = any(known.has_triggers for known in self._known.values())
        self._references = References(connection, changes, self._triggers_act)
        self._until = time.monotonic() + SEARCH_SECONDS

    def outcomes(self, known: Mapping[int, Outcome]) -> list[Outcome]:
        """Bring all but those whose outcome is known; what others were in the way of is tried once more when these are in."""
        found = dict(known)
        left = [place for place in range(len(self._changes)) if place not in found]
        while left:
            found |= self._together(left)
            again = [place for place in left if found[place] == LONELY or found[place].reason.startswith(TAKEN)]
            left = again if len(again) < len(left) and not self._is_late else []
        return [found[place] for place in range(len(self._changes))]

    def _together(self, places: Sequence[int]) -> dict[int, Outcome]:
        """Bring these but for those that break foreign keys; where nobody can say which do, each half by itself."""
        if self._is_late:
            return {place: self._unchecked(place) for place in places}
        self._connection.execute("SAVEPOINT edits")
        found = {place: self._brought(self._changes[place]) for place in places}
        broken = self._references.broken()
        if broken:
            self._connection.execute("ROLLBACK TO edits")
        self._connection.execute("RELEASE edits")
        if not broken:
            return found
        came = {place: outcome.came for place, outcome in found.items() if outcome.is_in and outcome != ALREADY}
        lonely, half = self._references.culprits(came, broken), len(places) // 2
        if lonely:
            return self._together([place for place in places if place not in lonely]) | dict.fromkeys(lonely, LONELY)
        if half:
            return self._together(places[:half]) | self._together(places[half:])
        return dict.fromkeys(places, LONELY)

    @property
    def _is_late(self) -> bool:
        return time.monotonic() > self._until

    def _unchecked(self, place: int) -> Outcome:
        """Bring what can break no foreign key; whether anything else does, nobody looks any more."""
        if self._triggers_act or self._references.may_be_broken_by(place):
            return TOO_LONG
        return self._brought(self._changes[place])

    def _brought(self, change: Change) -> Outcome:
        """Bring one change, or leave all as it is."""
        connection = self._connection
        connection.execute("SAVEPOINT edit")
        try:
            outcome = self._bring(change)
        except Refusal as refusal:
            outcome = refusal.outcome
        except (sqlite3.Error, OverflowError) as error:
            if SURROUNDINGS.fullmatch(str(error)):  # with some of these SQLite rolls back everything by itself
                raise
            if not connection.in_transaction:
                raise RolledBack(change, str(error)) from error
            outcome = Outcome(REFUSED, f"SQLite says: {error}")
        if not outcome.is_in:
            connection.execute("ROLLBACK TO edit")
        connection.execute("RELEASE edit")
        return outcome

    def _bring(self, change: Change) -> Outcome:
        known, unchecked = self._known[change.table.name], self._references.unchecked
        if known.why_not:
            raise Refusal(REFUSED, known.why_not)
        if folded(change.table.name) in unchecked or (known.has_triggers and unchecked):
            raise Refusal(REFUSED, "SQLite cannot check the foreign keys that it may break")
        if computed := sorted(known.computed.intersection(change.columns)):
            raise Refusal(REFUSED, f"SQLite computes {', '.join(computed)}")
        return one_row.brought(self._connection, change, known)
