"""Mirrors that people have altered: each is made anew, plain and as the last run left it, with all rows that can be taken over.

Whether those are the rows that the last run left, only their digest tells (see lib/postgres/mirrors/last_run.py).
"""

from dataclasses import dataclass, field, replace

from psycopg2 import sql

from lib.base.errors import MayPass, Problem, SourceError
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import converted, names, statement
from lib.postgres.mirrors import ddl, saved_state, upkeep
from lib.sqlite.snapshots.previous import NotedMirror, NotedTable
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables import plan as plans
from lib.tables.mirror_names import mirror_name
from lib.tables.plan import Mirror, MirrorColumn, Plan, Source
from lib.tables.schema import Table

DROP = {"is a view": "VIEW", "is a materialized view": "MATERIALIZED VIEW", "is a foreign table": "FOREIGN TABLE"}
# What stands for the number of a mirror that had no part in a run: its rows were kept whole.
LEFT_ASIDE = ""


@dataclass(frozen=True)
class Altered:
    """The mirrors that were altered, each by its name.

    `wanted` are those that must be made anew, as they were to be, and `reasons` says why; of those in `lost` earlier rows cannot
    be read. `mirrors` are those to plan with.
    """

    wanted: dict[str, Mirror]
    reasons: dict[str, str]
    lost: frozenset[str]
    mirrors: dict[str, Mirror]
    warnings: list[str] = field(default_factory=list)

    def left_aside(self, source: Source) -> dict[str, Mirror]:
        """Return what this user may not make anew, as it was to be: the next run of one who may will know."""
        return {} if source.may_alter else self.wanted

    def lost_labels(self, plan: Plan, left: dict[str, NotedTable]) -> set[str]:
        """Return the labels of the tables of which earlier rows cannot be read; not of those that were kept whole already.

        `left` is what the last run has noted of each table, by label.
        """
        labels = {plans.find(table.label, self.lost): table.label for table in plan.tables}
        lost = {name: labels.get(name, name) for name in self.lost}
        kept_whole = {label for label, (rows, misfits, *_) in left.items() if rows == misfits}
        return {label for name, label in lost.items() if name not in self.wanted or label not in kept_whole}


def as_noted(mirrors: dict[str, Mirror]) -> dict[str, NotedMirror]:
    """Return what a later run needs to know of the mirrors, for JSON."""
    return {
        name: {"oid": mirror.oid, "columns": mirror.columns, "key": mirror.key, "unique": mirror.unique}
        for name, mirror in mirrors.items()
        if not mirror.oddity
    }


def as_left(target: Target, source: Source, snapshot: Snapshot, noted: dict[str, NotedMirror] | None) -> dict[str, Mirror]:
    """Return the mirrors as the last run left them: as noted on this machine, or as far as its stored plan tells."""
    if noted is None:
        promised = {table.name: table.unique for table in snapshot.schema.tables}
        tables = [table for table in saved_state.last_plan(target, source.name) if table.mirror]
        return {table.mirror: _planned(table, promised.get(table.name, ())) for table in tables}
    return {name: _noted(name, mirror) for name, mirror in noted.items()}


def _noted(name: str, mirror: NotedMirror) -> Mirror:
    """JSON has made lists of the names."""
    unique = {constraint: tuple(columns) for constraint, columns in mirror["unique"].items()}
    return Mirror(name, mirror["columns"], tuple(mirror["key"]), unique)


def _planned(table: plans.TablePlan, promised: tuple[tuple[str, ...], ...]) -> Mirror:
    """Return a mirror with the unique constraints that the source promises and of whose columns the plan knows an index."""
    columns: dict[str, MirrorColumn] = {
        column.mirror_name: {"type": column.mirror_type, "not_null": column.not_null} for column in table.columns
    }
    indexed = {column.name: column.mirror_name for column in table.columns if column.is_indexed}
    unique = {tuple(indexed[name] for name in names) for names in promised if set(names) <= indexed.keys()}
    key = tuple(table.key_names)
    return Mirror(table.mirror, columns, key, {str(names): names for names in sorted(unique) if set(names) != set(key)})


