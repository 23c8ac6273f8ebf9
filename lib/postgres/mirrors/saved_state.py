"""What a target holds of a source: the state that a restore rebuilds."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg2 import sql

from lib.base.errors import UNTOUCHED, MayPass, Problem, SourceError
from lib.postgres.link.connection import Target
from lib.postgres.link.copy_files import Take
from lib.postgres.link.statements import equal, read_converted, statement
from lib.postgres.mirrors import looked_for, upkeep
from lib.sqlite.files.read_schema import PRAGMAS
from lib.tables import plan as plans
from lib.tables.conditions import Condition
from lib.tables.digest import Digest
from lib.tables.plan import Definition, Mirror, Source, TablePlan

MISFITS = "misfit_rows"
OTHER_TABLES = "python3 restore.py --table NAME  brings back another table; the next  python3 backup.py  mends the mirror"
MISFIT_KEY = {"table_name": "text", "line_hash": "text", "copy": "bigint"}


@dataclass(frozen=True)
class SavedState:
    """A source as a run left it.

    `digests` and `misfits`, which are numbers of rows, go by the tables' labels. `changed` names the mirrors that were changed
    since `mark`, a record of the undo log; `mirrors` are as they are now. `bytes` is the size of the file then; `finished_at` is
    in UTC.
    """

    source: Source
    run: int
    finished_at: str
    mark: int
    definition: Definition
    tables: list[TablePlan]
    digests: dict[str, Digest]
    misfits: dict[str, int]
    snapshot_hash: str
    changed: frozenset[str]
    mirrors: dict[str, Mirror]
    bytes: int

    @property
    def rows(self) -> int:
        """Return how many rows the bot's tables had."""
        return sum(self.digests[table.label].rows for table in self.tables if not table.is_internal)

    def only(self, name: str) -> "SavedState":
        """Return the state of one table, with what SQLite keeps beside it: what is lost of another does not matter then."""
        is_needed = (table.is_internal or table.name == name or table.name.startswith(f"{name}_") for table in self.tables)
        return replace(self, tables=[table for table, needed in zip(self.tables, is_needed, strict=True) if needed])


def read_state(target: Target, source: str, run: int | None = None) -> SavedState:
    """Read the state that a run left, the newest if none is named; raise SourceError where there is none."""
    states = target.statement("saved_state", {"source": source, "run": run})
    if not states:
        raise SourceError(f"{target.host} holds no backup of {source}.", "python3 backup.py --status")
    number, finished_at, mark, mirror_schema, text, tables, snapshot_hash, changed, bytes_then = states[0]
    definition, planned = _read_definition(text, source)
    where, tables = Source(source, mirror_schema), tables or {}
    if {table.label for table in planned} != tables.keys():
        raise _tampered(source)
    return SavedState(
        source=where,
        run=number,
        finished_at=finished_at,
        mark=mark,
        definition=definition,
        tables=planned,
        digests={label: Digest(left["rows"], int(left["digest"])) for label, left in tables.items()},
        misfits={label: left["misfits"] for label, left in tables.items()},
        snapshot_hash=snapshot_hash,
        changed=frozenset(changed or ()),
        mirrors=upkeep.read(target, where),
        bytes=bytes_then or 0,
    )


def last_plan(target: Target, source: str) -> list[TablePlan]:
    """Return the plan of the last saved run, as far as it can be read."""
    states = target.statement("saved_state", {"source": source, "run": None})
    with contextlib.suppress(SourceError):
        return _read_definition(states[0][4], source)[1] if states else []
    return []


def plans_over_time(target: Target, source: str, table: str) -> list[tuple[int, TablePlan]]:
    """Return each plan that a table has had and that can be read, with the mark of the first run that left it, oldest first."""
    found = []
    for mark, text in target.statement("definitions", {"source": source}):
        with contextlib.suppress(SourceError):
            found += [
                (mark, plan) for plan in _read_definition(text, source)[1] if plans.folded(plan.name) == plans.folded(table)
            ]
    return found


