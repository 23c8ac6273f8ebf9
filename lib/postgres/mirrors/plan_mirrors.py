"""Plan a run: match every table with its mirror, and collect the DDL where the source has grown or loosened."""

import dataclasses
from dataclasses import dataclass, field

from lib.postgres.mirrors import ddl
from lib.sqlite.files import mirror_types
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables import plan as plans
from lib.tables.mirror_names import mirror_name
from lib.tables.plan import MOST_COLUMNS, MOST_KEY_COLUMNS, Mirror, MirrorColumn, Plan, Source
from lib.tables.schema import Column, Table


@dataclass(frozen=True)
class FutureMirror:
    """The mirror of a table as it will be when the DDL has run, and what is to be said about that; None keeps its rows whole."""

    mirror: Mirror | None
    ddl: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def plan(snapshot: Snapshot, mirrors: dict[str, Mirror], source: Source) -> Plan:
    """Match every table of the snapshot with its mirror; collect the DDL for what the mirrors lack."""
    tables = [_with_usable_key(table) for table in snapshot.schema.tables]
    futures = [_future(snapshot, table, mirrors, source) for table in tables]
    return Plan(
        [plans.planned(table, future.mirror) for table, future in zip(tables, futures, strict=True)],
        [statement for future in futures for statement in future.ddl],
        [warning for future in futures for warning in future.warnings],
        {mirror_name(table.name) for table, future in zip(tables, futures, strict=True) if future.ddl},
    )


def _future(snapshot: Snapshot, table: Table, mirrors: dict[str, Mirror], source: Source) -> FutureMirror:
    if not _can_have_mirror(table):
        return FutureMirror(None)
    future = _mended(snapshot, table, mirrors, source)
    if future.ddl and not source.may_alter:
        warning = (
            f"{source.name}.{table.printable} does not fit its mirror, and this user may not alter it: all its rows are kept "
            "whole. Run setup_supabase.py once as the user postgres."
        )
        return FutureMirror(None, [], [warning])
    return future


def _with_usable_key(table: Table) -> Table:
    """Take the hidden rowid where the key has more columns than an index of Postgres."""
    if len(table.key) <= MOST_KEY_COLUMNS:
        return table
    return dataclasses.replace(table, key=tuple(column.name for column in table.columns if column.is_rowid))


def _can_have_mirror(table: Table) -> bool:
    return not table.is_internal and bool(table.key) and len(table.columns) <= MOST_COLUMNS


def _mended(snapshot: Snapshot, table: Table, mirrors: dict[str, Mirror], source: Source) -> FutureMirror:
    name = plans.find(mirror_name(table.name), mirrors)
    if not name:
        return _created(snapshot, table, source, "has no mirror yet, and one was made")
    mirror, schema = mirrors[name], source.mirror_schema
    if reason := _unfit(table, mirror):
        created = _created(snapshot, table, source, reason)
        return dataclasses.replace(created, ddl=[ddl.drop_mirror(name, schema), *created.ddl])
    missing = _missing(snapshot, table, mirror)
    columns = mirror.columns | {mirror_name(column.name): _described(kind) for column, kind in missing}
    outgrown = {constraint: unique for constraint, unique in mirror.unique.items() if not _is_unique(unique, table, columns)}
    return FutureMirror(
        Mirror(name, columns, mirror.key, mirror.unique),
        [ddl.add_column(name, column, kind, schema) for column, kind in missing]
        + [ddl.allow_null(name, column, schema) for column in _unfilled(table, mirror, columns)]
        + [ddl.drop_constraint(name, constraint, schema) for constraint in outgrown],
        [_has_grown(table, source, ddl.add_column(name, column, kind)) for column, kind in missing]
        + [_is_not_unique(table, source, unique) for unique in outgrown.values()],
    )


def _missing(snapshot: Snapshot, table: Table, mirror: Mirror) -> list[tuple[Column, str]]:
    """Return the columns that the mirror lacks, with the types that it will give them."""
    missing = [column for column in table.columns if not plans.find(mirror_name(column.name), mirror.columns)]
    return [(column, mirror_types.mirror_type(snapshot.connection, table, column)) for column in missing]


def _described(kind: str, not_null: bool = False) -> MirrorColumn:
    return {"type": kind, "not_null": not_null}


def _unfilled(table: Table, mirror: Mirror, columns: dict[str, MirrorColumn]) -> list[str]:
    """Return the columns that must have a value, and that the source has dropped."""
    present = {plans.find(mirror_name(column.name), columns) for column in table.columns}
    return [name for name, column in mirror.columns.items() if name not in present and column["not_null"]]


def _has_grown(table: Table, source: Source, statement: str) -> str:
    return (
        f"{source.name}.{table.printable} has a new column, and the mirror got it too. "
        f"Put into sql/tables/{source.name}.sql:\n{statement}"
    )


def _is_not_unique(table: Table, source: Source, unique: tuple[str, ...]) -> str:
    return (
        f"{source.name}.{table.printable} is no longer unique by ({', '.join(unique)}). The mirror's constraint was "
        f"dropped; remove it from sql/tables/{source.name}.sql."
    )


def _unfit(table: Table, mirror: Mirror) -> str:
    """Say why a mirror must be made anew, if it must."""
    anew = "which was made anew, without the views that were on it"
    if not _has_key(mirror, table):
        return f"has another primary key than its mirror, {anew}"
    kinds = {
        mirror.columns[name]["type"] for column in table.columns if (name := plans.find(mirror_name(column.name), mirror.columns))
    }
    unknown = sorted(kinds - set(plans.MIRROR_TYPES))
    return f"has values that {unknown[0]} in its mirror cannot hold, {anew}" if unknown else ""


def _created(snapshot: Snapshot, table: Table, source: Source, reason: str) -> FutureMirror:
    name, key = mirror_name(table.name), tuple(mirror_name(name) for name in table.key)
    kinds = {column.name: mirror_types.mirror_type(snapshot.connection, table, column) for column in table.columns}
    columns = {
        mirror_name(column.name): _described(kinds[column.name], column.not_null or mirror_name(column.name) in key)
        for column in table.columns
    }
    told = f"Put into sql/tables/{source.name}.sql:\n{ddl.create_mirror(table, kinds)}"
    return FutureMirror(
        Mirror(name, columns, key, {}),
        [ddl.create_mirror(table, kinds, source.mirror_schema)],
        [f"{source.name}.{table.printable} {reason}. {told}"],
    )


def _has_key(mirror: Mirror, table: Table) -> bool:
    return {plans.folded(name) for name in mirror.key} == {plans.folded(mirror_name(name)) for name in table.key}


def _is_unique(unique: tuple[str, ...], table: Table, columns: dict[str, MirrorColumn]) -> bool:
    wanted = set(unique)
    return any(
        {plans.find(mirror_name(name), columns) for name in candidate} <= wanted for candidate in (*table.unique, table.key)
    )
