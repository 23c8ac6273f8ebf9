"""Tell a file that needs a newer SQLite than this one from a file that is damaged."""

import re
import sqlite3

from lib.base.printable import name
from lib.sqlite.files import stand_ins

NOT_UNDERSTOOD = re.compile(r"malformed database schema \((.*)\) - (.+)", re.DOTALL)
# What SQLite says of a schema that contradicts itself or its pages.
CONTRADICTS_ITSELF = re.compile("invalid rootpage|orphan index|already|no such table")
# The tables and indexes that it has passed over; all the rest must be sound.
PASSED_OVER = re.compile(r"\*\*\* in database main \*\*\*|Page \d+(: | is )never used|ok|row \d+ missing from index .*")
# What it says of a statement that it cannot read.
UNREADABLE = re.compile("syntax error|unrecognized token|unknown table option|unknown datatype|not currently supported")
REMEDY = """run the scripts with a Python that has a newer SQLite:  python3 -c "import sqlite3; print(sqlite3.sqlite_version)\""""


class TooOld(sqlite3.DatabaseError):
    """This SQLite is older than what made the file."""


def too_old(what: str, reason: str) -> TooOld:
    """Return the error that names what this SQLite does not understand."""
    this = f"this Python's SQLite {sqlite3.sqlite_version} is older than what made the file"
    return TooOld(f"{this}: it does not understand {name(what)} ({name(reason)})")


def judged(connection: sqlite3.Connection, error: sqlite3.DatabaseError) -> sqlite3.DatabaseError:
    """Return the error, or TooOld where a schema is not understood and the file is sound otherwise."""
    match = NOT_UNDERSTOOD.fullmatch(str(error))
    if not match or CONTRADICTS_ITSELF.search(match[2]):
        return error
    connection.execute("PRAGMA writable_schema = ON")  # SQLite passes over what it does not understand
    is_sound = all(PASSED_OVER.fullmatch(line) for (text,) in _checked(connection) for line in text.split("\n"))
    return too_old(match[1], match[2]) if is_sound else error


def explained(what: str, error: sqlite3.OperationalError) -> sqlite3.OperationalError | TooOld:
    """Return the error, or TooOld where it says that an object's own SQL cannot be read."""
    return too_old(what, str(error)) if UNREADABLE.search(str(error)) else error


def _checked(connection: sqlite3.Connection) -> list[tuple[str]]:
    try:
        return stand_ins.tried(connection, lambda: connection.execute("PRAGMA quick_check").fetchall(), [])
    except sqlite3.OperationalError:  # a virtual table misses its module's parts
        return []
