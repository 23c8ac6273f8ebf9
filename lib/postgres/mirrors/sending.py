"""Send rows to Postgres: little of many tables in one COPY, much of one table in a COPY of its own.

Every COPY waits for the server twice. So what is little travels together, into one staging table of text columns: a line has the
number of its part before it, and is filled up to the columns of the widest table. What is much goes into a staging table with the
mirror's types, which is less work for Postgres, or straight into a mirror that is empty.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from psycopg2 import sql

from lib.base import progress
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import mirror_of, names, statement
from lib.sqlite.compare.table_change import TableChange
from lib.sqlite.lines import read_lines
from lib.sqlite.lines.frame import BARE, Frame
from lib.sqlite.lines.read_lines import Joined, Lines
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.digest import Digest
from lib.tables.plan import Source, TablePlan

# So many bytes of lines are much, and so many rows; where there are fewer, their lines are read to see.
MUCH_BYTES, MUCH_ROWS = 100_000, 1000
# A table with more columns has a COPY of its own: all others' lines would have to be as wide.
SHARED_COLUMNS = 60
# Of the staging table that small tables share: the label and the line of each misfit are in this part.
MISFITS, MISFIT_COLUMNS = 0, 2


@dataclass
class StagedTable:
    """A change on its way: into staging tables, or, where it is direct, into the mirror itself, which is empty.

    `number` tells its rows from others. `parts` are the lines of the rows and, unless the table is sent whole, of the keys that
    vanished; a table without a mirror has none. Where it `is_shared`, so many `bytes_ahead` of them have been read. `digest` is
    what the table must have in the end.
    """

    change: TableChange
    number: int
    parts: list[Lines]
    is_shared: bool = False
    bytes_ahead: int = 0
    digest: Digest = field(default_factory=Digest)
    is_direct: bool = False

    @property
    def is_whole(self) -> bool:
        return self.change.sends_every_row

    @property
    def staging(self) -> sql.Composable:
        return self._staged(self.change.table, self.number)

    @property
    def gone(self) -> sql.Composable:
        return self._staged(self.change.table.only_key, -self.number)

    def _staged(self, table: TablePlan, part: int) -> sql.Composable:
        """Return what stands behind FROM to get what was staged, as the mirror's types."""
        if not self.is_shared:
            return _own_place(part)
        cells = [
            sql.SQL("{}::{} AS {}").format(cell, sql.SQL(column.mirror_type), sql.Identifier(column.mirror_name))
            for cell, column in zip(_cells(len(table.columns)), table.columns, strict=True)
        ]
        return statement("read_staged", cells=sql.SQL(", ").join(cells), part=sql.Literal(part))

    def note(self, seconds: float) -> None:
        """Note what was sent, and the digest that the table will have without its misfits."""
        result, sent = self.change.result, self.parts[0].digest if self.parts else Digest()
        self.digest = self.change.unchanged + sent
        result.bytes_sent = sum(part.bytes for part in self.parts)
        result.misfits = result.rows - sent.rows if self.is_whole else 0
        result.inserted = sent.rows if self.is_direct else 0
        result.seconds = round(seconds, 3)


def width(tables: list[TablePlan]) -> int:
    """Return how many columns the staging table must have that small tables share."""
    return max([MISFIT_COLUMNS, *(len(table.columns) for table in tables if _may_share(table))])


def begin(columns: int) -> sql.Composed:
    """Return what makes all that merges need but staging tables for much."""
    cells = [sql.SQL("{} text").format(cell) for cell in _cells(columns)]
    return statement("create_run_staging", cells=sql.SQL(", ").join(cells))


def staged(snapshot: Snapshot, change: TableChange, number: int, columns: int, most_ahead: int) -> StagedTable:
    """Prepare a change for its way, and read what is little, up to `most_ahead` bytes; `number` is one that no other has."""
    table, most = change.table, min(most_ahead, MUCH_BYTES)
    if not table.mirror:
        return StagedTable(change, number, [], is_shared=True)
    if _may_share(table) and change.most <= MUCH_ROWS:
        parts = _parts(snapshot, change, _frame(number, table, columns), _frame(-number, table.only_key, columns))
        ahead = sum(part.read_ahead(most) for part in parts)
        if ahead < most:
            return StagedTable(change, number, parts, is_shared=True, bytes_ahead=ahead)
        for part in parts:
            part.let_go()
    return StagedTable(change, number, _parts(snapshot, change, BARE, BARE))


