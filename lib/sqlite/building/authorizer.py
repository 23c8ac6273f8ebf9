"""What the stored SQL of a table or an index may do when it is run: make that table or index, in the file that is being built.

The text comes from the cloud, and whoever has tampered with it there must not reach this machine by it: no other file is
attached, written or read, no setting changed, no trigger, view or virtual table made, no extension loaded.
"""

import re
import sqlite3

from lib.base.errors import UNTOUCHED, Problem
from lib.base.printable import name

NEEDED = (
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_REINDEX,
)
# SQLite writes its own entry for what it makes.
ENTERED = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE)
ENTRIES = ("sqlite_master", "sqlite_sequence")
HARMFUL = ("load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "eval")
REFUSED = re.compile("not authorized|(?<!functions )prohibited|one statement at a time")
SHOWN = 80


def make(connection: sqlite3.Connection, text: str) -> None:
    """Run the stored SQL of a table or an index; raise Problem where it asks for more."""
    connection.set_authorizer(_judged)
    try:
        connection.execute(text)
    except (sqlite3.DatabaseError, sqlite3.Warning, TypeError, ValueError) as error:
        if isinstance(error, sqlite3.DatabaseError) and not REFUSED.search(str(error)):
            raise
        raise Problem(
            f"the stored schema holds what is no table and no index ({error}): {name(str(text))[:SHOWN]}",
            "it was tampered with or is damaged: try an earlier run, see  python3 restore.py --list",
            UNTOUCHED,
        ) from error
    finally:
        connection.set_authorizer(_allowed)  # before Python 3.11, None would forbid everything


def _judged(action: int, first: str | None, second: str | None, database: str | None, _inner: str | None) -> int:
    if database not in (None, "main"):
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in HARMFUL else sqlite3.SQLITE_OK
    is_needed = action in NEEDED or (action in ENTERED and first in ENTRIES)
    return sqlite3.SQLITE_OK if is_needed else sqlite3.SQLITE_DENY


def _allowed(*_: object) -> int:
    return sqlite3.SQLITE_OK
