"""Write rows as CSV lines, by an SQL expression that SQLite evaluates; Python only joins them.

There are three kinds of line. A mirror's line is what COPY loads: text in quotes, NULL bare. Its digest line is what both
sides hash: the same, but doubles as their eight bytes, because the two sides print them differently. A misfit's line
holds a whole row, every cell tagged with its storage class: n NULL, i integer, r real (its eight bytes), t text, b blob
in hex, x text in hex that Postgres could not hold.
"""

import sqlite3
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from lib.digest import Digest
from lib.errors import Problem
from lib.plan import MOST_COLUMNS, PlannedColumn, TablePlan
from lib.sqlite import pieces
from lib.sqlite.exact import as_bytes
from lib.sqlite.names import quoted

ROWS_AT_ONCE = 500
# A btree of Postgres holds keys of up to 2,704 bytes.
KEY_BYTES = 2500
# Characters or bytes of a row's values, above which it is sent in pieces.
LARGE = 1 << 15
# A line of COPY and a field may have 1 GB, and a blob is written in hex.
LARGEST = 500_000_000

# What printf prints of a cell, and how: by %s NULL is nothing. An expression joined by || would be copied at every step.
CELL = {
    "bigint": ("%s", "{c}"),
    "boolean": ("%s", "{c}"),
    "text": ("%s", """CASE WHEN {c} NOT NULL THEN printf('"%w"', {c}) END"""),
    "bytea": ("%s", r"""CASE WHEN {c} NOT NULL THEN printf('"\x%s"', hex({c})) END"""),
    "double precision": ("%s", "real_text({c})"),
}
NEVER_NULL = {"bigint": ("%d", "{c}"), "boolean": ("%d", "{c}"), "text": ('"%w"', "{c}"), "bytea": (r'"\x%s"', "hex({c})")}
HASHED = {"double precision": ("%s", "real_bits({c})")}
MOST_ARGUMENTS = 100
PLAIN = """
    (typeof({c}) = 'text' AND ({c} NOT GLOB '*[^' || char(1) || '-' || char(127) || ']*'
        AND length({c}) = length(CAST({c} AS BLOB)) OR is_plain_text(CAST({c} AS BLOB))))"""
FITS = {
    "bigint": "typeof({c}) = 'integer'",
    "boolean": "typeof({c}) = 'integer' AND {c} IN (0, 1)",
    "text": PLAIN,
    "bytea": "typeof({c}) = 'blob'",
    "double precision": "typeof({c}) = 'real' AND ({c} <> 0 OR NOT is_negative_zero({c}))",
}
HAS_CLASS = {
    "bigint": "typeof({c}) = 'integer'",
    "boolean": "typeof({c}) = 'integer'",
    "text": "typeof({c}) = 'text' AND instr({c}, char(0)) = 0",
    "bytea": "typeof({c}) = 'blob'",
    "double precision": "typeof({c}) = 'real'",
}
MISFIT_CELL = f"""
    CASE typeof({{c}})
        WHEN 'null' THEN 'n'
        WHEN 'integer' THEN 'i' || {{c}}
        WHEN 'real' THEN 'r' || real_bits({{c}})
        WHEN 'blob' THEN 'b' || hex({{c}})
        ELSE CASE WHEN {PLAIN} THEN '"t' || replace({{c}}, '"', '""') || '"' ELSE 'x' || hex(CAST({{c}} AS BLOB)) END
    END"""


class Lines:
    """The lines of some rows, as a file that COPY reads; `digest` grows as they are read. Large rows come last, in pieces.

    Source: psycopg2's copy_expert calls `read` until it returns nothing; it takes more bytes than it asked for.
    """

    def __init__(self, connection: sqlite3.Connection, query: str, large: Callable[[Digest], Iterator[bytes]]):
        self.digest, self.bytes = Digest(), 0
        with as_bytes(connection):
            rows = connection.execute(query)
        self._chunks = self._small_then(large, connection, rows)

    def read(self, _size: int) -> bytes:
        chunk = next(self._chunks, b"")
        self.bytes += len(chunk)
        return chunk

    def _small_then(self, large: Callable, connection: sqlite3.Connection, rows: sqlite3.Cursor) -> Iterator[bytes]:
        """Yield some lines at a time; the query gives NULL for a large row's line."""
        has_large = False
        while found := _some(connection, rows):
            lines = [row[0] for row in found]
            if None in lines:
                has_large = True
                found = [row for row in found if row[0] is not None]
                lines = [row[0] for row in found]
            self.digest.add([row[-1] for row in found])
            if lines:
                yield b"\n".join([*lines, b""])
        if has_large:
            yield from large(self.digest)