def _read_definition(text: str, source: str) -> tuple[Definition, list[TablePlan]]:
    """Read the stored schema; raise SourceError where something is missing or is what no run has written."""
    try:
        definition: Definition = json.loads(text)
        planned = plans.from_json(definition["tables"])
        is_whole = _is_whole(definition, planned)
    except (ValueError, KeyError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        raise _tampered(source)
    return definition, planned


def _is_whole(definition: Definition, planned: list[TablePlan]) -> bool:
    pragmas = definition["pragmas"]
    has_pragmas = {*PRAGMAS, "journal_mode"} <= pragmas.keys()
    has_pragmas &= isinstance(pragmas["user_version"], int) and isinstance(pragmas["application_id"], int)
    objects: Any = definition["objects"]  # whatever somebody has written there
    has_objects = all(isinstance(thing[part], str) for thing in objects for part in ("type", "name", "table"))
    has_sql = all(isinstance(thing["sql"], str) or thing["type"] == "index" for thing in objects)
    has_types = all(column.mirror_type in plans.MIRROR_TYPES for table in planned for column in table.columns)
    has_columns = all(table.columns for table in planned)
    return has_pragmas and has_objects and has_sql and has_types and has_columns


def _tampered(source: str) -> SourceError:
    return SourceError(
        f"what is stored of {source} was tampered with or is damaged.",
        "try an earlier run, see  python3 restore.py --list",
        UNTOUCHED,
    )


def read_rows(
    target: Target, state: SavedState, table: TablePlan, rows: Take, old_rows: Take, conditions: Sequence[Condition] = ()
) -> None:
    """Send a table's rows to `rows`, and those that were changed since, as JSON, to `old_rows`.

    Others than those that meet the conditions may be left out.
    """
    mirror = state.mirrors.get(table.mirror)
    is_changed, named = table.mirror in state.changed, looked_for.in_records(table, conditions)
    if mirror and _has_columns(mirror, table):
        wanted = looked_for.in_mirror(table, mirror, conditions)
        unchanged = _unchanged_rows(target, state, table, mirror, named) if is_changed else looked_for.EVERY
        _read_mirror(target, state, table, sql.SQL("{} AND {}").format(wanted, unchanged), rows)
    if is_changed:
        target.copy_out(statement("read_old_rows", of_table=named, **_places(target, state, table.mirror)), old_rows)


def read_misfits(target: Target, state: SavedState, table: TablePlan, rows: Take, old_rows: Take) -> None:
    """Send a table's misfits to `rows`, and those that were changed since, as JSON, to `old_rows`."""
    label, unchanged = sql.Literal(table.label), looked_for.EVERY
    if MISFITS in state.changed:
        unchanged = _unchanged(target, state, MISFITS, MISFIT_KEY, looked_for.EVERY)
        of_table = statement("old_misfit_of_table", label=label)
        target.copy_out(statement("read_old_rows", of_table=of_table, **_places(target, state, MISFITS)), old_rows)
    elif not state.misfits[table.label]:
        return
    places = {"schema": sql.Identifier(target.schema), "source": sql.Literal(state.source.name), "label": label}
    read = statement("read_misfits", unchanged=unchanged, **places)
    target.copy_out(statement("avoid_nested_loops") + read, rows)


def _read_mirror(target: Target, state: SavedState, table: TablePlan, unchanged: sql.Composable, rows: Take) -> None:
    mirror = state.mirrors[table.mirror]
    read = statement(
        "read_mirror",
        mirror=sql.Identifier(state.source.mirror_schema, table.mirror),
        only=upkeep.only(mirror),
        cells=read_converted(table, {name: column["type"] for name, column in mirror.columns.items()}),
        unchanged=unchanged,
    )
    try:
        target.copy_out(statement("avoid_nested_loops") + read, rows)
    except MayPass:
        raise
    except Problem as problem:
        raise Problem(f"{state.source.name}.{table.printable} cannot be read: {problem.what}", OTHER_TABLES) from problem


def why_doubtful(target: Target, state: SavedState, label: str) -> str:
    """Say what shows, without reading its rows, that a mirror is not as the newest run, whose state this is, has left it.

    What people have changed since is in the undo log, and no reason.
    """
    table = next((table for table in state.tables if table.label == label and table.mirror), None)
    if not table or table.mirror in state.changed:
        return ""
    if reason := why_different(state, label):
        return reason.strip(" ()")
    mirror, expected = state.mirrors[table.mirror], state.digests[label].rows - state.misfits[label]
    place = sql.Identifier(state.source.mirror_schema, table.mirror)
    ((count,),) = target.statement("count_mirror", only=upkeep.only(mirror), mirror=place)
    return "" if count == expected else f"its mirror has {count:,} rows, and run {state.run} left {expected:,}"


def why_different(state: SavedState, label: str) -> str:
    """Say what was done to a mirror since the run, where that can be told."""
    table = next(table for table in state.tables if table.label == label)
    mirror = state.mirrors.get(table.mirror)
    if not table.mirror or (mirror and _has_columns(mirror, table)):
        return ""
    missing = [column.mirror_name for column in table.columns if mirror and column.mirror_name not in mirror.columns]
    return f" (its mirror has no column {', '.join(missing)})" if missing else " (its mirror is gone)"


def _has_columns(mirror: Mirror, table: TablePlan) -> bool:
    """Whether the mirror still has the columns that it had; if not, it was made anew and none of its rows is as old."""
    return all(column.mirror_name in mirror.columns for column in table.columns)


def _unchanged_rows(target: Target, state: SavedState, table: TablePlan, mirror: Mirror, named: sql.Composable) -> sql.Composed:
    """Leave out what was changed under the key that the mirror has, or that it had then: somebody may have given it another."""
    keys = {frozenset(mirror.key): mirror.key, frozenset(table.key_names): table.key_names}
    kinds = [{name: mirror.columns[name]["type"] for name in key} for key in keys.values() if key]
    conditions = [_unchanged(target, state, table.mirror, types, named) for types in kinds]
    return sql.SQL(" AND ").join(conditions)


def _unchanged(target: Target, state: SavedState, mirror: str, key_types: dict[str, str], named: sql.Composable) -> sql.Composed:
    pairs = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in key_types.items()]
    return statement(
        "unchanged_since",
        key_types=sql.SQL(", ").join(pairs),
        key_columns=sql.Literal(list(key_types)),
        same_key=equal(list(key_types), "touched", "mirror"),
        named=named,
        **_places(target, state, mirror),
    )


def _places(target: Target, state: SavedState, mirror: str) -> dict[str, sql.Composable]:
    return {
        "schema": sql.Identifier(target.schema),
        "source": sql.Literal(state.source.name),
        "label": sql.Literal(mirror),
        "mark": sql.Literal(state.mark),
    }
