"""Put one table's rows from a rebuilt file into a copy of the present database, and leave everything else as it is.

The two tables may differ: a column that is gone cannot come back, a new one gets its default, and rows that the present table
does not take are named, not forced.
"""

import contextlib
import functools
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lib.base import printable
from lib.base.errors import UNTOUCHED, Problem
from lib.sqlite.building import triggers, untyped_table
from lib.sqlite.compare import count_differences
from lib.sqlite.files import read_schema as schemas
from lib.sqlite.files import stand_ins
from lib.sqlite.files.functions import as_text, register
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_as_it_is
from lib.tables.plan import folded
from lib.tables.schema import Table

SHOWN = 5
Row = dict[str, int | float | str | bytes | None]
Change = tuple[Row | None, Row]
# A table, a row's rowid where it has one, the table that it refers to, and which of its foreign keys it is.
_Orphan = tuple[str, int | None, str, int]
# Text and blobs, 1 and 1.0, and 0.0 and -0.0 are different; no collation is asked.
CELL = """CASE typeof({c}) WHEN 'real' THEN 'real ' || real_bits({c}) WHEN 'blob' THEN 'blob ' || hex({c})
    WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END"""


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


@dataclass(frozen=True)
class _Pair:
    """The present table and the rebuilt one, with the columns that they share: those to write, those to read."""

    now: Table
    then: Table
    written: list[str]
    read: list[str]
    is_declared_alike: bool

    @property
    def key(self) -> list[tuple[str, str]]:
        """Return the key that the rows had then, as both tables call it."""
        return [(ours, theirs) for ours, theirs in zip(self.written, self.read, strict=True) if theirs in self.then.key]

    @property
    def is_same(self) -> str:
        """Return the condition that `ours`, a present row, and `theirs`, a rebuilt one, have the same key."""
        return " AND ".join(f"ours.{quoted(ours)} = theirs.{quoted(theirs)}" for ours, theirs in self.key)

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


def put_back(copy: Path, rebuilt: Path, table: str, missing: list[str], *, is_some: bool = False) -> ReplacedTable:
    """Replace the rows of `table` in `copy` by those in `rebuilt`; no trigger runs, and the counters only grow.

    Where it is only some, rows with other keys stay. What only the bot knows is noted in `missing`. Raise Problem where the
    present table does not take the rows as they were.
    """
    with triggers.taken_out(copy), contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        register(connection)
        pair = _pair(connection, rebuilt, table)
        _attach(connection, rebuilt)
        connection.execute(f"PRAGMA ignore_check_constraints = {int(pair.is_declared_alike)}")
        orphans = _orphans(connection)
        changes: list[Change] = []
        if is_some:
            pair, changes = _of_some(connection, pair)
        replaced = functools.partial(_some_replaced if is_some else _replaced, connection, pair)
        rows = stand_ins.tried(connection, replaced, missing)
        _refuse_altered(connection, pair, is_some)
        lonely = _lonely(connection, orphans, _orphans(connection))
    return ReplacedTable(pair.now.printable, rows, pair.warnings + lonely, [ours for ours, _ in pair.key], changes)


def _attach(connection: sqlite3.Connection, rebuilt: Path) -> None:
    try:
        connection.execute("ATTACH ? AS rebuilt", [str(rebuilt)])
    except sqlite3.OperationalError as error:  # as where the one is UTF-8, and the other UTF-16
        what = f"no single table can be put back into the present database: {error}."
        raise Problem(
            what, "restore the whole database instead, or elsewhere:  python3 restore.py --to FOLDER", UNTOUCHED
        ) from error


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