def _some(connection: sqlite3.Connection, rows: sqlite3.Cursor) -> list[tuple]:
    with as_bytes(connection):
        return rows.fetchmany(ROWS_AT_ONCE)


@dataclass(frozen=True)
class Rows:
    """Which rows of a table are read, and from which of the attached files."""

    file: str = "main"
    where: str = "true"

    def of(self, table: TablePlan, condition: str = "true") -> str:
        """Return what stands behind FROM."""
        return f"{self.file}.{quoted(table.name)} WHERE {self.where} AND {condition}"


EVERY_ROW = Rows()


def digest(connection: sqlite3.Connection, table: TablePlan) -> Digest:
    """Return the digest of all of a table's rows, misfits included."""
    parts = [of_misfits(connection, table)] + ([of_mirror(connection, table)] if table.mirror else [])
    return sum(map(read_through, parts), Digest())


def digest_without_misfits(connection: sqlite3.Connection, table: TablePlan) -> Digest:
    """Return the digest of a table that should have no misfits: whatever else a row may be, its line tells."""
    return read_through(_mirror_lines(connection, table, EVERY_ROW.of(table, _all_columns(table, HAS_CLASS))))


def read_through(part: Lines) -> Digest:
    """Return the digest of lines that nobody wants to have."""
    while part.read(0):
        pass
    return part.digest


def of_mirror(connection: sqlite3.Connection, table: TablePlan, rows: Rows = EVERY_ROW) -> Lines:
    """Return the lines of the rows that the mirror can hold."""
    return _mirror_lines(connection, table, rows.of(table, _fits(table)))


def _mirror_lines(connection: sqlite3.Connection, table: TablePlan, source: str) -> Lines:
    line, digest_line = _line(table, CELL), _line(table, CELL | HASHED)
    wide = [column for column in table.columns if column.mirror_type in ("text", "bytea")]
    is_small = _is_small("length({c})", wide)
    wanted = ", ".join(f"CASE WHEN {is_small} THEN {text} END" for text in dict.fromkeys((line, digest_line)))

    def large(digest: Digest) -> Iterator[bytes]:
        _refuse_too_large(connection, table)
        return pieces.of_mirror(connection, table, f"{source} AND NOT {is_small}", digest)

    return Lines(connection, f"SELECT {wanted} FROM {source}", large)


class Misfits:
    """The misfits of several tables as one file that COPY reads: the table's label and the line."""

    def __init__(self, connection: sqlite3.Connection, tables: list[TablePlan]):
        self.parts = {table.label: of_misfits(connection, table) for table in tables}
        self._left = list(self.parts.values())

    def read(self, size: int) -> bytes:
        while self._left:
            if chunk := self._left[0].read(size):
                return chunk
            self._left.pop(0)
        return b""


def of_misfits(connection: sqlite3.Connection, table: TablePlan) -> Lines:
    """Return the lines of the rows that are kept whole, each as one CSV field behind the table's label."""
    source = EVERY_ROW.of(table, f"NOT ({_fits(table)})" if table.mirror else "true")
    line = _printed([("%s", MISFIT_CELL.format(c=quoted(column.name))) for column in table.columns])
    # length() ends at a NUL
    is_small, label = _is_small("length(CAST({c} AS BLOB))", table.columns), csv_field(table.label)

    def large(digest: Digest) -> Iterator[bytes]:
        _refuse_too_large(connection, table)
        return pieces.of_misfits(connection, table, f"{source} AND NOT {is_small}", label, digest)

    query = f"""SELECT {_literal(label)} || ',"' || replace(line, '"', '""') || '"', line
        FROM (SELECT CASE WHEN {is_small} THEN {line} END AS line FROM {source})"""
    return Lines(connection, query, large)


def rows(connection: sqlite3.Connection, table: TablePlan) -> int:
    return connection.execute(f"SELECT count(*) FROM main.{quoted(table.name)}").fetchone()[0]


def misfits(connection: sqlite3.Connection, table: TablePlan, rows: Rows) -> int:
    """Return how many of these rows the mirror cannot hold."""
    return connection.execute(f"SELECT count(*) FROM {rows.of(table, f'NOT ({_fits(table)})')}").fetchone()[0]


