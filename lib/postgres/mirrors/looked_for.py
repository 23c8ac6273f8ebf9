"""What Postgres can leave out of the rows that are looked for: never one that meets the conditions, which are judged here."""

from collections.abc import Mapping, Sequence

from psycopg2 import sql

from lib.base import printable
from lib.postgres.link.statements import statement
from lib.tables.conditions import Condition
from lib.tables.plan import Mirror, PlannedColumn, TablePlan

EVERY: sql.Composable = sql.SQL("true")
NONE: sql.Composable = sql.SQL("false")
LEAST, MOST = -(2**63), 2**63 - 1
# Whole records first: what they do not have, none of their lines has.
IN_TURN = (("undo_log", "lines"), ("given", "line"))


def in_mirror(table: TablePlan, mirror: Mirror, conditions: Sequence[Condition]) -> sql.Composable:
    """Return the condition on a mirror's rows."""
    present = {name: column["type"] for name, column in mirror.columns.items()}
    return sql.SQL(" AND ").join([_in_mirror(_column(table, one), present, one) for one in conditions] + [EVERY])


def in_records(table: TablePlan, conditions: Sequence[Condition]) -> sql.Composable:
    """Return the condition on what names rows in the undo log: on its records, and on each line.

    All that is logged of a row has its key, and so may be left out where that is another one.
    """
    found = list[sql.Composable]()
    for one in conditions:
        column = _column(table, one)
        for place in IN_TURN if column.is_key else ():
            if cell := _cell(column, one, place):
                other_key = sql.SQL("NOT {} = ANY (undo_log.key_columns)").format(sql.Literal(column.mirror_name))
                found.append(sql.SQL("({} OR {})").format(other_key, cell))
    return sql.SQL(" AND ").join([*found, EVERY])


def in_lines(table: TablePlan, conditions: Sequence[Condition]) -> sql.Composable:
    """Return the condition on the lines of the undo log that hold whole rows."""
    cells = (_cell(_column(table, one), one, IN_TURN[-1]) for one in conditions)
    return sql.SQL(" AND ").join([*filter(None, cells), EVERY])


def _column(table: TablePlan, condition: Condition) -> PlannedColumn:
    return next(column for column in table.columns if column.name == condition.column)


def _in_mirror(column: PlannedColumn, present: Mapping[str, str], condition: Condition) -> sql.Composable:
    # What somebody has given another type is converted when it is read; a row that cannot be may be one that is left out.
    if condition.operator != "=" or present.get(column.mirror_name) != column.mirror_type:
        return EVERY
    cell, value = sql.Identifier("mirror", column.mirror_name), _value(column, condition)
    if condition.text is None:
        return sql.SQL("{} IS NULL").format(cell)
    return NONE if value is None else sql.SQL("{} = {}").format(cell, value)


def _value(column: PlannedColumn, condition: Condition) -> sql.Composable | None:
    """Return what was typed as the mirror has it; None where no cell of it can be that."""
    number, text, kind = condition.number, condition.text or "", column.mirror_type
    if kind == "text":
        return None if "\0" in text or printable.is_no_text(text) else sql.Literal(text)
    if kind == "bytea":
        return None if condition.blob is None else sql.SQL("decode({}, 'hex')").format(sql.Literal(condition.blob.hex()))
    if number is None:
        return None
    if kind == "double precision":
        return sql.SQL("{}::double precision").format(sql.Literal(repr(float(number))))
    if number != number // 1 or not LEAST <= number <= MOST:
        return None
    whole = int(number)
    return sql.SQL("{}::bigint").format(sql.Literal(whole)) if kind == "bigint" else _boolean(whole)


def _boolean(number: int) -> sql.Composable | None:
    return sql.Literal(bool(number)) if number in (0, 1) else None


def _cell(column: PlannedColumn, condition: Condition, place: tuple[str, str]) -> sql.Composable | None:
    """Return the condition that JSON lines may have this value; None where Postgres cannot tell."""
    if condition.operator != "=" or condition.text is None or column.mirror_type not in ("bigint", "text"):
        return None
    value = _value(column, condition)
    named = {"column": sql.Literal(column.mirror_name), "lines": sql.Identifier(*place)}
    return statement("has_cell", value=value, **named) if value else None
