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
from lib.sqlite.editing import editable
from lib.sqlite.editing.change import APPLIED, CONFLICT, MERGED, REFUSED, Change, Outcome, Row
from lib.sqlite.editing.editable import Editable
from lib.sqlite.editing.references import References
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import trust_own_functions, uri
from lib.tables.plan import folded
from lib.tables.values import are_same, is_same

PATIENCE_SECONDS = 5
# So long the bot's commits wait at most while it is looked for which edits break a foreign key.
SEARCH_SECONDS = 2
# What SQLite says of the file and of what is around it; all else is about the row. Python 3.10 has no codes.
SURROUNDINGS = re.compile(
    "database is locked|database (?:table|schema) is locked.*|out of memory|attempt to write a readonly database|"
    "interrupted|disk I/O error|database disk image is malformed|database or disk is full|unable to open database file|"
    "locking protocol|file is not a database"
)
ALREADY = Outcome(APPLIED, "the bot's database had it already")
CAME_BEFORE = Outcome(CONFLICT, "it may have come before a crash, and the row is another one now")
LONELY = Outcome(REFUSED, "it breaks a foreign key")


class Refusal(Exception):
    """Why a change cannot be brought."""

    def __init__(self, outcome: str, reason: str):
        super().__init__(reason)
        self.outcome = Outcome(outcome, reason)


class RolledBack(Exception):
    """The bot's own schema has rolled back the whole transaction for this change."""

    def __init__(self, change: Change, reason: str):
        super().__init__(reason)
        self.change, self.reason = change, reason


