"""Which tables of a bot's file may be edited from outside, and which columns of them."""

import contextlib
import re
import sqlite3
from typing import NamedTuple

from lib.sqlite.files.names import quoted
from lib.sqlite.files.virtual_tables import IS_VIRTUAL
from lib.tables.plan import TablePlan, folded

ROLLS_BACK = re.compile(r"\bRAISE\s*\(\s*ROLLBACK\b", re.IGNORECASE)
# As PRAGMA table_xinfo tells them.
GENERATED = (2, 3)


class Editable(NamedTuple):
    """Why nothing in the table may be edited, or nothing.

    The columns that SQLite computes, and those that are `new` since the last run; whether triggers act; the condition for a row
    `where` its key is ?1 and so on.
    """

    why_not: str = ""
    computed: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()
    has_triggers: bool = False
    where: str = ""


def of(connection: sqlite3.Connection, table: TablePlan, accepts_triggers: bool) -> Editable:
    """Look at a table as it is in the bot's file now."""
    objects = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    triggers = [text for kind, _, on, text in objects if kind == "trigger" and folded(on) == folded(table.name)]
    why_not = _why_not(connection, table, [name for kind, name, _, _ in objects if kind == "table"])
    if triggers and not accepts_triggers:
        why_not = why_not or f"the table has triggers, and {table.printable}.triggers is not accepted"
    elif any(ROLLS_BACK.search(text) for text in triggers):
        why_not = why_not or "a trigger of the table may roll back everything"
    columns = connection.execute(f"PRAGMA main.table_xinfo({quoted(table.name)})").fetchall()
    if {name for _, name, *_, key, _ in columns if key} != {column.name for column in table.key}:
        why_not = why_not or "the bot has given the table another key since the last run"
    computed = frozenset(name for _, name, *_, hidden in columns if hidden in GENERATED)
    new = {name for _, name, *_ in columns} - computed - {column.name for column in table.columns}
    return Editable(why_not, computed, frozenset(new), bool(triggers), _where(connection, table))


def _where(connection: sqlite3.Connection, table: TablePlan) -> str:
    """Return the condition for a row: to the letter, and, where it is known here, by the collation that the key's index has."""
    place = quoted(table.name)  # what is in quotes and no column would be a text
    keys = [(f"{place}.{quoted(column.name)}", number) for number, column in enumerate(table.key, 1)]
    exact = " AND ".join(f"{key} COLLATE BINARY IS ?{number}" for key, number in keys)
    indexed = " AND ".join(f"{key} IS ?{number}" for key, number in keys)
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute(f"SELECT 1 FROM main.{place} WHERE {indexed} LIMIT 0", [None] * len(keys))
        return f"{indexed} AND {exact}"
    return exact


def _why_not(connection: sqlite3.Connection, table: TablePlan, tables: list[str]) -> str:
    virtual = [name for (name,) in connection.execute(f"SELECT name FROM sqlite_master WHERE {IS_VIRTUAL}")]
    if table.name not in tables:
        return "the bot's database has no such table"
    if table.is_internal or any(table.name == name or table.name.startswith(f"{name}_") for name in virtual):
        return "the table belongs to SQLite or to a virtual table"
    if any(column.is_rowid for column in table.key):
        return "the table has no key but SQLite's hidden rowid"
    return ""
