"""Rows whose foreign key leads nowhere: which there are, and which have become so."""

import sqlite3

from lib.base import printable
from lib.sqlite.files import stand_ins
from lib.sqlite.files.functions import as_text
from lib.sqlite.files.names import quoted
from lib.tables.plan import folded

SHOWN = 5
# A table, a row's rowid where it has one, the table that it refers to, and which of its foreign keys it is.
Orphan = tuple[str, int | None, str, int]
# The bot has no table of this name.
NOTED = 'temp."hybrid backup: lonely rows"'
NOW = "SELECT \"table\", rowid, parent, fkid FROM pragma_foreign_key_check(?, 'main')"
NEW = f'{NOW} WHERE parent = ? EXCEPT SELECT * FROM {NOTED} WHERE "table" = ? LIMIT {SHOWN}'
# Rows that were replaced may have another rowid: of those only the numbers are compared.
MORE = f"""SELECT parent, sum(more) FROM (
    SELECT parent, sum(count) AS more FROM (
        SELECT *, 1 AS count FROM ({NOW}) UNION ALL SELECT *, -1 FROM {NOTED} WHERE "table" = ?
    ) GROUP BY parent, iif(?, NULL, rowid), iif(?, NULL, fkid) HAVING sum(count) > 0
) GROUP BY 1"""


def note(connection: sqlite3.Connection, missing: list[str]) -> None:
    """Note which rows have a foreign key that leads nowhere, in a temporary table: there may be millions."""
    connection.execute(f'CREATE TABLE {NOTED} ("table", rowid, parent, fkid)')
    for table in stand_ins.tables(connection, missing):
        _asked(connection, f"INSERT INTO {NOTED} {NOW}", [table], missing)


def told(connection: sqlite3.Connection, replaced: str, missing: list[str]) -> list[str]:
    """Say which rows refer to some that are not there, and did not when that was noted, and to which ones.

    `replaced` is the table whose rows may have another rowid since; none is empty.
    """
    said = list[str]()
    for child in stand_ins.tables(connection, missing):
        is_replaced = folded(child) == folded(replaced)
        for parent, count in _asked(connection, MORE, [child, child, is_replaced, is_replaced], missing):
            refer = f"row of {printable.name(child)} refers" if count == 1 else f"rows of {printable.name(child)} refer"
            new = connection.execute(NEW, [child, parent, child]).fetchall()
            named = printable.name("; ".join(dict.fromkeys(filter(None, (_missing(connection, orphan) for orphan in new)))))
            said.append(f"{count} {refer} to rows of {printable.name(parent)} that are not there{named and f': {named}'}.")
    return said


def _asked(connection: sqlite3.Connection, query: str, values: list[str | bool], missing: list[str]) -> list[tuple[str, int]]:
    """Return the answer; none of a table whose foreign key SQLite itself cannot follow, or whose name is no text."""
    try:
        return stand_ins.tried(connection, lambda: connection.execute(query, values).fetchall(), missing)
    except (sqlite3.OperationalError, UnicodeEncodeError):
        return []


def _missing(connection: sqlite3.Connection, orphan: Orphan) -> str:
    """Return what a row refers to, as columns and values; nothing where no rowid tells which row it is."""
    child, rowid, _, number = orphan
    keys = connection.execute(f"PRAGMA main.foreign_key_list({quoted(child)})").fetchall()
    pairs = [(ours, theirs or ours) for key, _, _, ours, theirs, *_ in sorted(keys) if key == number]
    if rowid is None or not pairs:
        return ""
    connection.text_factory = as_text
    query = f"SELECT {', '.join(quoted(ours) for ours, _ in pairs)} FROM main.{quoted(child)} WHERE rowid = ?"
    (values,) = connection.execute(query, [rowid]).fetchall()
    connection.text_factory = str
    return ", ".join(f"{theirs} = {value}" for (_, theirs), value in zip(pairs, values, strict=True))
