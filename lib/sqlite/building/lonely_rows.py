"""Rows whose foreign key leads nowhere: which there are, and which have become so."""

import sqlite3
from collections import Counter
from collections.abc import Sequence

from lib.base import printable
from lib.sqlite.files.functions import as_text
from lib.sqlite.files.names import quoted

SHOWN = 5
# A table, a row's rowid where it has one, the table that it refers to, and which of its foreign keys it is.
Orphan = tuple[str, int | None, str, int]


def told(connection: sqlite3.Connection, before: Sequence[Orphan], now: Sequence[Orphan]) -> list[str]:
    """Say which rows refer to some that are not there, and did not before, and to which ones."""
    said, known = list[str](), {*before}
    for (child, parent), count in (_counted_pairs(now) - _counted_pairs(before)).items():
        refer = f"row of {printable.name(child)} refers" if count == 1 else f"rows of {printable.name(child)} refer"
        new = [orphan for orphan in now if (orphan[0], orphan[2]) == (child, parent) and orphan not in known][:SHOWN]
        named = printable.name("; ".join(dict.fromkeys(filter(None, (_missing(connection, orphan) for orphan in new)))))
        said.append(f"{count} {refer} to rows of {printable.name(parent)} that are not there{named and f': {named}'}.")
    return said


def _counted_pairs(orphans: Sequence[Orphan]) -> Counter[tuple[str, str]]:
    return Counter((child, parent) for child, _, parent, _ in orphans)


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


def of(connection: sqlite3.Connection) -> list[Orphan]:
    """Return the rows whose foreign key leads nowhere."""
    try:
        return connection.execute("PRAGMA main.foreign_key_check").fetchall()
    except sqlite3.OperationalError:  # a foreign key that SQLite itself cannot follow
        return []