def bring(
    path: Path,
    changes: Sequence[Change],
    with_triggers: Collection[str] = (),
    may_be_in: Collection[Change] = (),
    note: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Bring all changes that can be brought, and return what became of each; raise HeldUp where the bot does not let us.

    `with_triggers` names the tables whose triggers may act; `may_be_in` are changes that may have come before a crash: these are
    not brought again. `note` is called right before there is anything new in the file.
    """
    known: dict[int, Outcome] = {}
    while True:
        try:
            with _opened(path) as connection:
                outcomes = Attempt(connection, changes, with_triggers, may_be_in).outcomes(known)
                if any(outcome.is_in and outcome != ALREADY for outcome in outcomes):
                    note()
                else:
                    connection.execute("ROLLBACK")  # a COMMIT would write to the file all the same
            return outcomes
        except RolledBack as found:
            known[changes.index(found.change)] = Outcome(REFUSED, f"SQLite says: {found.reason}")


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

    def __init__(
        self,
        connection: sqlite3.Connection,
        changes: Sequence[Change],
        with_triggers: Collection[str],
        may_be_in: Collection[Change],
    ):
        self._connection, self._changes, self._may_be_in = connection, changes, may_be_in
        tables = {change.table.name: change.table for change in changes}
        self._known = {name: editable.of(connection, table, name in with_triggers) for name, table in tables.items()}
        self._triggers_act = any(known.has_triggers for known in self._known.values())
        self._references = References(connection, tables, self._triggers_act)
        self._until = time.monotonic() + SEARCH_SECONDS

    def outcomes(self, known: Mapping[int, Outcome]) -> list[Outcome]:
        """Bring all but those whose outcome is known; what breaks foreign keys is tried once more when the others are in."""
        found = dict(known)
        left = [place for place in range(len(self._changes)) if place not in found]
        while left:
            found |= self._together(left)
            lonely = [place for place in left if found[place] == LONELY]
            left = lonely if len(lonely) < len(left) else []
        return [found[place] for place in range(len(self._changes))]

    def _together(self, places: Sequence[int]) -> dict[int, Outcome]:
        """Bring these, and where they break foreign keys, each half by itself."""
        self._connection.execute("SAVEPOINT edits")
        found = {place: self._brought(self._changes[place]) for place in places}
        is_broken = self._references.are_broken
        if is_broken:
            self._connection.execute("ROLLBACK TO edits")
        self._connection.execute("RELEASE edits")
        if not is_broken:
            return found
        half = len(places) // 2
        if not half or time.monotonic() > self._until:
            return {place: LONELY if self._is_related(place) and found[place].is_in else self._again(place) for place in places}
        return self._together(places[:half]) | self._together(places[half:])

    def _is_related(self, place: int) -> bool:
        return self._triggers_act or folded(self._changes[place].table.name) in self._references.related

    def _again(self, place: int) -> Outcome:
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
        known = self._known[change.table.name]
        if known.why_not:
            raise Refusal(REFUSED, known.why_not)
        if folded(change.table.name) in self._references.unchecked:
            raise Refusal(REFUSED, "SQLite cannot check the table's foreign keys")
        if computed := sorted(known.computed.intersection(change.columns)):
            raise Refusal(REFUSED, f"SQLite computes {', '.join(computed)}")
        how = HOW[change.base is not None, change.theirs is not None]
        outcome = how(self._connection, change, known, _ours(self._connection, change))
        if change.theirs and self._references.is_lonely(change.table.name, change.written):
            return LONELY
        return CAME_BEFORE if outcome != ALREADY and change in self._may_be_in else outcome


def _inserted(connection: sqlite3.Connection, change: Change, known: Editable, ours: Row | None) -> Outcome:
    theirs = {name: value for name, value in (change.theirs or {}).items() if name not in known.computed}
    if ours and are_same(theirs, {name: ours[name] for name in theirs}):
        return ALREADY
    if ours:
        raise Refusal(CONFLICT, "the bot has a row with this key")
    places, marks = ", ".join(map(quoted, theirs)), ", ".join("?" * len(theirs))
    connection.execute(f"INSERT OR ABORT INTO main.{quoted(change.table.name)} ({places}) VALUES ({marks})", [*theirs.values()])
    return _proven(connection, change, known, theirs, Outcome(APPLIED))


def _updated(connection: sqlite3.Connection, change: Change, known: Editable, ours: Row | None) -> Outcome:
    base, theirs = change.base or {}, {name: (change.theirs or {})[name] for name in change.columns}
    if not ours:
        raise Refusal(CONFLICT, "the bot has deleted the row")
    if all(is_same(ours[name], value) for name, value in theirs.items()):
        return ALREADY
    if taken := [name for name, value in theirs.items() if not any(is_same(ours[name], one) for one in (base[name], value))]:
        raise Refusal(CONFLICT, f"the bot has changed {', '.join(taken)} as well")
    wanted, where = ", ".join(f"{quoted(name)} = ?" for name in theirs), _where(change)
    update = f"UPDATE OR ABORT main.{quoted(change.table.name)} SET {wanted} WHERE {where}"
    _one(connection.execute(update, [*theirs.values(), *change.key.values()]))
    is_merged = any(not is_same(ours[name], base[name]) for name in base if name not in theirs)
    return _proven(connection, change, known, ours | theirs, Outcome(MERGED if is_merged else APPLIED))


def _deleted(connection: sqlite3.Connection, change: Change, known: Editable, ours: Row | None) -> Outcome:
    if not ours:
        return ALREADY
    base = {name: value for name, value in (change.base or {}).items() if name not in known.computed}
    if known.new or not are_same({name: ours[name] for name in base}, base):
        raise Refusal(CONFLICT, "the bot has changed the row")
    _one(connection.execute(f"DELETE FROM main.{quoted(change.table.name)} WHERE {_where(change)}", [*change.key.values()]))
    if _ours(connection, change):
        raise Refusal(REFUSED, "it did not go")
    return Outcome(APPLIED)


# By whether there was a row before, and whether there is one now.
How = Callable[[sqlite3.Connection, Change, Editable, Row | None], Outcome]
HOW: dict[tuple[bool, bool], How] = {(False, True): _inserted, (True, True): _updated, (True, False): _deleted}


def _proven(connection: sqlite3.Connection, change: Change, known: Editable, wanted: Row, outcome: Outcome) -> Outcome:
    """Raise Refusal where the row is not exactly what it was to be; what triggers make of other columns is accepted with them."""
    held = _ours(connection, change) or {}
    names = [name for name in wanted if name not in known.computed]
    if known.has_triggers and change.base is not None:
        names = change.columns
    other = [name for name in names if name not in held or not is_same(held[name], wanted[name])]
    if other:
        raise Refusal(REFUSED, f"SQLite would store {', '.join(other)} otherwise")
    return outcome


def _one(done: sqlite3.Cursor) -> None:
    if done.rowcount != 1:
        raise Refusal(REFUSED, f"it would have changed {done.rowcount} rows")


def _ours(connection: sqlite3.Connection, change: Change) -> Row | None:
    """Return the row as the bot's file has it, by exactly this key."""
    columns, table = [column.name for column in change.table.columns], quoted(change.table.name)
    places = ", ".join(f"{table}.{quoted(name)}" for name in columns)  # what is in quotes and no column would be a text
    for values in connection.execute(f"SELECT {places} FROM main.{table} WHERE {_where(change)}", [*change.key.values()]):
        row = dict(zip(columns, values, strict=True))
        if all(is_same(row[name], value) for name, value in change.key.items()):
            return row
    return None


def _where(change: Change) -> str:
    """Return the condition for a row: to the letter, whatever its collation."""
    table = quoted(change.table.name)  # what is in quotes and no column would be a text
    return " AND ".join(f"{table}.{quoted(name)} COLLATE BINARY IS ?" for name in change.key)
