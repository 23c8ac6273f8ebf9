"""Find what a run must send: every row, or those in which the snapshot differs from the previous one.

The two files are attached side by side. Rows are matched by rowid, or by key where a table has none; a row that differs in
anything, be it the class of a value, is sent again, and the digest of the rest is carried forward from the last run. Where the
files' pages tell which rows cannot have changed, those are not looked at.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from lib.sqlite.compare import changed_row, pages
from lib.sqlite.compare.pages import Spans
from lib.sqlite.compare.table_change import NO_ROW, TableChange
from lib.sqlite.files import read_schema
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import uri
from lib.sqlite.lines import expressions, read_lines
from lib.sqlite.lines.read_lines import Selection
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.digest import Digest
from lib.tables.plan import PlannedColumn, TablePlan, folded
from lib.tables.results import LastRun, TableResult
from lib.tables.schema import Schema

# The declared type of a column, folded, by table and column.
DeclaredTypes = dict[tuple[str, str], str]


def every_row(snapshot: Snapshot, tables: list[TablePlan]) -> list[TableChange]:
    """Return what to send so that the mirrors hold this snapshot, whatever they hold now."""
    return [_whole(snapshot, table) for table in tables]


def since(last: LastRun, snapshot: Snapshot, tables: list[TablePlan]) -> Iterator[TableChange]:
    """Yield what to send so that mirrors that hold what the last run left hold this snapshot; of other tables every row."""
    new = [table for table in tables if table.label not in last.left]
    known = [table for table in tables if table.label in last.left]
    if last.snapshot_hash == snapshot.copy.hash:
        yield from (TableChange(table, last.left[table.label], NO_ROW) for table in known)
        yield from every_row(snapshot, new)
        return
    yield from every_row(snapshot, new)
    if not known:  # SQLite cannot even attach a file of another encoding
        snapshot.is_doubtful = True
        return
    attach(snapshot.connection, snapshot.copy.previous.place)
    declared = declared_types(snapshot.schema)
    spans = pages.changed(snapshot.connection, snapshot.copy.previous.place, snapshot.copy.path)
    is_counted = snapshot.copy.journal_mode == "wal" or pages.is_counted(snapshot.copy.previous.place, snapshot.copy.path)
    snapshot.is_doubtful, spans = spans is None or not is_counted, spans or {}
    # The largest first: Postgres is busy with it while SQLite looks through the others.
    for number, table in enumerate(sorted(known, key=lambda table: -last.left[table.label].rows)):
        yield _change(snapshot, table, number, last.left[table.label], declared, spans.get(table.name))


def attach(connection: sqlite3.Connection, path: Path, name: str = "previous") -> None:
    """Let a connection read another file, too, under this name."""
    connection.execute(f"ATTACH ? AS {name}", [uri(path)])


def declared_types(schema: Schema) -> DeclaredTypes:
    """Return what the bot has declared, which decides how SQLite stores a number."""
    return {(table.name, column.name): folded(column.declared_type) for table in schema.tables for column in table.columns}


def has_same_rows(connection: sqlite3.Connection, table: TablePlan, misfits: int, declared: DeclaredTypes) -> bool:
    """Whether the table has exactly the rows of the attached snapshot; never sure of one whose rows cannot be matched."""
    address, name = _address(table), quoted(table.name)
    if not address:
        return False
    counted = f"(SELECT count(*) FROM main.{name}) = (SELECT count(*) FROM previous.{name})"
    changed = f"SELECT 1 {_replaced_rows(table, address, _differs(table, misfits, declared))}"
    try:
        return bool(connection.execute(f"SELECT {counted} AND NOT EXISTS ({changed})").fetchone()[0])
    except sqlite3.OperationalError:  # the key's collation is known to the bot alone
        return False


def _whole(snapshot: Snapshot, table: TablePlan) -> TableChange:
    return TableChange(table, TableResult(table.label, table.printable, snapshot.rows(table), 0))


def _change(
    snapshot: Snapshot, table: TablePlan, number: int, left: TableResult, declared: DeclaredTypes, spans: Spans | None
) -> TableChange:
    if spans == [] and snapshot.rows(table) == left.rows:
        return TableChange(table, left, NO_ROW)
    try:
        return _changed(snapshot, table, number, left, declared, spans) or _whole(snapshot, table)
    except sqlite3.OperationalError:  # the key's collation is known to the bot alone
        return _whole(snapshot, table)


def _changed(
    snapshot: Snapshot, table: TablePlan, number: int, left: TableResult, declared: DeclaredTypes, spans: Spans | None
) -> TableChange | None:
    """Return what is sent of the table, or None where its rows cannot be matched, or are not all in its mirror."""
    address, notes = _address(table), f"temp.changes_{number}"
    if not address:
        return None
    connection, rows, differs = snapshot.connection, snapshot.rows(table), _differs(table, left.misfits, declared)
    among = _among(connection, table, address, f"temp.spans_{number}", spans)
    if not _find(connection, table, address, notes, differs, rows - left.rows, among):
        return TableChange(table, left, NO_ROW)
    if not table.mirror or left.misfits or _has_misfits(connection, notes):
        return None
    is_new = f"({_names(address)}) IN (SELECT {_numbered('new', address)} FROM {notes} WHERE fits)"
    was = f"({_names(address)}) IN (SELECT {_numbered('old', address)} FROM {notes} WHERE old_0 NOT NULL"
    vanished = Selection("previous", f"{was} AND NOT has_same_key)")
    old = read_lines.of_mirror(connection, table, Selection("previous", f"{was})"))
    unchanged = Digest(left.rows, left.digest) - read_lines.read_through(old)
    result = TableResult(table.label, table.printable, rows, 0)
    return TableChange(table, result, Selection("main", is_new), vanished, unchanged, left.rows)


def _address(table: TablePlan) -> list[str]:
    """Return the columns by which a row is found again: the rowid, or the key of a table that has no other name for it."""
    return [column.name for column in table.columns if column.is_rowid] or [column.name for column in table.key]


def _differs(table: TablePlan, misfits: int, declared: DeclaredTypes) -> str:
    """Return the condition that two rows of one address are not the same."""
    columns = [column for column in table.columns if not column.is_rowid]
    fits = bool(table.mirror) and not misfits
    plain = frozenset(column.name for column in columns if fits and _is_plain(column, declared[table.name, column.name]))
    return changed_row.condition([column.name for column in columns], plain)


def _is_plain(column: PlannedColumn, declared_type: str) -> bool:
    makes_integers = "int" in declared_type or declared_type in ("bool", "boolean")
    return column.mirror_type in ("text", "bytea") or (column.mirror_type in ("bigint", "boolean") and makes_integers)


def _among(connection: sqlite3.Connection, table: TablePlan, address: list[str], name: str, spans: Spans | None) -> str:
    """Return what comes before a table to get the rows of some spans alone, or nothing where all are looked at."""
    if spans is None or not _is_rowid(connection, table, address):
        return ""
    connection.execute(f"CREATE TABLE {name} (first, last)")
    connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", spans)
    return f"{name} AS span CROSS JOIN"


def _is_rowid(connection: sqlite3.Connection, table: TablePlan, address: list[str]) -> bool:
    return any(column.is_rowid for column in table.columns) or read_schema.is_rowid(connection, table.name, address)


def _find(
    connection: sqlite3.Connection, table: TablePlan, address: list[str], notes: str, differs: str, more: int, among: str
) -> bool:
    """Note what was changed, deleted and inserted; return whether there is any. There are so many rows more than before."""
    replaced, deleted = _find_replaced(connection, table, address, notes, differs, among)
    inserted = more + deleted
    found = _find_inserted(connection, table, address, notes, inserted, among) if inserted else 0
    if found != inserted and among:  # then the pages have not told all
        connection.execute(f"DROP TABLE {notes}")
        return _find(connection, table, address, notes, differs, more, "")
    return bool(replaced or inserted)


def _replaced_rows(table: TablePlan, address: list[str], differs: str, among: str = "") -> str:
    """Return what stands behind SELECT to get the rows of the previous snapshot that are gone or not as they were.

    Both tables are walked in the order of their rows: an index would give the rows of one in another order.
    """
    name = quoted(table.name)
    return f"""FROM {among} previous.{name} AS old NOT INDEXED LEFT JOIN main.{name} AS new ON {_same(address, "new", "old")}
        WHERE {_is_among(among, "old", address)} AND (new.{quoted(address[0])} IS NULL OR {differs})"""


def _is_among(among: str, row: str, address: list[str]) -> str:
    return f"{row}.{quoted(address[0])} BETWEEN span.first AND span.last" if among else "1"


def _find_replaced(
    connection: sqlite3.Connection, table: TablePlan, address: list[str], notes: str, differs: str, among: str
) -> tuple[int, int]:
    """Note each row that is gone or not as it was, and what it is now; count them, and those that are gone.

    A temporary table's column may not be called rowid, hence the numbers. `has_same_key` as the mirror has it.
    """
    noted = [f"{file}.{quoted(column)} AS {file}_{place}" for file in ("new", "old") for place, column in enumerate(address)]
    same = " AND ".join(f"new.{quoted(key.name)} IS old.{quoted(key.name)} COLLATE BINARY" for key in table.key) or "1"
    rows = _replaced_rows(table, address, differs, among)
    columns = f"{', '.join(noted)}, {_fits(table)} AS fits, {same} AS has_same_key"
    connection.execute(f"CREATE TABLE {notes} AS SELECT {columns} {rows}")
    ((count, gone),) = connection.execute(f"SELECT count(*), count(*) - count(new_0) FROM {notes}")
    return count, gone


def _find_inserted(
    connection: sqlite3.Connection, table: TablePlan, address: list[str], notes: str, inserted: int, among: str
) -> int:
    """Note the rows that are new, and return how many: as a rule they follow all others; else every row is looked for."""
    name, first = quoted(table.name), quoted(address[0])
    rows = f"FROM main.{name} AS new WHERE new.{first} > (SELECT max({first}) FROM previous.{name})"
    if among or len(address) > 1 or connection.execute(f"SELECT count(*) {rows}").fetchone()[0] != inserted:
        rows = f"""FROM {among} main.{name} AS new NOT INDEXED LEFT JOIN previous.{name} AS old ON {_same(address, "old", "new")}
            WHERE {_is_among(among, "new", address)} AND old.{first} IS NULL"""
    columns = f"{_numbered('new', address)}, fits"
    return connection.execute(f"INSERT INTO {notes} ({columns}) SELECT {_names(address, 'new')}, {_fits(table)} {rows}").rowcount


def _fits(table: TablePlan) -> str:
    return expressions.fits(table, "new.") if table.mirror else "0"


def _has_misfits(connection: sqlite3.Connection, notes: str) -> bool:
    """Whether a row that is there does not fit; one that was inserted may have NULL for its key."""
    is_there = "(new_0 NOT NULL OR old_0 IS NULL)"
    return connection.execute(f"SELECT 1 FROM {notes} WHERE {is_there} AND fits IS NOT 1 LIMIT 1").fetchone() is not None


def _names(columns: list[str], file: str = "") -> str:
    return ", ".join(f"{file}.{quoted(column)}" if file else quoted(column) for column in columns)


def _numbered(file: str, address: list[str]) -> str:
    return ", ".join(f"{file}_{place}" for place in range(len(address)))


def _same(columns: list[str], left: str, right: str) -> str:
    return " AND ".join(f"{left}.{quoted(column)} = {right}.{quoted(column)}" for column in columns)
