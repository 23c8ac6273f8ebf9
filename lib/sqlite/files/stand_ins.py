"""Collations and functions that only the bot knows: stand-ins, so that its file can be read, checked and rebuilt without them.

What the bot's SQLite brings along and this one does not is the same: only the bot knows it.
"""

import contextlib
import re
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from lib.sqlite.files.names import quoted

Found = TypeVar("Found")
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
    as_before, connection.text_factory = connection.text_factory, lambda raw: raw.decode("utf-8", "surrogateescape")
    tables = tried(connection, lambda: connection.execute(TABLES).fetchall(), missing)
    connection.text_factory = as_before
    for (table,) in tables:
        compiled = COMPILED.format(quoted(table))
        with contextlib.suppress(sqlite3.OperationalError, UnicodeEncodeError):
            tried(connection, lambda compiled=compiled: connection.execute(compiled), missing)
    return missing


def not_needed_by(connection: sqlite3.Connection) -> list[str]:
    """Return the tables that can be checked before there is any stand-in; none, where the schema cannot even be read."""
    found = []
    with contextlib.suppress(sqlite3.DatabaseError):
        for (table,) in connection.execute(TABLES).fetchall():
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute(COMPILED.format(quoted(table)))
                found.append(table)
    return found


def tried(connection: sqlite3.Connection, operation: Callable[[], Found], missing: list[str]) -> Found:
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
    collation, function, arity = (kind.fullmatch(str(error)) for kind in (COLLATION, FUNCTION, ARITY))
    if collation:
        connection.create_collation(collation[1], _by_bytes)
    elif function:
        connection.create_function(function[1], -1, _null, deterministic=True)
    elif arity:
        for arguments in _other_arities(connection, arity[1]):
            connection.create_function(arity[1], arguments, _null, deterministic=True)
    elif MATCH.fullmatch(str(error)):
        connection.create_function("match", 2, _null, deterministic=True)
        return "match"
    else:
        raise error
    return (collation or function or arity)[1]


def _other_arities(connection: sqlite3.Connection, name: str) -> set[int]:
    """Return the numbers of arguments that SQLite's own function does not take."""
    own = {narg for found, _, _, _, narg, _ in connection.execute("PRAGMA function_list") if found == name.lower()}
    return set(range(MOST_ARGUMENTS + 1)) - own


def _by_bytes(left: str, right: str) -> int:
    return (left > right) - (left < right)


def _null(*_: object) -> None:
    return None
