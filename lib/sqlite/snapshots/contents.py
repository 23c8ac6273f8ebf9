"""How much of a file goes into mirrors: its rows, but no index, and nothing of what its pages have free."""

import contextlib
import sqlite3
from typing import NamedTuple

from lib.sqlite.files import read_schema
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_read_only
from lib.sqlite.lines import read_lines
from lib.sqlite.snapshots.previous import Previous
from lib.tables.plan import MOST_COLUMNS
from lib.tables.schema import Schema, Table

# What a row takes in its mirror, with its key, beyond what it takes in the file: measured with 0.4 and 2.5 million rows.
ROW_BYTES = 60
# The first row of a mirror takes a page, and one of its index.
FIRST_ROW_BYTES = 2 * 8192


class Content(NamedTuple):
    """A table's rows, and about how many bytes they take in a mirror; what Postgres compresses takes less."""

    rows: int
    bytes: int


def of(connection: sqlite3.Connection, schema: Schema) -> dict[str, Content]:
    """Return what each table has, by its name; SQLite reads every value."""
    return {table.name: _content(connection, table) for table in schema.own_tables}


def of_previous(previous: Previous) -> dict[str, Content]:
    """Return what each table had at the last run; nothing where its snapshot is not there any more, or is another file."""
    if not previous.note:
        return {}
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(open_read_only(previous.place)) as connection:
        return of(connection, read_schema.read(connection))
    return {}


def _content(connection: sqlite3.Connection, table: Table) -> Content:
    """The values of a key count twice: they are in its index, too."""
    if not (count := read_lines.rows(connection, table)):
        return Content(0, 0)
    names = [*(column.name for column in table.columns), *table.key]
    parts = (names[at : at + MOST_COLUMNS] for at in range(0, len(names), MOST_COLUMNS))
    return Content(count, FIRST_ROW_BYTES + ROW_BYTES * count + sum(_bytes(connection, table, part) for part in parts))


def _bytes(connection: sqlite3.Connection, table: Table, names: list[str]) -> int:
    text = "WHEN 'text' THEN length(CAST({0} AS BLOB)) WHEN 'blob' THEN length({0})"
    number = f"total(CASE typeof({{0}}) {text} WHEN 'null' THEN 0 ELSE 8 END)"
    numbers = ", ".join(number.format(quoted(name)) for name in names)
    return int(sum(connection.execute(f"SELECT {numbers} FROM main.{quoted(table.name)}").fetchone()))
