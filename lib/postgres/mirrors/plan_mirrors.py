"""Plan a run: match every table with its mirror, and collect the DDL where the source has grown or loosened."""

import dataclasses

from lib.postgres.mirrors import ddl
from lib.sqlite.files import mirror_types
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables import plan as plans
from lib.tables.mirror_names import mirror_name
from lib.tables.plan import MOST_COLUMNS, MOST_KEY_COLUMNS, Mirror, Plan, Source
from lib.tables.schema import Table


def plan(snapshot: Snapshot, mirrors: dict[str, Mirror], source: Source) -> Plan:
    """Match every table of the snapshot with its mirror; collect the DDL for what the mirrors lack."""
    found = Plan()
    for table in map(_with_usable_key, snapshot.schema.tables):
        found.tables.append(plans.planned(table, _mirror_for(snapshot, table, mirrors, found, source)))
    return found


def _mirror_for(snapshot: Snapshot, table: Table, mirrors: dict[str, Mirror], found: Plan, source: Source) -> Mirror | None:
    if not _can_have_mirror(table):
        return None
    mended = Plan()
    mirror = _mended(snapshot, table, mirrors, mended, source)
    if mended.ddl and not source.may_alter:
        found.warnings.append(
            f"{source.name}.{table.printable} does not fit its mirror, and this user may not alter it: all its rows are kept "
            "whole. Run setup_supabase.py once as the user postgres."
        )
        return None
    found.ddl += mended.ddl
    found.mended |= {mirror_name(table.name)} if mended.ddl else set()
    found.warnings += mended.warnings
    return mirror


def _with_usable_key(table: Table) -> Table:
    """Take the hidden rowid where the key has more columns than an index of Postgres."""
    if len(table.key) <= MOST_KEY_COLUMNS:
        return table
    return dataclasses.replace(table, key=tuple(column.name for column in table.columns if column.is_rowid))


def _can_have_mirror(table: Table) -> bool:
    return not table.is_internal and bool(table.key) and len(table.columns) <= MOST_COLUMNS


def _mended(snapshot: Snapshot, table: Table, mirrors: dict, found: Plan, source: Source) -> Mirror:
    """Return the mirror as it will be when the plan's DDL has run."""
    name = plans.find(mirror_name(table.name), mirrors)
    reason = _unfit(table, mirrors[name]) if name else "has no mirror yet, and one was made"
    if reason:
        return _created(snapshot, table, name, reason, found, source)
    mirror = mirrors[name]
    columns = _with_missing(snapshot, table, mirror, found, source)
    present = {plans.find(mirror_name(column.name), columns) for column in table.columns}
    for column, description in mirror.columns.items():
        if column not in present and description["not_null"]:
            found.ddl.append(ddl.allow_null(name, column, source.mirror_schema))
    for constraint, unique in mirror.unique.items():
        if not _is_unique(unique, table, columns):
            found.ddl.append(ddl.drop_constraint(name, constraint, source.mirror_schema))
            found.warnings.append(
                f"{source.name}.{table.printable} is no longer unique by ({', '.join(unique)}). The mirror's constraint was "
                f"dropped; remove it from sql/tables/{source.name}.sql."
            )
    return Mirror(name, columns, mirror.key, mirror.unique)


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


def _created(snapshot: Snapshot, table: Table, old: str | None, reason: str, found: Plan, source: Source) -> Mirror:
    if old:
        found.ddl.append(ddl.drop_mirror(old, source.mirror_schema))
    kinds = {column.name: mirror_types.mirror_type(snapshot.connection, table, column) for column in table.columns}
    found.ddl.append(ddl.create_mirror(table, kinds, source.mirror_schema))
    found.warnings.append(
        f"{source.name}.{table.printable} {reason}. Put into sql/tables/{source.name}.sql:\n{ddl.create_mirror(table, kinds)}"
    )
    key = tuple(mirror_name(name) for name in table.key)
    columns = {
        mirror_name(column.name): {
            "type": kinds[column.name],
            "not_null": column.not_null or mirror_name(column.name) in key,
        }
        for column in table.columns
    }
    return Mirror(mirror_name(table.name), columns, key, {})


def _with_missing(snapshot: Snapshot, table: Table, mirror: Mirror, found: Plan, source: Source) -> dict:
    columns = dict(mirror.columns)
    for column in table.columns:
        if not plans.find(mirror_name(column.name), columns):
            kind = mirror_types.mirror_type(snapshot.connection, table, column)
            columns[mirror_name(column.name)] = {"type": kind, "not_null": False}
            found.ddl.append(ddl.add_column(mirror.name, column, kind, source.mirror_schema))
            found.warnings.append(
                f"{source.name}.{table.printable} has a new column, and the mirror got it too. "
                f"Put into sql/tables/{source.name}.sql:\n{ddl.add_column(mirror.name, column, kind)}"
            )
    return columns


def _has_key(mirror: Mirror, table: Table) -> bool:
    return {plans.folded(name) for name in mirror.key} == {plans.folded(mirror_name(name)) for name in table.key}


def _is_unique(unique: tuple[str, ...], table: Table, columns: dict) -> bool:
    wanted = set(unique)
    return any(
        {plans.find(mirror_name(name), columns) for name in candidate} <= wanted for candidate in (*table.unique, table.key)
    )
