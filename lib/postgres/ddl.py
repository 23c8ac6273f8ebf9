"""The DDL of mirrors made from a source's declaration: run by a backup, printed by `setup_supabase.py --ddl`."""

import tempfile
from pathlib import Path

from lib.postgres.names import mirror_name, quoted
from lib.sqlite import snapshot as snapshots
from lib.sqlite.schema import Column, Table
from lib.sqlite.types import mirror_type


def for_file(path: Path) -> str:
    """Return the text of a sql/tables/ file for a database."""
    with tempfile.TemporaryDirectory() as folder, snapshots.taken(path, Path(folder), "quick") as snapshot:
        tables = [
            create_mirror(table, {column.name: mirror_type(snapshot.connection, table, column) for column in table.columns})
            for table in snapshot.schema.own_tables
            if table.key
        ]
    heading = f"-- The mirrors of {path.name}, made from its declarations and values. Put this into sql/tables/{path.stem}.sql."
    return "\n\n".join([heading, *tables])


def create_mirror(table: Table, types: dict[str, str], schema: str = "") -> str:
    """Return CREATE TABLE for a source table; `types` maps its columns to mirror types."""
    columns = [_column(table, column, types[column.name]) for column in table.columns]
    key = ", ".join(quoted(mirror_name(name)) for name in table.key)
    lines = ",\n".join(f"    {line}" for line in [*columns, f"PRIMARY KEY ({key})"])
    return f"CREATE TABLE {_qualified(table.name, schema)} (\n{lines}\n);"


def add_column(table: str, column: Column, kind: str, schema: str = "") -> str:
    return f"ALTER TABLE {_qualified(table, schema)} ADD COLUMN {quoted(mirror_name(column.name))} {kind};"


def allow_null(table: str, column: str, schema: str = "") -> str:
    return f"ALTER TABLE {_qualified(table, schema)} ALTER COLUMN {quoted(column)} DROP NOT NULL;"


def drop_constraint(table: str, constraint: str, schema: str = "") -> str:
    return f"ALTER TABLE {_qualified(table, schema)} DROP CONSTRAINT {quoted(constraint)};"


def drop_mirror(table: str, schema: str = "") -> str:
    return f"DROP TABLE {_qualified(table, schema)};"


def _column(table: Table, column: Column, kind: str) -> str:
    collation = ' COLLATE "C"' if column.name in table.key and kind == "text" else ""
    not_null = " NOT NULL" if column.not_null else ""
    return f"{quoted(mirror_name(column.name))} {kind}{collation}{not_null}"


def _qualified(table: str, schema: str) -> str:
    name = quoted(mirror_name(table))
    return f"{quoted(schema)}.{name}" if schema else name
