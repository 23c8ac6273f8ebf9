"""What a target holds of some rows over time: every version in the undo log, and the rows as they are now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from lib.base import printable
from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import equal, statement
from lib.postgres.mirrors import looked_for, upkeep
from lib.postgres.mirrors.saved_state import MISFIT_KEY, MISFITS, SavedState
from lib.tables.conditions import Condition
from lib.tables.plan import TablePlan

INSERT = "insert"


@dataclass(frozen=True)
class Version:
    """A line of the undo log: the row as it was before, or, of an insert, its key alone.

    Without a record it is the row as it is now. `at` is in Unix seconds, `key` are the columns that name the row.
    What people have done has no `run`; `is_live` is whether that is a live process's batch.
    """

    record: int | None
    run: int | None
    at: float
    by: str
    operation: str
    key: tuple[str, ...]
    line: str
    is_live: bool

    @property
    def is_now(self) -> bool:
        return self.record is None


def of_rows(
    target: Target, state: SavedState, table: TablePlan, conditions: Sequence[Condition], also: Sequence[Mapping[str, object]]
) -> list[Version]:
    """Return the versions of a mirror's rows that meet the conditions at any time, and maybe of others, oldest first.

    `also` has the keys of other rows that are wanted, by the source's columns.
    """
    mirror = state.mirrors.get(table.mirror)
    if not mirror:
        return []
    if not mirror.key:
        raise Problem(
            f"{state.source.name}.{table.printable}: somebody has taken the key from its mirror.", "python3 backup.py  mends it"
        )
    return _read(
        target,
        state.source.name,
        table.mirror,
        {name: mirror.columns[name]["type"] for name in mirror.key},
        named=looked_for.in_records(table, conditions),
        met_before=looked_for.in_lines(table, conditions),
        met_now=looked_for.in_mirror(table, mirror, conditions),
        mirror=sql.Identifier(state.source.mirror_schema, table.mirror),
        only=upkeep.only(mirror),
        of_source=looked_for.EVERY,
        also=sql.Literal(json.dumps([_as_json(table, key, mirror.key) for key in also])),
    )


def of_misfits(target: Target, state: SavedState, table: TablePlan) -> list[Version]:
    """Return the versions of all misfits of a table, oldest first."""
    label, of_source = sql.Literal(table.label), statement("misfit_of_source", source=sql.Literal(state.source.name))
    return _read(
        target,
        state.source.name,
        MISFITS,
        MISFIT_KEY,
        named=looked_for.EVERY,
        met_before=statement("old_misfit_of_table", label=label),
        met_now=sql.SQL("{} AND mirror.table_name = {}").format(of_source, label),
        mirror=sql.Identifier(target.schema, MISFITS),
        only=sql.SQL("ONLY"),
        of_source=of_source,
        also=sql.Literal("[]"),
    )


def _as_json(table: TablePlan, row: Mapping[str, object], key: Sequence[str]) -> dict[str, object]:
    """Return a key as the undo log has it; what no mirror can hold is no key of one."""
    values = {column.mirror_name: (column.mirror_type, row.get(column.name)) for column in table.columns}
    pairs = {name: values.get(name, ("", None)) for name in key}
    return {name: bool(value) if kind == "boolean" else value for name, (kind, value) in pairs.items() if _is_sayable(value)}


def _is_sayable(value: object) -> bool:
    is_text = isinstance(value, str) and not printable.is_no_text(value) and "\0" not in value
    return is_text or (isinstance(value, int | float) and abs(value) != float("inf"))


def _read(target: Target, source: str, label: str, key_types: dict[str, str], **parts: sql.Composable) -> list[Version]:
    pairs = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in key_types.items()]
    query = statement(
        "row_versions",
        schema=sql.Identifier(target.schema),
        source=sql.Literal(source),
        label=sql.Literal(label),
        key_columns=sql.Literal(list(key_types)),
        key_types=sql.SQL(", ").join(pairs),
        same_key=equal(list(key_types), "touched", "mirror"),
        **parts,
    )
    return [
        Version(record, run, at or 0.0, by, what, tuple(key or ()), line, bool(is_live))
        for record, run, at, by, what, key, line, is_live, _ in target.rows(query)
    ]
