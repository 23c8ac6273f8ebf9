"""Collations and functions that only the bot knows: stand-ins, so that its file can be read, checked and rebuilt without them.

What the bot's SQLite brings along and this one does not is the same: only the bot knows it.
"""

import contextlib
import functools
import re
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from lib.sqlite.files.functions import as_text
from lib.sqlite.files.names import quoted

Result = TypeVar("Result")
COLLATION = re.compile(r"no such collation sequence: (.*)", re.DOTALL)
FUNCTION = re.compile(r"(?:no such|unknown) function: (.*?)(?:\(\))?", re.DOTALL)
# SQLite has a function of that name; the bot calls it with another number of arguments.
ARITY = re.compile(r"(?:malformed database schema \(.*\) - )?wrong number of arguments to function (.*)\(\)", re.DOTALL)
# The one function of SQLite's that is there to be replaced by the bot's: it stands behind the operator MATCH.
MATCH = re.compile(r"(?:malformed database schema \(.*\) - )?non-deterministic functions prohibited in .*", re.DOTALL)
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
# Compiling the check of a table, without running it, asks for all that it needs. One called 7 is a number of findings: then
# virtual tables are asked, too, and those may miss something else.
COMPILED = "EXPLAIN PRAGMA integrity_check({})"
MOST = 100
MOST_ARGUMENTS = 100


def complete(connection: sqlite3.Connection) -> list[str]:
    """Register a stand-in for each collation and function that the schema misses; return their names."""
    missing: list[str] = []
    for table in tables(connection, missing):
        with contextlib.suppress(sqlite3.OperationalError, UnicodeEncodeError):
            tried(connection, functools.partial(connection.execute, COMPILED.format(quoted(table))), missing)
    if missing:
        _read_schema_anew(connection)
    return missing


def tables(connection: sqlite3.Connection, missing: list[str]) -> list[str]:
    """Return the names of the tables that have rows, also where they are not UTF-8; note in `missing` what a stand-in is for."""
    as_before, connection.text_factory = connection.text_factory, as_text
    found = tried(connection, lambda: connection.execute(TABLES).fetchall(), missing)
    connection.text_factory = as_before
    return [name for (name,) in found]


def _read_schema_anew(connection: sqlite3.Connection) -> None:
    """Forget what was read without a collation: a table that is its key's index would have `no query solution`.

    SQLite does so when temporary tables get another place; PRAGMA writable_schema = RESET is not enough for 3.35.
    """
    connection.execute("CREATE TEMP TABLE forgotten (a)")
    for place in ("MEMORY", "DEFAULT"):
        connection.execute(f"PRAGMA temp_store = {place}")


def not_needed_by(connection: sqlite3.Connection) -> list[str]:
    """Return the tables that can be checked before there is any stand-in; none, where the schema cannot even be read."""
    sound = []
    with contextlib.suppress(sqlite3.DatabaseError):
        for (table,) in connection.execute(TABLES).fetchall():
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute(COMPILED.format(quoted(table)))
                sound.append(table)
    return sound


def tried(connection: sqlite3.Connection, operation: Callable[[], Result], missing: list[str]) -> Result:
    """Run an operation; register a stand-in for each name that SQLite misses, and note it in `missing`.

    A stand-in collation compares bytes, a stand-in function returns NULL.
    """
    for _ in range(MOST):
        try:
            return operation()
        except sqlite3.DatabaseError as error:
            missing.append(_stood_in(connection, error))
    return operation()


def _stood_in(connection: sqlite3.Connection, error: sqlite3.DatabaseError) -> str:
    """Register a stand-in for what the error misses and return its name; raise the error where it is about something else."""
    if collation := COLLATION.fullmatch(str(error)):
        connection.create_collation(collation[1], _by_bytes)
        return collation[1]
    name, arities = _function(connection, str(error))
    if not arities:
        raise error
    for arity in arities:
        connection.create_function(name, arity, _null, deterministic=True)
    return name


def _function(connection: sqlite3.Connection, said: str) -> tuple[str, set[int]]:
    """Return the function that is missed, and with which numbers of arguments (-1 is any); with none, it is no function."""
    if function := FUNCTION.fullmatch(said):
        return function[1], {-1}
    if arity := ARITY.fullmatch(said):
        return arity[1], _other_arities(connection, arity[1])
    return ("match", {2}) if MATCH.fullmatch(said) else ("", set())


def _other_arities(connection: sqlite3.Connection, name: str) -> set[int]:
    """Return the numbers of arguments that SQLite's own function does not take."""
    own = {narg for known, _, _, _, narg, _ in connection.execute("PRAGMA function_list") if known == name.lower()}
    return set(range(MOST_ARGUMENTS + 1)) - own


def _by_bytes(left: str, right: str) -> int:
    return (left > right) - (left < right)


def _null(*_: object) -> None:
    return None
