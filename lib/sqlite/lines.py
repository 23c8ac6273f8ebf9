"""Write rows as CSV lines, by an SQL expression that SQLite evaluates; Python only joins them.

There are three kinds of line. A mirror's line is what COPY loads: text in quotes, NULL bare. Its digest line is what both
sides hash: the same, but doubles as their eight bytes, because the two sides print them differently. A misfit's line
holds a whole row, every cell tagged with its storage class: n NULL, i integer, r real (its eight bytes), t text, b blob
in hex, x text in hex that Postgres could not hold.
"""

import sqlite3
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lib.digest import Digest
from lib.errors import Problem
from lib.plan import MOST_COLUMNS, PlannedColumn, TablePlan
from lib.sqlite import pieces
from lib.sqlite.exact import as_bytes
from lib.sqlite.names import quoted
from lib.sqlite.pieces import Pieces

CHUNK_BYTES = 1 << 16
MOST_AT_ONCE = 500
# A btree of Postgres holds keys of up to 2,704 bytes.
KEY_BYTES = 2500
# Characters or bytes of one value, above which its row is sent in pieces.
LARGE = 1 << 20
# A line of COPY and a field may have 1 GB, and a blob is written in hex.
LARGEST = 500_000_000

CELL = {
    "bigint": "ifnull({c}, '')",
    "boolean": "ifnull({c}, '')",
    "text": """ifnull('"' || replace({c}, '"', '""') || '"', '')""",
    "bytea": r"""CASE WHEN {c} IS NULL THEN '' ELSE '"\x' || hex({c}) || '"' END""",
    "double precision": "ifnull(real_text({c}), '')",
}
DIGEST_CELL = CELL | {"double precision": "ifnull(real_bits({c}), '')"}
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
MISFIT_CELL = f"""
    CASE typeof({{c}})
        WHEN 'null' THEN 'n'
        WHEN 'integer' THEN 'i' || {{c}}
        WHEN 'real' THEN 'r' || real_bits({{c}})
        WHEN 'blob' THEN 'b' || hex({{c}})
        ELSE CASE WHEN {PLAIN} THEN '"t' || replace({{c}}, '"', '""') || '"' ELSE 'x' || hex(CAST({{c}} AS BLOB)) END
    END"""


class Lines:
    """The lines of one query, as a file that COPY reads; `digest` grows as they are read.

    Source: psycopg2's copy_expert calls `read` until it returns nothing; it takes more bytes than it asked for.
    """

    def __init__(self, connection: sqlite3.Connection, query: str, largest: int):
        self._connection = connection
        self._at_once = min(MOST_AT_ONCE, CHUNK_BYTES // (largest + 1) + 1)
        with as_bytes(connection):
            self._rows = connection.execute(query)
        self.digest = Digest()
        self.bytes = 0

    def read(self, _size: int) -> bytes:
        with as_bytes(self._connection):
            rows = self._rows.fetchmany(self._at_once)
        lines = [row[0] for row in rows]
        self.digest.add([row[-1] for row in rows])
        chunk = b"\n".join([*lines, b""])
        self.bytes += len(chunk)
        return chunk


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


def read_through(part: Lines | Pieces) -> Digest:
    """Return the digest of lines that nobody wants to have."""
    while part.read(CHUNK_BYTES):
        pass
    return part.digest


def of_mirror(connection: sqlite3.Connection, table: TablePlan, rows: Rows = EVERY_ROW) -> Lines | Pieces:
    """Return the lines of the rows that the mirror can hold."""
    source = rows.of(table, _fits(table))
    size = _largest(
        connection, table, [column for column in table.columns if column.mirror_type in ("text", "bytea")], rows.of(table)
    )
    if size > LARGE:
        return pieces.of_mirror(connection, table, source)
    line = _joined([CELL[column.mirror_type].format(c=quoted(column.name)) for column in table.columns])
    digest_line = _joined([DIGEST_CELL[column.mirror_type].format(c=quoted(column.name)) for column in table.columns])
    wanted = line if line == digest_line else f"{line}, {digest_line}"
    return Lines(connection, f"SELECT {wanted} FROM {source}", size)


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


def of_misfits(connection: sqlite3.Connection, table: TablePlan) -> Lines | Pieces:
    """Return the lines of the rows that are kept whole, each as one CSV field behind the table's label."""
    source = EVERY_ROW.of(table, f"NOT ({_fits(table)})" if table.mirror else "true")
    size = _largest(connection, table, table.columns, source)
    if size > LARGE and len(table.columns) <= MOST_COLUMNS:
        return pieces.of_misfits(connection, table, source, csv_field(table.label))
    line = _joined([MISFIT_CELL.format(c=quoted(column.name)) for column in table.columns])
    return Lines(
        connection,
        f"""SELECT {_literal(csv_field(table.label))} || ',"' || replace(line, '"', '""') || '"', line
            FROM (SELECT {line} AS line FROM {source})""",
        size,
    )


def rows(connection: sqlite3.Connection, table: TablePlan) -> int:
    return connection.execute(f"SELECT count(*) FROM main.{quoted(table.name)}").fetchone()[0]


def misfits(connection: sqlite3.Connection, table: TablePlan, rows: Rows) -> int:
    """Return how many of these rows the mirror cannot hold."""
    return connection.execute(f"SELECT count(*) FROM {rows.of(table, f'NOT ({_fits(table)})')}").fetchone()[0]


def _largest(connection: sqlite3.Connection, table: TablePlan, columns: Iterable[PlannedColumn], source: str) -> int:
    """Return the bytes of the largest text or blob; raise Problem where it is too large for Postgres."""
    names = [column.name for column in columns][:MOST_COLUMNS]
    if not names:
        return 0
    lengths = ", ".join(f"ifnull(max(length(CAST({quoted(name)} AS BLOB))), 0)" for name in names)
    sizes = connection.execute(f"SELECT {lengths} FROM {source}").fetchone()
    for name, size in zip(names, sizes, strict=True):
        if size > LARGEST:
            raise Problem(_too_large(connection, table, name, size), "store it in a file, and its path in the database")
    return max(sizes)


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
    conditions = [_column_fits(column) for column in table.columns]
    wide = [column for column in table.columns if column.is_indexed and column.mirror_type in ("text", "bytea")]
    if wide:
        lengths = [f"length(CAST({quoted(column.name)} AS BLOB))" for column in wide]
        conditions.append(f"{' + '.join(f'ifnull({length}, 0)' for length in lengths)} <= {KEY_BYTES}")
    return " AND ".join(conditions)


def _column_fits(column: PlannedColumn) -> str:
    condition = FITS[column.mirror_type].format(c=quoted(column.name))
    return f"({condition})" if column.not_null else f"({quoted(column.name)} IS NULL OR {condition})"


def _joined(expressions: list[str]) -> str:
    """Join by commas as a balanced tree: SQLite's expressions may be 1,000 deep, its tables 2,000 wide."""
    if len(expressions) == 1:
        return f"('' || {expressions[0]})"
    half = len(expressions) // 2
    return f"({_joined(expressions[:half])} || ',' || {_joined(expressions[half:])})"