def _is_small(length: str, columns: Collection[PlannedColumn]) -> str:
    """Return the condition that a row's line may be built in one piece; very wide tables are not asked."""
    if not columns or len(columns) > MOST_COLUMNS:
        return "true"
    lengths = (f"ifnull({length.format(c=quoted(column.name))}, 0)" for column in columns)
    return f"({' + '.join(lengths)} <= {LARGE})"


def _refuse_too_large(connection: sqlite3.Connection, table: TablePlan) -> None:
    for column in table.columns[:MOST_COLUMNS]:
        length = f"length(CAST({quoted(column.name)} AS BLOB))"
        (size,) = connection.execute(f"SELECT max({length}) FROM main.{quoted(table.name)}").fetchone()
        if (size or 0) > LARGEST:
            raise Problem(_too_large(connection, table, column.name, size), "store it in a file, and its path in the database")


def _too_large(connection: sqlite3.Connection, table: TablePlan, column: str, size: int) -> str:
    keys = [key for key in table.key if key.name != column] or [key for key in table.columns if key.is_rowid]
    shown = ", ".join(f"quote({quoted(key.name)})" for key in keys) or "'?'"
    where = f"length(CAST({quoted(column)} AS BLOB)) = {size}"
    found = connection.execute(f"SELECT {shown} FROM main.{quoted(table.name)} WHERE {where}").fetchone()
    row = ", ".join(f"{key.name} = {value}" for key, value in zip(keys, found, strict=False))
    return f"{table.printable}.{column} holds {size:,} bytes in the row {row}; Postgres takes {LARGEST:,} at most."


def cells(line: str) -> Iterator[object]:
    """Read a misfit's line back: None, int, float, str, bytes, or BadText."""
    for cell in _fields(line):
        yield READ_CELL[cell[0]](cell[1:])


def _fields(line: str) -> Iterator[str]:
    """Split a CSV line; the csv module would take sixteen times the size of a large value for it."""
    at = 0
    while at <= len(line):
        if line.startswith('"', at):
            end = line.index('"', at + 1)
            while line.startswith('"', end + 1):
                end = line.index('"', end + 2)
            yield line[at + 1 : end].replace('""', '"')
            at = end + 2
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            yield line[at:end]
            at = end + 1


class BadText(bytes):
    """Text whose bytes are not valid in the database's encoding, or hold a NUL; stored with a CAST."""


READ_CELL = {
    "n": lambda _: None,
    "i": int,
    "r": lambda bits: struct.unpack(">d", bytes.fromhex(bits))[0],
    "t": str,
    "b": bytes.fromhex,
    "x": lambda raw: BadText(bytes.fromhex(raw)),
}


def csv_field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _fits(table: TablePlan) -> str:
    """Return the condition under which the mirror's columns hold a row exactly."""
    conditions = [_all_columns(table, FITS)]
    wide = [column for column in table.columns if column.is_indexed and column.mirror_type in ("text", "bytea")]
    if wide:
        lengths = [f"length(CAST({quoted(column.name)} AS BLOB))" for column in wide]
        conditions.append(f"{' + '.join(f'ifnull({length}, 0)' for length in lengths)} <= {KEY_BYTES}")
    return " AND ".join(conditions)


def _all_columns(table: TablePlan, forms: dict[str, str]) -> str:
    return " AND ".join(_or_null(column, forms[column.mirror_type].format(c=quoted(column.name))) for column in table.columns)


def _or_null(column: PlannedColumn, condition: str) -> str:
    return f"({condition})" if column.not_null else f"({quoted(column.name)} IS NULL OR {condition})"


def _line(table: TablePlan, forms: dict[str, tuple[str, str]]) -> str:
    cells = []
    for column in table.columns:
        shown, value = (forms | NEVER_NULL if column.not_null else forms)[column.mirror_type]
        cells.append((shown, value.format(c=quoted(column.name))))
    return _printed(cells)


def _printed(cells: list[tuple[str, str]]) -> str:
    """Return the expression that prints the cells, commas between them, as many at a time as a function takes."""
    parts = []
    for start in range(0, len(cells), MOST_ARGUMENTS):
        shown, values = zip(*cells[start : start + MOST_ARGUMENTS], strict=True)
        parts.append(f"printf('{','.join(shown)}', {', '.join(values)})")
    return " || ',' || ".join(parts)
