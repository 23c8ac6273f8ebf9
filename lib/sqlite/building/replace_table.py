"""Put one table's rows from a rebuilt file into a copy of the present database, and leave everything else as it is.

The two tables may differ: a column that is gone cannot come back, a new one gets its default, and rows that the present table
does not take are named, not forced.
"""

import contextlib
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lib.base import printable
from lib.base.errors import UNTOUCHED, Problem
from lib.sqlite.building import triggers, untyped_table
from lib.sqlite.compare import count_differences
from lib.sqlite.files import read_schema as schemas
from lib.sqlite.files import stand_ins
from lib.sqlite.files.functions import register
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_as_it_is
from lib.tables.plan import folded
from lib.tables.schema import Table

SHOWN = 5
# Text and blobs, 1 and 1.0, and 0.0 and -0.0 are different; no collation is asked.
CELL = """CASE typeof({c}) WHEN 'real' THEN 'real ' || real_bits({c}) WHEN 'blob' THEN 'blob ' || hex({c})
    WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END"""


@dataclass(frozen=True)
class ReplacedTable:
    """A table whose `rows` were put back; `warnings` say what is not as it was then."""

    name: str
    rows: int
    warnings: list[str]


@dataclass(frozen=True)
class _Pair:
    """The present table and the rebuilt one, with the columns that they share: those to write, those to read."""

    now: Table
    then: Table
    written: list[str]
    read: list[str]
    is_declared_alike: bool

    @property
    def insert(self) -> str:
        rows = f"SELECT {_list(self.read)} FROM rebuilt.{quoted(self.then.name)}"
        return f"INTO main.{quoted(self.now.name)} ({_list(self.written)}) {rows}"

    @property
    def warnings(self) -> list[str]:
        lost = [column.name for column in self.then.columns if column.name not in self.read and not column.is_rowid]
        new = [column.name for column in self.now.columns if column.name not in self.written and not column.is_rowid]
        said = [(lost, "not brought back, because the present table does not store it"), (new, "new, and has its default")]
        return [f"{self.now.printable}.{printable.name(name)} is {what}." for names, what in said for name in names]


def put_back(copy: Path, rebuilt: Path, table: str, missing: list[str]) -> ReplacedTable:
    """Replace the rows of `table` in `copy` by those in `rebuilt`; no trigger runs, and the counters only grow.

    What only the bot knows is noted in `missing`. Raise Problem where the present table does not take the rows as they were.
    """
    with triggers.taken_out(copy), contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        register(connection)
        pair = _pair(connection, rebuilt, table)
        connection.execute("ATTACH ? AS rebuilt", [str(rebuilt)])
        connection.execute(f"PRAGMA ignore_check_constraints = {int(pair.is_declared_alike)}")
        orphans = _orphans(connection)
        rows = stand_ins.tried(connection, lambda: _replaced(connection, pair), missing)
        _refuse_altered(connection, pair)
        more = _orphans(connection) - orphans
    lonely = [_lonely(child, parent, count) for (child, parent), count in more.items()]
    return ReplacedTable(pair.now.printable, rows, pair.warnings + lonely)


def refuse_others_changed(before: Path, after: Path, table: str) -> None:
    """Compare the schema and every other table with what was there; raise Problem."""
    with contextlib.closing(open_as_it_is(before)) as then, contextlib.closing(open_as_it_is(after)) as now:
        changed = [] if schemas.sorted_objects(then) == schemas.sorted_objects(now) else ["the schema"]
    for other in count_differences.between(before, after):
        if folded(other.table) != folded(table) and (other.added or other.changed or other.removed):
            changed.append(printable.name(other.table))
    if changed:
        raise Problem(f"putting back {printable.name(table)} would change {changed[0]} as well.", "please report it", UNTOUCHED)


def _pair(connection: sqlite3.Connection, rebuilt: Path, name: str) -> _Pair:
    with contextlib.closing(open_as_it_is(rebuilt)) as other:
        then, declared_then = _table(other, name)
        readable = [column for _, column, *_ in other.execute(f"PRAGMA table_xinfo({quoted(name)})")]
    now, declared_now = _table(connection, name)
    if not now or not then:
        what = f"there is no table {printable.name(name)} in the present database."
        raise Problem(what, "restore the whole database instead, or elsewhere:  python3 restore.py --to FOLDER", UNTOUCHED)
    by_name = {folded(column): column for column in readable}
    rowid = next((column.name for column in then.columns if column.is_rowid), None)
    known = [(column.name, rowid if column.is_rowid else by_name.get(folded(column.name))) for column in now.columns]
    shared = [(ours, theirs) for ours, theirs in known if theirs]
    if not shared:
        raise Problem(f"{now.printable} has no column that it had then.", "python3 restore.py --to FOLDER", UNTOUCHED)
    written, read = map(list, zip(*shared, strict=True))
    return _Pair(now, then, written, read, declared_now == declared_then)


