"""Whether two SQLite files hold the same, row for row, object for object."""

import contextlib
import sqlite3
from pathlib import Path

from lib.sqlite.compare import find_changes
from lib.sqlite.files import read_schema
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_read_only
from lib.sqlite.lines import read_lines
from lib.tables.plan import TablePlan


def alike_tables(connection: sqlite3.Connection, other: Path, tables: list[TablePlan], misfits: dict[str, int]) -> set[str]:
    """Return the labels of the tables that the other file has row for row; a table whose rows cannot be matched is left out.

    Far cheaper than two digests. `misfits` counts, by label, the rows that the mirrors could not hold.
    """
    find_changes.attach(connection, other)
    declared = find_changes.declared_types(read_schema.read(connection))
    return {table.label for table in tables if find_changes.has_same_rows(connection, table, misfits[table.label], declared)}


def first_difference(path: Path, other: Path, tables: list[TablePlan], misfits: dict[str, int]) -> str:
    """Return the name of what differs between two files, or nothing."""
    with contextlib.closing(open_read_only(path)) as ours, contextlib.closing(open_read_only(other)) as theirs:
        alike = alike_tables(ours, other, tables, misfits)
        for table in tables:
            if table.label not in alike and read_lines.digest(ours, table) != read_lines.digest(theirs, table):
                return f"the table {table.printable}"
        if read_schema.sorted_objects(ours) != read_schema.sorted_objects(theirs):
            return "the schema"
        return "" if _orphans(ours, tables) == _orphans(theirs, tables) else "the rows that foreign keys miss"


def _orphans(connection: sqlite3.Connection, tables: list[TablePlan]) -> tuple[int, int]:
    """Return number and sum of the rows whose foreign key leads nowhere; orphans are normal, as long as they are the same."""
    count = total = 0
    for table in tables:
        with contextlib.suppress(sqlite3.OperationalError):  # a foreign key that SQLite itself cannot follow
            for orphan in connection.execute(f"PRAGMA main.foreign_key_check({quoted(table.name)})"):
                count, total = count + 1, total + hash(str(orphan))
    return count, total