def compared(snapshot: Snapshot, present: dict[str, Mirror], left: dict[str, Mirror]) -> Altered:
    """Compare the mirrors with what the last run left; those of tables that the source has dropped serve history alone."""
    needed = {plans.find(mirror_name(table.name), left): table for table in snapshot.schema.tables}
    reasons = {name: reason for name, mirror in left.items() if (reason := _reason(present.get(name), mirror))}
    wanted = {name: left[name] for name in reasons if name in needed}
    lost = [name for name in reasons if name not in needed or not _has_history(present.get(name), left[name], needed[name])]
    names = [plans.find(mirror_name(table.name), present) for table in snapshot.schema.tables]
    odd = {name: present[name].oddity for name in names if name and present[name].oddity and name not in wanted}
    return Altered(
        wanted | {name: Mirror(name, {}, (), {}) for name in odd},
        {name: reasons[name] for name in wanted} | odd,
        frozenset(lost),
        present,
    )


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
    target: Target, source: Source, snapshot: Snapshot, present: dict[str, Mirror], noted: dict[str, NotedMirror] | None = None
) -> Altered:
    """Make the altered mirrors anew where this user may, else leave them aside.

    `noted` is what the last run has noted of them on this machine; None where that is not known.
    """
    altered = compared(snapshot, present, as_left(target, source, snapshot, noted))
    if not altered.wanted:
        return altered
    if not source.may_alter:
        others = {name: mirror for name, mirror in present.items() if name not in altered.wanted}
        return replace(altered, lost=altered.lost | altered.wanted.keys(), mirrors=others)
    remake(target, source, altered.wanted, present)
    warnings = [_mended(source, name, reason) for name, reason in altered.reasons.items()]
    return replace(altered, warnings=warnings, mirrors=upkeep.read(target, source))


def _mended(source: Source, name: str, reason: str) -> str:
    return (
        f"{source.name}.{name}: somebody has altered the mirror, which {reason}. It was made anew, without the views, indexes, "
        "triggers and rules that were on it."
    )


def clear(target: Target, source: Source, plan: Plan, altered: Altered, now: dict[str, Mirror], problem: Problem) -> Altered:
    """After a merge that failed, make the mirrors anew that have what may be to blame; re-raise the problem where there are none.

    `now` are the mirrors as they are; return what was altered with these, and the mirrors as they are then.
    """
    if isinstance(problem, MayPass | SourceError) or not source.may_alter:
        raise problem
    blamed = _blamed(target, source, problem)
    wanted = {table.mirror: now[table.mirror] for table in plan.tables if table.mirror in blamed}
    if not wanted:
        raise problem
    remake(target, source, wanted, now)
    reason = f"has what changes or refuses rows ({problem.what.removesuffix('.')})"
    warnings = altered.warnings + [_mended(source, name, reason) for name in wanted]
    return replace(altered, wanted=altered.wanted | wanted, warnings=warnings, mirrors=upkeep.read(target, source))


def _blamed(target: Target, source: Source, problem: Problem) -> set[str]:
    """Undo the merge, and return the names of the mirrors that have what is not ours; raise the problem where that fails."""
    try:
        target.statement("undo_merge")
        ours = statement("our_triggers", schema=sql.Identifier(target.schema))
        obstacles = target.statement("obstacles", {"mirror_schema": source.mirror_schema}, our_triggers=ours)
    except Problem:
        raise problem from None
    return {name for (name,) in obstacles}


def remake(target: Target, source: Source, wanted: dict[str, Mirror], present: dict[str, Mirror]) -> None:
    """Put plain mirrors in the place of what is there now, with its rows as far as they can be read."""
    for name, mirror in wanted.items():
        now = present.get(name)
        if now:
            target.rows(_set_aside(source, mirror, now))
        if mirror.columns:
            _make(target, source, mirror, now)
    upkeep.secure(target, source, list(wanted))


def _make(target: Target, source: Source, mirror: Mirror, now: Mirror | None) -> None:
    """Make a mirror, with the columns besides that are there now, and take over the rows that were set aside."""
    extra: dict[str, MirrorColumn] = {
        name: {**column, "not_null": False}
        for name, column in (now.columns if now else {}).items()
        if name not in mirror.columns and column["type"] in plans.MIRROR_TYPES
    }
    whole = Mirror(mirror.name, mirror.columns | extra, mirror.key, mirror.unique)
    target.rows(ddl.remade_mirror(whole, source.mirror_schema))
    if now:
        place = sql.Identifier(source.mirror_schema, mirror.name)
        target.statement("take_over_rows", mirror=place, columns=names(list(whole.columns)))


def _set_aside(source: Source, wanted: Mirror, now: Mirror) -> sql.Composed:
    """Return what keeps the rows of an altered mirror in a temporary table, as they were to be, and drops it."""
    present = {name: column["type"] for name, column in now.columns.items()}
    kinds = present | {name: column["type"] for name, column in wanted.columns.items()}
    cells = [
        sql.SQL("{} AS {}").format(converted(name, kind, present.get(name)), sql.Identifier(name)) for name, kind in kinds.items()
    ]
    return statement(
        "set_rows_aside",
        cells=sql.SQL(", ").join(cells),
        only=upkeep.only(now),
        kind=sql.SQL(DROP.get(now.oddity, "TABLE")),
        mirror=sql.Identifier(source.mirror_schema, now.name),
    )
