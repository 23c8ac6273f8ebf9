"""Keep a check from asking virtual tables, as SQLite's does from 3.44 on: their rows are in ordinary tables.

A search index may lag behind, have no content, or need a tokenizer that only the bot knows: none of that is damage.
"""

import contextlib
import re
import sqlite3
from collections.abc import Iterator

from lib.base.printable import name
from lib.sqlite.files.names import quoted

ARE_ASKED = sqlite3.sqlite_version_info >= (3, 44)
IS_VIRTUAL = "type = 'table' AND rootpage = 0"
DISAGREES = re.compile(r"malformed inverted index|In RTree|.*corruption", re.DOTALL)


@contextlib.contextmanager
def left_out(connection: sqlite3.Connection) -> Iterator[None]:
    """Take virtual tables out of the schema meanwhile: in a transaction that is rolled back, and never reaches the file."""
    if not ARE_ASKED or not _names(connection):
        yield
        return
    for setting in ("cache_spill = OFF", "journal_mode = MEMORY"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("BEGIN")
    try:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(f"DELETE FROM sqlite_master WHERE {IS_VIRTUAL}")
        connection.execute("PRAGMA writable_schema = RESET")
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("PRAGMA writable_schema = RESET")


def doubts(connection: sqlite3.Connection) -> list[str]:
    """Return as sentences what virtual tables say that they have lost; one that cannot be asked says nothing."""
    return [sentence for table in _names(connection) for sentence in _doubts(connection, table)] if ARE_ASKED else []


def _doubts(connection: sqlite3.Connection, table: str) -> list[str]:
    with contextlib.suppress(sqlite3.OperationalError):
        findings = [text for (text,) in connection.execute(f"PRAGMA quick_check({quoted(table)})") if DISAGREES.match(text)]
        said = f"the virtual table {name(table)} does not agree with its rows, which are backed up as they are"
        return [f"{said} ({name(text)}). If it should, let the bot rebuild it." for text in findings[:1]]
    return []


def _names(connection: sqlite3.Connection) -> list[str]:
    return [table for (table,) in connection.execute(f"SELECT name FROM sqlite_master WHERE {IS_VIRTUAL}")]