def _of_some(connection: sqlite3.Connection, pair: _Pair) -> tuple[_Pair, list[Change]]:
    """Return the pair without a hidden rowid, and the rows that differ; raise Problem where nobody can tell which row is which.

    A table that is declared otherwise may compare, convert or name its rows otherwise.
    """
    hidden = {column.name for column in pair.then.columns if column.is_rowid}
    shared = [(ours, theirs) for ours, theirs in zip(pair.written, pair.read, strict=True) if theirs not in hidden]
    written, read = map(list, zip(*shared, strict=True))
    pair = replace(pair, written=written, read=read)
    reason = "is declared otherwise than then" if not pair.is_declared_alike else "has no key" if not pair.key else ""
    if not reason and _has_null(connection, pair):
        reason = "has NULL in a key, which may be there several times"
    if reason:
        what = f"some rows cannot be put back by themselves: the present table {pair.now.printable} {reason}."
        raise Problem(what, "put back the whole table, without --where, or look in another folder, with --to", UNTOUCHED)
    return pair, _changes(connection, pair)


def _has_null(connection: sqlite3.Connection, pair: _Pair) -> bool:
    is_null = " OR ".join(f"{quoted(theirs)} IS NULL" for _, theirs in pair.key)
    return bool(connection.execute(f"SELECT 1 FROM rebuilt.{quoted(pair.then.name)} WHERE {is_null} LIMIT 1").fetchone())


def _changes(connection: sqlite3.Connection, pair: _Pair) -> list[Change]:
    """Return the rows to put back that are not there, or are otherwise: as they are now, if they are, and as they were."""
    now = ", ".join(f"ours.{quoted(name)}" for name in pair.written)
    then = ", ".join(f"theirs.{quoted(name)}" for name in pair.read)
    ours = f"main.{quoted(pair.now.name)} AS ours"
    query = f"""SELECT EXISTS (SELECT 1 FROM {ours} WHERE {pair.is_same}), {now}, {then}
        FROM rebuilt.{quoted(pair.then.name)} AS theirs LEFT JOIN {ours} ON {pair.is_same}"""
    connection.text_factory = as_text
    found = connection.execute(query).fetchall()
    connection.text_factory = str
    width = len(pair.written) + 1
    pairs = ((dict(zip(pair.written, cells, strict=True)) for cells in (row[1:width], row[width:])) for row in found)
    rows = [(now if row[0] else None, then) for row, (now, then) in zip(found, pairs, strict=True)]
    return [(now, then) for now, then in rows if repr(now) != repr(then)]


def _some_replaced(connection: sqlite3.Connection, pair: _Pair) -> int:
    """Change the rows that are there, which keep their rowid, and add the others; raise Problem where the table refuses one."""
    computed = untyped_table.computed(connection, pair.now.name)
    shared = [(ours, theirs) for ours, theirs in zip(pair.written, pair.read, strict=True) if ours not in computed]
    theirs = f"rebuilt.{quoted(pair.then.name)} AS theirs"
    written, read = _list([name for name, _ in shared]), ", ".join(f"theirs.{quoted(name)}" for _, name in shared)
    ours = f"main.{quoted(pair.now.name)} AS ours"
    otherwise = f"({_cells(pair.written, 'ours')}) IS NOT ({_cells(pair.read, 'theirs')})"
    differs = f"EXISTS (SELECT 1 FROM {theirs} WHERE {pair.is_same} AND {otherwise})"
    connection.execute("BEGIN")
    try:
        connection.execute(
            f"UPDATE OR ABORT {ours} SET ({written}) = (SELECT {read} FROM {theirs} WHERE {pair.is_same}) WHERE {differs}"
        )
        missing = f"NOT EXISTS (SELECT 1 FROM {ours} WHERE {pair.is_same})"
        connection.execute(
            f"INSERT OR ABORT INTO main.{quoted(pair.now.name)} ({written}) SELECT {read} FROM {theirs} WHERE {missing}"
        )
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        raise _refusal(pair, str(error), "") from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    (rows,) = connection.execute(f"SELECT count(*) FROM {theirs}").fetchone()
    return int(rows)


def _cells(names: Sequence[str], table: str) -> str:
    return ", ".join(CELL.format(c=f"{table}.{quoted(name)}") for name in names)


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
        raise _refusal(pair, str(error), _not_taken(connection, pair)) from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return rows


def _refusal(pair: _Pair, reason: str, refused: str) -> Problem:
    return Problem(
        f"the present table {pair.now.printable} does not take its rows of then ({printable.name(reason)}){refused}.",
        "rebuild them elsewhere, and bring over what you need:  python3 restore.py --to FOLDER",
        UNTOUCHED,
    )


