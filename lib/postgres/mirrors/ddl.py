"""The DDL of mirrors made from a source's declaration: run by a backup, printed by `setup_supabase.py --ddl`."""

from collections.abc import Iterable
from pathlib import Path

from lib.base import leftovers
from lib.postgres.link.statements import text
from lib.sqlite.files.mirror_types import mirror_type
from lib.sqlite.snapshots import snapshot as snapshots
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.mirror_names import mirror_name, quoted
from lib.tables.plan import Mirror
from lib.tables.schema import Column, Table

# Percent of a page.
FILLFACTOR = 98
EXACT_DECLARATIONS = {"bigint": "INTEGER", "text": "TEXT", "bytea": "BLOB", "boolean": "BOOLEAN", "double precision": "REAL"}


def for_file(path: Path) -> str:
    """Return the text of a sql/tables/ file for a database, with a comment where a choice was made."""
    with leftovers.temporary("hybrid-backup", "reading") as folder, snapshots.taken(path, folder, "quick") as snapshot:
        tables = [_commented(snapshot, table) for table in snapshot.schema.own_tables]
    heading = f"-- The mirrors of {path.name}. Save this as sql/tables/{path.stem}.sql; it is applied with search_path set."
    return "\n\n".join([heading, *tables])


def _commented(snapshot: Snapshot, table: Table) -> str:
    if not table.key:
        return f"-- {_one_line(table.name)} has no key that can be reached: its rows are kept whole in misfit_rows."
    types = {column.name: mirror_type(snapshot.connection, table, column) for column in table.columns}
    comments = [_choice(column, types[column.name]) for column in table.columns]
    return "\n".join([*filter(None, comments), create_mirror(table, types, unique=table.unique)])


def _choice(column: Column, kind: str) -> str:
    """Say why a column is what it is, where the declaration alone does not."""
    if column.is_rowid:
        return f"-- {column.name} is SQLite's hidden row number; a restore brings it back too."
    declared = f"declared {_one_line(column.declared_type)}" if column.declared_type else "without a declared type"
    if column.declared_type.upper() == EXACT_DECLARATIONS[kind]:
        return ""
    return f"-- {_one_line(column.name)} is {declared}; most of its values are {kind}, others are kept whole in misfit_rows."


def _one_line(text: str) -> str:
    return " ".join(text.split())


def create_mirror(table: Table, types: dict[str, str], schema: str = "", unique: tuple[tuple[str, ...], ...] = ()) -> str:
    """Return CREATE TABLE for a source table; `types` are the mirror types of its columns, `unique` what else must be unique."""
    key = tuple(map(mirror_name, table.key))
    columns = [_column(table, column, types[column.name]) for column in table.columns]
    constraints = [tuple(map(mirror_name, names)) for names in unique if set(names) != set(table.key)]
    return _create(table.name, schema, columns, key, constraints)


def remade_mirror(mirror: Mirror, schema: str) -> str:
    """Return CREATE TABLE for a mirror as it was."""
    columns = [
        f"{quoted(name)} {column['type']}{_collation(name in mirror.key, column['type'])}{' NOT NULL' * column['not_null']}"
        for name, column in mirror.columns.items()
    ]
    return _create(mirror.name, schema, columns, mirror.key, mirror.unique.values())


def _create(name: str, schema: str, columns: list[str], key: tuple[str, ...], unique: Iterable[tuple[str, ...]]) -> str:
    constraints = [f"UNIQUE ({_names(names)}) DEFERRABLE INITIALLY DEFERRED" for names in unique]
    lines = ",\n".join(f"    {line}" for line in [*columns, f"PRIMARY KEY ({_names(key)})", *constraints])
    return _filled("create_mirror", mirror=_qualified(name, schema), lines=lines, fillfactor=FILLFACTOR)


def _filled(name: str, **parts: object) -> str:
    return text(name).rstrip("\n").format(**parts)


def _collation(is_key: bool, kind: str) -> str:
    """Keys are in SQLite's order."""
    return ' COLLATE "C"' if is_key and kind == "text" else ""


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, columns))


def add_column(table: str, column: Column, kind: str, schema: str = "") -> str:
    """Return what gives a mirror a column of this mirror type."""
    return _filled("add_column", mirror=_qualified(table, schema), column=quoted(mirror_name(column.name)), kind=kind)


def allow_null(table: str, column: str, schema: str = "") -> str:
    """Return what lets a column of a mirror be empty."""
    return _filled("allow_null", mirror=_qualified(table, schema), column=quoted(column))


def drop_constraint(table: str, constraint: str, schema: str = "") -> str:
    """Return what takes a constraint from a mirror."""
    return _filled("drop_constraint", mirror=_qualified(table, schema), constraint=quoted(constraint))


def drop_mirror(table: str, schema: str = "") -> str:
    """Return what removes a mirror, and views on it, so that the undo log has its rows."""
    return _filled("drop_mirror", mirror=_qualified(table, schema))


def _column(table: Table, column: Column, kind: str) -> str:
    collation = _collation(column.name in table.key, kind)
    not_null = " NOT NULL" if column.not_null else ""
    return f"{quoted(mirror_name(column.name))} {kind}{collation}{not_null}"


def _qualified(table: str, schema: str) -> str:
    name = quoted(mirror_name(table))
    return f"{quoted(schema)}.{name}" if schema else name
