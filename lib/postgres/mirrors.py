"""Read a source's mirrors, plan the run, and mend the mirrors where the source has grown or loosened."""

import dataclasses

from lib import plan as plans
from lib.plan import MOST_COLUMNS, MOST_KEY_COLUMNS, Mirror, Plan, Source
from lib.postgres import ddl
from lib.postgres.connection import Target
from lib.postgres.names import mirror_name, writer_name
from lib.sqlite import types
from lib.sqlite.schema import Table
from lib.sqlite.snapshot import Snapshot

# What may stand in a mirror's place with rows of its own; ONLY a table can be read without those that inherit from it.
NOT_TABLES = ("is a view", "is a materialized view", "is a foreign table", "is divided into partitions")


def read(target: Target, source: Source) -> dict[str, Mirror]:
    found = target.run("read_mirrors", {"mirror_schema": source.mirror_schema, "source": source.name})
    return {name: _mirror(name, columns, constraints or {}, *about) for name, columns, constraints, *about in found}


def _mirror(name: str, columns: dict[str, dict], constraints: dict[str, dict], *about) -> Mirror:
    key = next((tuple(found["columns"]) for found in constraints.values() if found["type"] == "p"), ())
    unique = {name: tuple(found["columns"]) for name, found in constraints.items() if found["type"] == "u"}
    return Mirror(name, columns or {}, key, unique, *about)


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
    kinds = {column.name: types.mirror_type(snapshot.connection, table, column) for column in table.columns}
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
        if plans.find(mirror_name(column.name), columns) is None:
            kind = types.mirror_type(snapshot.connection, table, column)
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


def mend(target: Target, planned: Plan, source: Source, present: dict[str, Mirror]) -> dict[str, Mirror]:
    """Run the plan's DDL, let the undo log see all changes; return the mirrors as they are now."""
    unwatched = [name for name, mirror in present.items() if not mirror.is_watched]
    if planned.ddl:
        target.rows("\n".join(planned.ddl))
        secure(target, source, unwatched + [table.mirror for table in planned.tables if table.label in planned.mended])
        return read(target, source)
    if source.may_alter:
        watch(target, source, unwatched)
    return present


def secure(target: Target, source: Source, made: list[str]) -> None:
    """Do for mirrors that were made what setup does: close them, let the undo log see them and the writer role write."""
    watch(target, source, made)
    target.run("make_private", {"mirror_schema": source.mirror_schema})
    target.run("let_write", {"mirror_schema": source.mirror_schema, "writer": writer_name(target.schema)})


def watch(target: Target, source: Source, names: list[str]) -> None:
    """Let the undo log see every change of these mirrors."""
    if names:
        target.run("watch_mirrors", {"source": source.name, "mirror_schema": source.mirror_schema, "names": names})
