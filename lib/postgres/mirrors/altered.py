"""Mirrors that people have altered: each is made anew, plain and as the last run left it, with all rows that can be taken over.

Whether those are the rows that the last run left, only their digest tells (see lib/postgres/mirrors/last_run.py).
"""

from dataclasses import asdict, dataclass, field

from psycopg2 import sql

from lib.base.errors import MayPass, Problem, SourceError
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import converted, names, statement
from lib.postgres.mirrors import ddl, saved_state, upkeep
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables import plan as plans
from lib.tables.mirror_names import mirror_name
from lib.tables.plan import Mirror, Plan, Source
from lib.tables.schema import Table

DROP = {"is a view": "VIEW", "is a materialized view": "MATERIALIZED VIEW", "is a foreign table": "FOREIGN TABLE"}
# What stands for the number of a mirror that had no part in a run: its rows were kept whole.
LEFT_ASIDE = ""
MENDED = (
    "{source}.{mirror}: somebody has altered the mirror, which {reason}. It was made anew, without the views, indexes, triggers "
    "and rules that were on it."
)


@dataclass
class Altered:
    """The mirrors that were altered, and why they had to be made anew; `lost` are those of which earlier rows cannot be read.

    `mirrors` are those to plan with.
    """

    wanted: dict[str, Mirror] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    mirrors: dict[str, Mirror] = field(default_factory=dict)

    def left_aside(self, source: Source) -> dict[str, Mirror]:
        """Return what this user may not make anew, as it was to be: the next run of one who may will know."""
        return {} if source.may_alter else self.wanted

    def lost_labels(self, plan: Plan, left: dict[str, list]) -> set[str]:
        """Return the labels of the tables of which earlier rows cannot be read; not of those that were kept whole already."""
        labels = {plans.find(table.label, self.lost): table.label for table in plan.tables}
        found = {name: labels.get(name, name) for name in self.lost}
        kept_whole = {label for label, (rows, misfits, *_) in left.items() if rows == misfits}
        return {label for name, label in found.items() if name not in self.wanted or label not in kept_whole}


def as_noted(found: dict[str, Mirror]) -> dict[str, dict]:
    """Return what a later run needs to know of the mirrors, for JSON."""
    kept = ("oid", "columns", "key", "unique")
    return {name: {part: asdict(mirror)[part] for part in kept} for name, mirror in found.items() if not mirror.oddity}


def as_left(target: Target, source: Source, snapshot: Snapshot, noted: dict[str, dict] | None) -> dict[str, Mirror]:
    """Return the mirrors as the last run left them: as noted on this machine, or as far as its stored plan tells."""
    if noted is None:
        promised = {table.name: table.unique for table in snapshot.schema.tables}
        found = [table for table in saved_state.last_plan(target, source.name) if table.mirror]
        return {table.mirror: _planned(table, promised.get(table.name, ())) for table in found}
    unique = {name: {key: tuple(columns) for key, columns in found["unique"].items()} for name, found in noted.items()}
    return {name: Mirror(name, found["columns"], tuple(found["key"]), unique[name]) for name, found in noted.items()}


def _planned(table: plans.TablePlan, promised: tuple[tuple[str, ...], ...]) -> Mirror:
    """Return a mirror with the unique constraints that the source promises and of whose columns the plan knows an index."""
    columns = {column.mirror_name: {"type": column.mirror_type, "not_null": column.not_null} for column in table.columns}
    indexed = {column.name: column.mirror_name for column in table.columns if column.is_indexed}
    unique = {tuple(indexed[name] for name in names) for names in promised if set(names) <= indexed.keys()}
    key = tuple(table.key_names)
    return Mirror(table.mirror, columns, key, {str(names): names for names in sorted(unique) if set(names) != set(key)})


def found(snapshot: Snapshot, present: dict[str, Mirror], left: dict[str, Mirror]) -> Altered:
    """Compare the mirrors with what the last run left; those of tables that the source has dropped serve history alone."""
    needed = {plans.find(mirror_name(table.name), left): table for table in snapshot.schema.tables}
    altered = Altered()
    for name, mirror in left.items():
        reason = _reason(present.get(name), mirror)
        if reason and name in needed:
            altered.wanted[name], altered.reasons[name] = mirror, reason
        if reason and (name not in needed or not _has_history(present.get(name), mirror, needed[name])):
            altered.lost.add(name)
    for table in snapshot.schema.tables:
        name = plans.find(mirror_name(table.name), present)
        if name and present[name].oddity and name not in altered.wanted:
            altered.wanted[name], altered.reasons[name] = Mirror(name, {}, (), {}), present[name].oddity
    return altered