def empty_mirrors(target: Target, source: Source, tables: list[TablePlan]) -> set[str]:
    """Return the labels of those tables whose mirrors are empty."""
    mirrors = {table.label: mirror_of(source, table) for table in tables if table.mirror}
    queries = [statement("is_empty", label=sql.Literal(label), mirror=mirror) for label, mirror in mirrors.items()]
    return {label for (label,) in target.rows(sql.SQL("\nUNION ALL\n").join(queries))}


def send_alone(target: Target, source: Source, staged: StagedTable, before: list[sql.Composed]) -> None:
    """Copy the rows of one table, and the keys that vanished; `before` is what travels before them."""
    table, started, script = staged.change.table, time.monotonic(), [*before, *_locks(source, [staged])]
    total = staged.change.result.rows if staged.is_whole else 0  # changed rows are counted while they are sent
    for part, lines, columns in zip((staged.number, -staged.number), staged.parts, (table, table.only_key), strict=False):
        place = mirror_of(source, table) if staged.is_direct else _own_place(part)
        if not staged.is_direct:
            script.append(_new_staging(place, mirror_of(source, table), columns))
        with progress.of_lines(table.printable, total, lines) as file:
            target.copy_in(_script(*script, _copy_in(place, names(columns.mirror_columns))), file)
        script = []
    staged.note(time.monotonic() - started)


def send_shared(
    target: Target, source: Source, snapshot: Snapshot, staged: list[StagedTable], columns: int, before: list[sql.Composed]
) -> None:
    """Copy at once what is little, and the misfits of all that was staged; `before` is what travels before them."""
    shared = [one for one in staged if one.is_shared]
    whole = [one for one in staged if one.is_whole]
    place, cells = sql.Identifier("pg_temp", "staged"), sql.SQL(", ").join([sql.Identifier("part"), *_cells(columns)])
    script = _script(*before, *_locks(source, shared), _copy_in(place, cells))
    target.copy_in(script, Joined(_shared_lines(snapshot, shared, whole, columns)))


def _shared_lines(snapshot: Snapshot, shared: list[StagedTable], whole: list[StagedTable], columns: int) -> Iterator[Lines]:
    """Yield what is read next; how many misfits a table has is known when its other rows were read."""
    for one in shared:
        started = time.monotonic()
        yield from one.parts
        one.note(time.monotonic() - started)
    for one in whole:
        table, result = one.change.table, one.change.result
        if result.misfits:
            label = '"' + table.label.replace('"', '""') + '"'
            frame = Frame(f"{MISFITS},{label},".encode(), b"," * (columns - MISFIT_COLUMNS) + b"\n")
            misfits = read_lines.of_misfits(snapshot.connection, table, frame)
            yield misfits
            one.digest += misfits.digest
            result.bytes_sent += misfits.bytes


def _may_share(table: TablePlan) -> bool:
    return bool(table.mirror) and len(table.columns) <= SHARED_COLUMNS


def _parts(snapshot: Snapshot, change: TableChange, rows: Frame, keys: Frame) -> list[Lines]:
    lines = [read_lines.of_mirror(snapshot.connection, change.table, change.rows, rows)]
    if not change.sends_every_row:
        lines.append(read_lines.of_mirror(snapshot.connection, change.table.only_key, change.vanished, keys))
    return lines


def _frame(part: int, table: TablePlan, columns: int) -> Frame:
    return Frame(f"{part},".encode(), b"," * (columns - len(table.columns)) + b"\n")


def _cells(columns: int) -> list[sql.Identifier]:
    return [sql.Identifier(f"c{place}") for place in range(columns)]


def _own_place(part: int) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"staging_{part}" if part > 0 else f"gone_{-part}")


def _locks(source: Source, staged: list[StagedTable]) -> list[sql.Composed]:
    tables = [one.change.table for one in staged if one.parts and not source.is_rehearsal]
    return [statement("lock_mirror", mirror=mirror_of(source, table)) for table in tables]


def _new_staging(staging: sql.Identifier, mirror: sql.Identifier, table: TablePlan) -> sql.Composed:
    return statement("create_staging", staging=staging, mirror=mirror, columns=names(table.mirror_columns))


def _copy_in(place: sql.Identifier, columns: sql.Composed) -> sql.Composed:
    return statement("copy_in", place=place, columns=columns)


def _script(*steps: sql.Composed) -> sql.Composed:
    return sql.SQL("\n").join(steps)
