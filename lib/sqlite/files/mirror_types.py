"""Choose the type of a mirror's column from the column's declaration and from the values that are there."""

import sqlite3

from lib.sqlite.files.names import quoted
from lib.tables.schema import Column, Table

# The first entry that is part of the declared type decides, in SQLite's order (https://sqlite.org/datatype3.html, 3.1).
BY_DECLARATION = {
    "BOOL": "boolean",
    "INT": "bigint",
    "CHAR": "text",
    "CLOB": "text",
    "TEXT": "text",
    "BLOB": "bytea",
    "REAL": "double precision",
    "FLOA": "double precision",
    "DOUB": "double precision",
}
# Of two that have as many values, the first.
BY_STORAGE_CLASS = {"blob": "bytea", "integer": "bigint", "real": "double precision", "text": "text"}


def mirror_type(connection: sqlite3.Connection, table: Table, column: Column) -> str:
    """Return the declared type's counterpart, unless most of the values are of another storage class."""
    if column.is_rowid:
        return "bigint"
    declared = next((kind for part, kind in BY_DECLARATION.items() if part in column.declared_type.upper()), None)
    held = _rows_by_mirror_type(connection, table, column)
    if not held:
        return declared or "text"
    most = max(held, key=lambda kind: held[kind])
    if declared == "boolean":
        return "boolean" if most == "bigint" and _is_zero_or_one(connection, table, column) else most
    return declared if declared and 2 * held.get(declared, 0) >= sum(held.values()) else most


def _rows_by_mirror_type(connection: sqlite3.Connection, table: Table, column: Column) -> dict[str, int]:
    # Added up, not grouped, because SQLite would sort all rows for that.
    sums = ", ".join(f"total(typeof({quoted(column.name)}) = '{storage_class}')" for storage_class in BY_STORAGE_CLASS)
    counted = connection.execute(f"SELECT {sums} FROM {quoted(table.name)}").fetchone()
    return {kind: int(rows) for kind, rows in zip(BY_STORAGE_CLASS.values(), counted, strict=True) if rows}


def _is_zero_or_one(connection: sqlite3.Connection, table: Table, column: Column) -> bool:
    name = quoted(column.name)
    odd = f"SELECT 1 FROM {quoted(table.name)} WHERE typeof({name}) = 'integer' AND {name} NOT IN (0, 1)"
    return connection.execute(odd).fetchone() is None
