"""Rows whose foreign key leads nowhere: which there are, and which have become so."""

import sqlite3

from lib.base import printable
from lib.sqlite.files.functions import as_text
from lib.sqlite.files.names import quoted

SHOWN = 5
# A table, a row's rowid where it has one, the table that it refers to, and which of its foreign keys it is.
Orphan = tuple[str, int | None, str, int]
# The bot has no table of this name.
NOTED = 'temp."hybrid backup: lonely rows"'
OF = "SELECT \"table\", rowid, parent, fkid FROM pragma_foreign_key_check({}, 'main')"
NOW = OF.format("NULL")
NEW = f"{OF.format('?')} WHERE parent = ? EXCEPT SELECT * FROM {NOTED} LIMIT {SHOWN}"
MORE = f"""SELECT child, parent, sum(count) FROM (
    SELECT "table" AS child, parent, 1 AS count FROM ({NOW}) UNION ALL SELECT "table", parent, -1 FROM {NOTED}
) GROUP BY 1, 2 HAVING sum(count) > 0"""


def note(connection: sqlite3.Connection) -> None:
    """Note which rows have a foreign key that leads nowhere, in a temporary table: there may be millions."""
    connection.execute(f"CREATE TABLE {NOTED} AS {NOW} LIMIT 0")
    _unless_nobody_can_tell(connection, f"INSERT INTO {NOTED} {NOW}")


def told(connection: sqlite3.Connection) -> list[str]:
    """Say which rows refer to some that are not there, and did not when that was noted, and to which ones."""
    said = list[str]()
    for child, parent, count in _unless_nobody_can_tell(connection, MORE):
        refer = f"row of {printable.name(child)} refers" if count == 1 else f"rows of {printable.name(child)} refer"
        new = connection.execute(NEW, [child, parent]).fetchall()
        named = printable.name("; ".join(dict.fromkeys(filter(None, (_missing(connection, orphan) for orphan in new)))))
        said.append(f"{count} {refer} to rows of {printable.name(parent)} that are not there{named and f': {named}'}.")
    return said


def _unless_nobody_can_tell(connection: sqlite3.Connection, query: str) -> list[tuple[str, str, int]]:
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # a foreign key that SQLite itself cannot follow
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
