"""Postgres' SQL lives in sql/, one statement a file; here it is loaded by name and its {names} are filled in."""

import functools
import itertools
from pathlib import Path

from psycopg2 import sql

from lib.start import REPOSITORY
from lib.tables.plan import Source, TablePlan

SQL = REPOSITORY / "sql"

# How Postgres writes a cell of the digest line; the counterpart of lib/sqlite/lines/expressions.py.
DIGEST_CELL = {
    "bigint": "coalesce({c}::text, '')",
    "boolean": "coalesce({c}::int::text, '')",
    "text": """coalesce('"' || replace({c}, '"', '""') || '"', '')""",
    "bytea": r"""coalesce(E'"\\x' || upper(encode({c}, 'hex')) || '"', '')""",
    "double precision": "coalesce(encode(float8send({c}), 'hex'), '')",
}
# How a cell is read back: a boolean comes back as the integer that it was.
READ_CELL = dict.fromkeys(DIGEST_CELL, "{c}") | {"boolean": "{c}::int"}

# How a cell of another type becomes an integer: 5, but also 5.00.
CONVERTED = {"bigint": "{c}::text::numeric::bigint"}


@functools.cache
def text(name: str) -> str:
    """Return a statement without the comment above it, which is for readers and need not travel.

    One that ends in a semicolon is followed by others, on lines of their own.
    """
    lines = (SQL / "statements" / f"{name}.sql").read_text(encoding="utf-8").splitlines(keepends=True)
    body = "".join(itertools.dropwhile(lambda line: line.startswith("--"), lines))
    return body if body.endswith(";\n") else body.rstrip("\n")


def statement(name: str, **parts: sql.Composable) -> sql.Composed:
    """Return sql/statements/NAME.sql with its {placeholders} filled in; values are bound, not filled in."""
    return sql.SQL(text(name)).format(**parts)


def setup_files() -> list[Path]:
    """Return what setup runs, in its order."""
    return sorted((SQL / "setup").glob("*.sql"))


def from_file(path: Path, **parts: sql.Composable) -> sql.Composed:
    """Return a file's statements with their {placeholders} filled in."""
    return sql.SQL(path.read_text(encoding="utf-8")).format(**parts)


def names(columns: list[str], table: str | None = None) -> sql.Composed:
    """Return `"a", "b"`, or `t."a", t."b"`."""
    prefix = [table] if table else []
    return sql.SQL(", ").join([sql.Identifier(*prefix, column) for column in columns])


def to_the_bit(table: TablePlan, of: str) -> sql.Composed:
    """Return a row's cells as they are compared: to Postgres 0 and -0 are the same double."""
    cells = {
        column.mirror_name: "float8send({})" if column.mirror_type == "double precision" else "{}" for column in table.columns
    }
    return sql.SQL(", ").join([sql.SQL(form).format(sql.Identifier(of, name)) for name, form in cells.items()])


def equal(columns: list[str], left: str, right: str) -> sql.Composed:
    """Return `l."a" = r."a" AND l."b" = r."b"`."""
    pairs = [sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name)) for name in columns]
    return sql.SQL(" AND ").join(pairs)


def over_whole_tables(*steps: sql.Composed) -> list[sql.Composed]:
    """Return statements that join whole tables with what keeps Postgres from comparing all pairs of their rows."""
    return [statement("avoid_nested_loops"), *steps, statement("allow_nested_loops")]


def how_it_is(schema: sql.Composable, of_source: sql.Composable, error: sql.Composable) -> sql.Composed:
    """Return the expression that tells how a source is doing; `error` is what is told of why a run has failed."""
    parts = {"schema": schema, "of_source": of_source}
    return statement("health", pace=statement("pace", **parts), proof=statement("proof", **parts), error=error, **parts)


def mirror_of(source: Source, table: TablePlan) -> sql.Identifier:
    """Return the qualified name of a table's mirror, which it must have."""
    return sql.Identifier(source.mirror_schema, table.mirror)


def postgres_digest_line(table: TablePlan) -> sql.Composed:
    """Return the expression of the line that is hashed; SQLite's is sqlite_digest_line."""
    return sql.SQL(" || ',' || ").join(_cells(table, DIGEST_CELL))


def row_hash(line: sql.Composable) -> sql.Composed:
    """Return the expression of a line's hash, as lib/tables/digest.py computes it."""
    return statement("row_hash", line=line)


def read_converted(table: TablePlan, present: dict[str, str]) -> sql.Composed:
    """Return what reads the cells of a mirror whose columns may have other types by now."""
    cells = []
    for column in table.columns:
        cell = converted(column.mirror_name, column.mirror_type, present[column.mirror_name])
        cells.append(sql.SQL(READ_CELL[column.mirror_type].replace("{c}", "({c})")).format(c=cell))
    return sql.SQL(", ").join(cells)


def converted(column: str, wanted: str, present: str | None) -> sql.Composed:
    """Return a column as the type that it was to be; as text it says what it was, where it still does. A missing one is NULL."""
    return sql.SQL(_form(wanted, present)).format(c=sql.Identifier(column))


def _form(wanted: str, present: str | None) -> str:
    if present is None:
        return f"NULL::{wanted}"
    if wanted == present:
        return "{c}"
    if (present, wanted) == ("boolean", "bigint"):
        return "{c}::int"
    return CONVERTED.get(wanted, "{c}::text::" + wanted)


def _cells(table: TablePlan, forms: dict[str, str]) -> list[sql.Composed]:
    return [sql.SQL(forms[column.mirror_type]).format(c=sql.Identifier(column.mirror_name)) for column in table.columns]
