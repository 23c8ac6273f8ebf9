"""Bring rows that were edited elsewhere into the bot's file, where they are still as they were before the edit.

All of it is one transaction, for which the bot waits as for any of its own. A row is brought whole or not at all.
"""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from lib.base.errors import HeldUp
from lib.sqlite.editing import editable
from lib.sqlite.editing.change import APPLIED, CONFLICT, MERGED, REFUSED, Change, Outcome, Row, are_same, is_same
from lib.sqlite.editing.editable import Editable
from lib.sqlite.editing.references import References
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import trust_own_functions, uri

PATIENCE_SECONDS = 5
# What only the bot knows, or what was altered since; all other errors of this kind are the disk's, or a lock's.
UNKNOWN = re.compile("^no such |^unsafe use|has no column|^unknown |^malformed JSON")
ALREADY = Outcome(APPLIED, "the bot's database had it already")
LONELY = Outcome(REFUSED, "it breaks a foreign key")


class Refusal(Exception):
    """Why a change cannot be brought."""

    def __init__(self, outcome: str, reason: str):
        super().__init__(reason)
        self.outcome = Outcome(outcome, reason)


def bring(path: Path, changes: Sequence[Change], with_triggers: Collection[str] = ()) -> list[Outcome]:
    """Bring all changes that can be brought, and return what became of each; raise HeldUp where the bot does not let us.

    `with_triggers` names the tables whose triggers may act.
    """
    with _opened(path) as connection:
        tables = {change.table.name: change.table for change in changes}
        known = {name: editable.of(connection, table, name in with_triggers) for name, table in tables.items()}
        references = References(connection, tables)
        outcomes = [_brought(connection, change, known[change.table.name]) for change in changes]
        if references.are_broken:
            connection.execute("ROLLBACK TO edits")
            outcomes = [_brought(connection, change, known[change.table.name], references) for change in changes]
        if not any(outcome.is_in and outcome != ALREADY for outcome in outcomes):
            connection.execute("ROLLBACK")  # a COMMIT would write to the file all the same
    return outcomes


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
        connection.execute("SAVEPOINT edits")
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


def _brought(connection: sqlite3.Connection, change: Change, known: Editable, references: References | None = None) -> Outcome:
    """Bring one change, or leave all as it is."""
    connection.execute("SAVEPOINT edit")
    try:
        outcome = _bring(connection, change, known)
        if references and outcome.is_in and references.are_broken:
            raise Refusal(*LONELY)
    except Refusal as refusal:
        outcome = refusal.outcome
    except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
        if not (isinstance(error, sqlite3.IntegrityError) or UNKNOWN.search(str(error))):
            raise
        outcome = Outcome(REFUSED, f"SQLite says: {error}")
    if not outcome.is_in:
        connection.execute("ROLLBACK TO edit")
    connection.execute("RELEASE edit")
    return outcome


def _bring(connection: sqlite3.Connection, change: Change, known: Editable) -> Outcome:
    if known.why_not:
        raise Refusal(REFUSED, known.why_not)
    if computed := sorted(known.computed.intersection(change.columns)):
        raise Refusal(REFUSED, f"SQLite computes {', '.join(computed)}")
    how = HOW[change.base is not None, change.theirs is not None]
    return how(connection, change, known, _ours(connection, change))


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
    connection.execute(
        f"UPDATE OR ABORT main.{quoted(change.table.name)} SET {wanted} WHERE {where}", [*theirs.values(), *change.key.values()]
    )
    is_merged = any(not is_same(ours[name], base[name]) for name in base if name not in theirs)
    return _proven(connection, change, known, ours | theirs, Outcome(MERGED if is_merged else APPLIED))


def _deleted(connection: sqlite3.Connection, change: Change, known: Editable, ours: Row | None) -> Outcome:
    if not ours:
        return ALREADY
    if not are_same(ours, change.base or {}):
        raise Refusal(CONFLICT, "the bot has changed the row")
    connection.execute(f"DELETE FROM main.{quoted(change.table.name)} WHERE {_where(change)}", [*change.key.values()])
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


def _ours(connection: sqlite3.Connection, change: Change) -> Row | None:
    """Return the row as the bot's file has it, by exactly this key."""
    columns = [column.name for column in change.table.columns]
    places, table = ", ".join(map(quoted, columns)), quoted(change.table.name)
    for values in connection.execute(f"SELECT {places} FROM main.{table} WHERE {_where(change)}", [*change.key.values()]):
        row = dict(zip(columns, values, strict=True))
        if all(is_same(row[name], value) for name, value in change.key.items()):
            return row
    return None


def _where(change: Change) -> str:
    """Return the condition for a row: to the letter, whatever its collation."""
    return " AND ".join(f"{quoted(name)} COLLATE BINARY IS ?" for name in change.key)