def _reason(now: Mirror | None, left: Mirror) -> str:
    """Return what was done to a mirror, or nothing."""
    if now is None or now.oddity:
        return now.oddity if now else "is gone"
    for column, description in left.columns.items():
        if column not in now.columns:
            return f"has no column {column} any more"
        if now.columns[column]["type"] != description["type"]:
            return f"has {column} as {now.columns[column]['type']}, not {description['type']}"
    return "" if set(now.key) == set(left.key) else "has another primary key"


def _has_history(now: Mirror | None, left: Mirror, table: Table) -> bool:
    """Whether every column is there that the last run left; those that the source has dropped are in no digest: unchanged."""
    needed = {plans.find(mirror_name(column.name), left.columns) for column in table.columns}
    return now is not None and all(
        column in now.columns and (column in needed or now.columns[column]["type"] == description["type"])
        for column, description in left.columns.items()
    )


def mended(
    target: Target, source: Source, snapshot: Snapshot, present: dict[str, Mirror], noted: dict[str, dict] | None = None
) -> Altered:
    """Make the altered mirrors anew where this user may, else leave them aside."""
    altered = found(snapshot, present, as_left(target, source, snapshot, noted))
    altered.mirrors = present
    if altered.wanted and source.may_alter:
        remake(target, source, altered.wanted, present)
        for name, reason in altered.reasons.items():
            altered.warnings.append(MENDED.format(source=source.name, mirror=name, reason=reason))
        altered.mirrors = upkeep.read(target, source)
    elif altered.wanted:
        altered.lost |= altered.wanted.keys()
        altered.mirrors = {name: mirror for name, mirror in present.items() if name not in altered.wanted}
    return altered


def clear(
    target: Target, source: Source, plan: Plan, altered: Altered, now: dict[str, Mirror], problem: Problem
) -> dict[str, Mirror]:
    """After a merge that failed, make the mirrors anew that have what may be to blame; re-raise the problem where there are none.

    Return the mirrors as they are then.
    """
    if isinstance(problem, MayPass | SourceError) or not source.may_alter:
        raise problem
    try:
        target.statement("undo_merge")
        ours = statement("our_triggers", schema=sql.Identifier(target.schema))
        blamed = {name for (name,) in target.statement("obstacles", {"mirror_schema": source.mirror_schema}, our_triggers=ours)}
    except Problem:
        raise problem from None
    wanted = {table.mirror: now[table.mirror] for table in plan.tables if table.mirror in blamed}
    if not wanted:
        raise problem
    remake(target, source, wanted, now)
    altered.wanted |= wanted
    reason = f"has what changes or refuses rows ({problem.what.removesuffix('.')})"
    altered.warnings += [MENDED.format(source=source.name, mirror=name, reason=reason) for name in wanted]
    return upkeep.read(target, source)


def remake(target: Target, source: Source, wanted: dict[str, Mirror], present: dict[str, Mirror]) -> None:
    """Put plain mirrors in the place of what is there now, with its rows as far as they can be read."""
    for name, mirror in wanted.items():
        now = present.get(name)
        if now:
            target.rows(_set_aside(source, mirror, now))
        if mirror.columns:
            extra = {} if not now else {column: kind for column, kind in now.columns.items() if column not in mirror.columns}
            extra = {column: kind | {"not_null": False} for column, kind in extra.items() if kind["type"] in plans.MIRROR_TYPES}
            whole = Mirror(name, mirror.columns | extra, mirror.key, mirror.unique)
            target.rows(ddl.remade_mirror(whole, source.mirror_schema))
            if now:
                target.statement(
                    "take_over_rows", mirror=sql.Identifier(source.mirror_schema, name), columns=names(list(whole.columns))
                )
    upkeep.secure(target, source, list(wanted))


def _set_aside(source: Source, wanted: Mirror, now: Mirror) -> sql.Composed:
    """Return what keeps the rows of an altered mirror in a temporary table, as they were to be, and drops it."""
    present = {column: description["type"] for column, description in now.columns.items()}
    kinds = {column: description["type"] for column, description in wanted.columns.items()}
    cells = [
        sql.SQL("{} AS {}").format(converted(column, kinds.get(column, kind), kind), sql.Identifier(column))
        for column, kind in (present | {column: present.get(column) for column in kinds}).items()
    ]
    return statement(
        "set_rows_aside",
        cells=sql.SQL(", ").join(cells),
        only=sql.SQL("" if now.oddity in upkeep.NOT_TABLES else "ONLY"),
        kind=sql.SQL(DROP.get(now.oddity, "TABLE")),
        mirror=sql.Identifier(source.mirror_schema, now.name),
    )
