"""Put one table's rows from a rebuilt file into a copy of the present database, and leave everything else as it is.

The two tables may differ: a column that is gone cannot come back, a new one gets its default, and rows that the present table
does not take are named, not forced.
"""

import contextlib
import functools
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.base import printable
from lib.base.errors import UNTOUCHED, Problem
from lib.sqlite.building import lonely_rows, some_rows, table_pair, triggers, untyped_table
from lib.sqlite.building.some_rows import Change
from lib.sqlite.building.table_pair import Pair
from lib.sqlite.compare import count_differences
from lib.sqlite.files import read_schema as schemas
from lib.sqlite.files import stand_ins
from lib.sqlite.files.functions import register
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_as_it_is
from lib.tables.plan import folded

SHOWN = 5


@dataclass(frozen=True)
class ReplacedTable:
    """A table whose `rows` were put back; `warnings` say what is not as it was then.

    Where it is only some rows, `changes` are those that are otherwise, or not there: as they are now, and were then; `key` has
    the columns that name one.
    """

    name: str
    rows: int
    warnings: list[str]
    key: list[str]
    changes: list[Change]


def put_back(copy: Path, rebuilt: Path, table: str, missing: list[str], *, is_some: bool = False) -> ReplacedTable:
    """Replace the rows of `table` in `copy` by those in `rebuilt`; no trigger runs, and the counters only grow.

    Where it is only some, rows with other keys stay. What only the bot knows is noted in `missing`. Raise Problem where the
    present table does not take the rows as they were.
    """
    with triggers.taken_out(copy), contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        register(connection)
        pair = table_pair.of(connection, rebuilt, table)
        table_pair.attach(connection, rebuilt)
        connection.execute(f"PRAGMA ignore_check_constraints = {int(pair.is_declared_alike)}")
        lonely_rows.note(connection, missing)
        pair = some_rows.matched(connection, pair) if is_some else pair
        changes = some_rows.changes(connection, pair) if is_some else []
        replaced = functools.partial(some_rows.replaced if is_some else _replaced, connection, pair)
        rows = stand_ins.tried(connection, replaced, missing)
        _refuse_altered(connection, pair, f" WHERE {pair.is_there}" if is_some else "")
        warnings = pair.warnings + lonely_rows.told(connection, "" if is_some else pair.now.name, missing)
    return ReplacedTable(pair.now.printable, rows, warnings, [ours for ours, _ in pair.key], changes)


def refuse_others_changed(before: Path, after: Path, table: str, changes: Sequence[Change] | None = None) -> None:
    """Compare the schema and every other table with what was there, and of this one what is not among `changes`; raise Problem.

    Where there are none, all of it was replaced.
    """
    with contextlib.closing(open_as_it_is(before)) as then, contextlib.closing(open_as_it_is(after)) as now:
        changed = [] if schemas.sorted_objects(then) == schemas.sorted_objects(now) else ["the schema"]
    for other in count_differences.between(before, after):
        found = (other.added, other.changed, other.removed)
        if folded(other.table) == folded(table):
            added = sum(present is None for present, _ in changes or ())
            if changes is not None and found != (added, len(changes) - added, 0):
                changed.append(f"other rows of {printable.name(other.table)}")
        elif any(found):
            changed.append(printable.name(other.table))
    if changed:
        raise Problem(f"putting back {printable.name(table)} would change {changed[0]} as well.", "please report it", UNTOUCHED)


def _replaced(connection: sqlite3.Connection, pair: Pair) -> int:
    """Replace the rows and return their number; raise Problem that says which rows the present table refuses."""
    is_computed = untyped_table.is_needed(connection, pair.now.name, pair.written)
    try:
        with table_pair.written(connection):
            connection.execute(f"DELETE FROM main.{quoted(pair.now.name)}")
            with untyped_table.declared(connection, pair.now.name) if is_computed else contextlib.nullcontext():
                return connection.execute(f"INSERT {pair.insert}").rowcount
    except sqlite3.IntegrityError as error:
        raise pair.refusal(str(error), _not_taken(connection, pair)) from error


def _not_taken(connection: sqlite3.Connection, pair: Pair) -> str:
    """Find the rows that SQLite refuses, by leaving them out."""
    with contextlib.suppress(sqlite3.IntegrityError):  # a STRICT table's types cannot be left out
        connection.execute(f"INSERT OR IGNORE {pair.insert}")
        return _left_out(connection, pair)
    return ""


def _left_out(connection: sqlite3.Connection, pair: Pair) -> str:
    count = "SELECT (SELECT count(*) FROM rebuilt.{}) - (SELECT count(*) FROM main.{})"
    (number,) = connection.execute(count.format(quoted(pair.then.name), quoted(pair.now.name))).fetchone()
    if not pair.key:
        return f": {number} do not fit"
    ours, theirs = zip(*pair.key, strict=True)
    there = f"SELECT {table_pair.listed(ours)} FROM main.{quoted(pair.now.name)}"
    query = f"SELECT {table_pair.listed(theirs)} FROM rebuilt.{quoted(pair.then.name)} EXCEPT {there} LIMIT {SHOWN}"
    rows = connection.execute(query).fetchall()
    shown = "; ".join(", ".join(f"{name} {value!r}" for name, value in zip(theirs, row, strict=True)) for row in rows)
    return f": {number} do not fit, {printable.name(shown)}{' …' if number > len(rows) else ''}"


def _refuse_altered(connection: sqlite3.Connection, pair: Pair, where: str) -> None:
    """Compare all shared cells of all rows that were put back with the rebuilt ones."""
    now = _counted(f"{pair.ours}{where}", pair.written)
    then = _counted(pair.theirs, pair.read)
    altered = f"SELECT count(*) FROM (SELECT * FROM ({then}) EXCEPT SELECT * FROM ({now}))"
    added = f"SELECT count(*) FROM (SELECT * FROM ({now}) EXCEPT SELECT * FROM ({then}))"
    count = sum(connection.execute(altered).fetchone() + connection.execute(added).fetchone())
    if count:
        raise Problem(
            f"the present table {pair.now.printable} would hold other values than then: its columns are declared otherwise.",
            "rebuild them elsewhere, and bring over what you need:  python3 restore.py --to FOLDER",
            UNTOUCHED,
        )


def _counted(table: str, columns: list[str]) -> str:
    """Return the query for all rows as a multiset: each distinct row with its number."""
    numbers = ", ".join(map(str, range(1, len(columns) + 1)))
    return f"SELECT {table_pair.cells(columns)}, count(*) FROM {table} GROUP BY {numbers}"