def _not_taken(connection: sqlite3.Connection, pair: _Pair) -> str:
    """Find the rows that SQLite refuses, by leaving them out."""
    with contextlib.suppress(sqlite3.IntegrityError):  # a STRICT table's types cannot be left out
        connection.execute(f"INSERT OR IGNORE {pair.insert}")
        return _left_out(connection, pair)
    return ""


def _left_out(connection: sqlite3.Connection, pair: _Pair) -> str:
    count = "SELECT (SELECT count(*) FROM rebuilt.{}) - (SELECT count(*) FROM main.{})"
    (number,) = connection.execute(count.format(quoted(pair.then.name), quoted(pair.now.name))).fetchone()
    if not pair.key:
        return f": {number} do not fit"
    ours, theirs = zip(*pair.key, strict=True)
    there = f"SELECT {_list(ours)} FROM main.{quoted(pair.now.name)}"
    query = f"SELECT {_list(theirs)} FROM rebuilt.{quoted(pair.then.name)} EXCEPT {there} LIMIT {SHOWN}"
    rows = connection.execute(query).fetchall()
    shown = "; ".join(", ".join(f"{name} {value!r}" for name, value in zip(theirs, row, strict=True)) for row in rows)
    return f": {number} do not fit, {printable.name(shown)}{' …' if number > len(rows) else ''}"


def _refuse_altered(connection: sqlite3.Connection, pair: _Pair, is_some: bool) -> None:
    """Compare all shared cells of all rows that were put back with the rebuilt ones."""
    where = f" WHERE EXISTS (SELECT 1 FROM rebuilt.{quoted(pair.then.name)} AS theirs WHERE {pair.is_same})" if is_some else ""
    now = _counted(f"main.{quoted(pair.now.name)} AS ours{where}", pair.written)
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


def _lonely(connection: sqlite3.Connection, before: Sequence[_Orphan], now: Sequence[_Orphan]) -> list[str]:
    """Say which rows refer to some that are not there, and did not before, and to which ones."""
    told, known = list[str](), {*before}
    for (child, parent), count in (_counted_pairs(now) - _counted_pairs(before)).items():
        refer = f"row of {printable.name(child)} refers" if count == 1 else f"rows of {printable.name(child)} refer"
        new = [orphan for orphan in now if (orphan[0], orphan[2]) == (child, parent) and orphan not in known][:SHOWN]
        named = printable.name("; ".join(dict.fromkeys(filter(None, (_missing(connection, orphan) for orphan in new)))))
        told.append(f"{count} {refer} to rows of {printable.name(parent)} that are not there{named and f': {named}'}.")
    return told


def _counted_pairs(orphans: Sequence[_Orphan]) -> Counter[tuple[str, str]]:
    return Counter((child, parent) for child, _, parent, _ in orphans)


def _missing(connection: sqlite3.Connection, orphan: _Orphan) -> str:
    """Return what a row refers to, as columns and values; nothing where no rowid tells which row it is."""
    child, rowid, _, number = orphan
    keys = connection.execute(f"PRAGMA main.foreign_key_list({quoted(child)})").fetchall()
    pairs = [(ours, theirs or ours) for key, _, _, ours, theirs, *_ in sorted(keys) if key == number]
    if rowid is None or not pairs:
        return ""
    connection.text_factory = as_text
    query = f"SELECT {_list([ours for ours, _ in pairs])} FROM main.{quoted(child)} WHERE rowid = ?"
    (values,) = connection.execute(query, [rowid]).fetchall()
    connection.text_factory = str
    return ", ".join(f"{theirs} = {value}" for (_, theirs), value in zip(pairs, values, strict=True))


def _orphans(connection: sqlite3.Connection) -> list[_Orphan]:
    """Return the rows whose foreign key leads nowhere."""
    try:
        return connection.execute("PRAGMA main.foreign_key_check").fetchall()
    except sqlite3.OperationalError:  # a foreign key that SQLite itself cannot follow
        return []


def _list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(quoted, names))
