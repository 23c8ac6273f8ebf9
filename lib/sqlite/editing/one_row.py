"""Bring one row into the bot's file, where it is still as it was before the edit, and prove what is there then."""

import sqlite3
from collections.abc import Callable

from lib.sqlite.editing.change import ALREADY, APPLIED, CONFLICT, MERGED, REFUSED, Change, Outcome, Row
from lib.sqlite.editing.editable import Editable
from lib.sqlite.files.names import quoted
from lib.tables.values import are_same, is_same


class Refusal(Exception):
    """Why a change cannot be brought."""

    def __init__(self, outcome: str, reason: str):
        super().__init__(reason)
        self.outcome = Outcome(outcome, reason)


def brought(connection: sqlite3.Connection, change: Change, known: Editable) -> Outcome:
    """Bring a change, or raise Refusal; an error of SQLite's is about the row, or about the file."""
    ours = _row(connection, change, known)
    if _had(change, known, ours):
        return ALREADY
    return HOW[change.base is not None, change.theirs is not None](connection, change, known, ours)


def is_in(connection: sqlite3.Connection, change: Change, known: Editable) -> bool | None:
    """Whether the file has what a change was to bring, or what was there before it; None where it has neither."""
    ours = _row(connection, change, known)
    if _had(change, known, ours):
        return True
    return False if _is_as_before(change, known, ours) else None


def _is_as_before(change: Change, known: Editable, ours: Row | None) -> bool:
    if not (change.base and ours):
        return not (change.base or ours)
    names = change.columns if change.theirs else [name for name in change.base if name not in known.computed]
    return all(is_same(ours[name], change.base[name]) for name in names)


def _had(change: Change, known: Editable, ours: Row | None) -> bool:
    """Whether the bot's file has it."""
    if not (change.theirs and ours):
        return not (change.theirs or ours)
    return all(is_same(ours[name], value) for name, value in _written(change, known).items())


def _written(change: Change, known: Editable) -> Row:
    """Return what is written to a row."""
    names = change.columns if change.base else [name for name in change.theirs or {} if name not in known.computed]
    return {name: (change.theirs or {})[name] for name in names}


def _inserted(connection: sqlite3.Connection, change: Change, known: Editable, ours: Row | None) -> Outcome:
    if ours:
        raise Refusal(CONFLICT, "the bot has a row with this key")
    theirs = _written(change, known)
    places, marks = ", ".join(map(quoted, theirs)), ", ".join("?" * len(theirs))
    connection.execute(f"INSERT OR ABORT INTO main.{quoted(change.table.name)} ({places}) VALUES ({marks})", [*theirs.values()])
    return _proven(connection, change, known, theirs, Outcome(APPLIED))


def _updated(connection: sqlite3.Connection, change: Change, known: Editable, ours: Row | None) -> Outcome:
    if not ours:
        raise Refusal(CONFLICT, "the bot has deleted the row")
    base, written = change.base or {}, _written(change, known)
    theirs = {name: value for name, value in written.items() if not is_same(ours[name], value)}
    if taken := [name for name in theirs if not is_same(ours[name], base[name])]:
        raise Refusal(CONFLICT, f"the bot has changed {', '.join(taken)} as well")
    wanted = ", ".join(f"{quoted(name)} = ?{number}" for number, name in enumerate(theirs, len(change.key) + 1))
    update = f"UPDATE OR ABORT main.{quoted(change.table.name)} SET {wanted} WHERE {known.where}"
    _one(connection.execute(update, [*change.key.values(), *theirs.values()]))
    is_merged = any(not is_same(ours[name], base[name]) for name in base if name not in theirs)
    others = ", ".join(name for name in written if name not in theirs)
    reason = f"the bot's database had {others} already" if others else ""
    return _proven(connection, change, known, ours | theirs, Outcome(MERGED if is_merged else APPLIED, reason, [*theirs]))


def _deleted(connection: sqlite3.Connection, change: Change, known: Editable, ours: Row | None) -> Outcome:
    base = {name: value for name, value in (change.base or {}).items() if name not in known.computed}
    if known.new or not are_same({name: (ours or {})[name] for name in base}, base):
        raise Refusal(CONFLICT, "the bot has changed the row")
    _one(connection.execute(f"DELETE FROM main.{quoted(change.table.name)} WHERE {known.where}", [*change.key.values()]))
    if _row(connection, change, known):
        raise Refusal(REFUSED, "it did not go")
    return Outcome(APPLIED)


# By whether there was a row before, and whether there is one now.
How = Callable[[sqlite3.Connection, Change, Editable, Row | None], Outcome]
HOW: dict[tuple[bool, bool], How] = {(False, True): _inserted, (True, True): _updated, (True, False): _deleted}


def _proven(connection: sqlite3.Connection, change: Change, known: Editable, wanted: Row, outcome: Outcome) -> Outcome:
    """Raise Refusal where the row is not exactly what it was to be; what triggers make of other columns is accepted with them."""
    held = _row(connection, change, known) or {}
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


def _row(connection: sqlite3.Connection, change: Change, known: Editable) -> Row | None:
    """Return the row as the bot's file has it, by exactly this key."""
    columns, table = [column.name for column in change.table.columns], quoted(change.table.name)
    places = ", ".join(f"{table}.{quoted(name)}" for name in columns)  # what is in quotes and no column would be a text
    for values in connection.execute(f"SELECT {places} FROM main.{table} WHERE {known.where}", [*change.key.values()]):
        row = dict(zip(columns, values, strict=True))
        if all(is_same(row[name], value) for name, value in change.key.items()):
            return row
    return None