def _table(connection: sqlite3.Connection, name: str) -> tuple[Table | None, str]:
    """Return the bot's table of that name, however it is written, with its declaration."""
    schema = schemas.read(connection)
    table = next((table for table in schema.own_tables if folded(table.name) == folded(name)), None)
    entries = (entry for entry in schema.objects if table and (entry["type"], entry["name"]) == ("table", table.name))
    return table, next((entry["sql"] or "" for entry in entries), "")


def _replaced(connection: sqlite3.Connection, pair: _Pair) -> int:
    """Replace the rows and return their number; raise Problem that says which rows the present table refuses."""
    connection.execute("BEGIN")
    try:
        connection.execute(f"DELETE FROM main.{quoted(pair.now.name)}")
        is_computed = untyped_table.is_needed(connection, pair.now.name, pair.written)
        with untyped_table.declared(connection, pair.now.name) if is_computed else contextlib.nullcontext():
            rows = connection.execute(f"INSERT {pair.insert}").rowcount
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        raise _refusal(connection, pair, str(error)) from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return rows


def _refusal(connection: sqlite3.Connection, pair: _Pair, reason: str) -> Problem:
    """Find the rows that SQLite refuses, by leaving them out."""
    refused = ""
    with contextlib.suppress(sqlite3.IntegrityError):  # a STRICT table's types cannot be left out
        connection.execute(f"INSERT OR IGNORE {pair.insert}")
        refused = _left_out(connection, pair)
    return Problem(
        f"the present table {pair.now.printable} does not take its rows of then ({printable.name(reason)}){refused}.",
        "rebuild them elsewhere, and bring over what you need:  python3 restore.py --to FOLDER",
        UNTOUCHED,
    )


def _left_out(connection: sqlite3.Connection, pair: _Pair) -> str:
    count = "SELECT (SELECT count(*) FROM rebuilt.{}) - (SELECT count(*) FROM main.{})"
    (number,) = connection.execute(count.format(quoted(pair.then.name), quoted(pair.now.name))).fetchone()
    key = [(ours, theirs) for ours, theirs in zip(pair.written, pair.read, strict=True) if theirs in pair.then.key]
    if not key:
        return f": {number} do not fit"
    ours, theirs = zip(*key, strict=True)
    there = f"SELECT {_list(ours)} FROM main.{quoted(pair.now.name)}"
    query = f"SELECT {_list(theirs)} FROM rebuilt.{quoted(pair.then.name)} EXCEPT {there} LIMIT {SHOWN}"
    rows = connection.execute(query).fetchall()
    shown = "; ".join(", ".join(f"{name} {value!r}" for name, value in zip(theirs, row, strict=True)) for row in rows)
    return f": {number} do not fit, {printable.name(shown)}{' …' if number > len(rows) else ''}"


def _refuse_altered(connection: sqlite3.Connection, pair: _Pair) -> None:
    """Compare all shared cells of all rows with the rebuilt ones."""
    now = _counted(f"main.{quoted(pair.now.name)}", pair.written)
    then = _counted(f"rebuilt.{quoted(pair.then.name)}", pair.read)
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
    cells = [CELL.format(c=quoted(column)) for column in columns]
    return f"SELECT {', '.join(cells)}, count(*) FROM {table} GROUP BY {', '.join(map(str, range(1, len(cells) + 1)))}"


def _lonely(child: str, parent: str, count: int) -> str:
    refer = f"row of {child} refers" if count == 1 else f"rows of {child} refer"
    return f"{count} {refer} to rows of {parent} that are not there."


def _orphans(connection: sqlite3.Connection) -> Counter[tuple[str, str]]:
    """Count the rows whose foreign key leads nowhere, by their table and the one that they refer to."""
    try:
        rows = connection.execute("PRAGMA main.foreign_key_check").fetchall()
    except sqlite3.OperationalError:  # a foreign key that SQLite itself cannot follow
        return Counter()
    return Counter((printable.name(child), printable.name(parent)) for child, _, parent, _ in rows)


def _list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(quoted, names))
