"""Rows that are looked for: as a run has left them, and every version of them."""

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from lib.base.errors import UNTOUCHED, Problem
from lib.postgres.link.connection import Target
from lib.postgres.link.copy_files import Take
from lib.postgres.mirrors import row_versions, saved_state
from lib.postgres.mirrors.row_versions import INSERT, Version
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring.rebuild import UNREADABLE
from lib.sqlite.building import insert_rows
from lib.sqlite.lines import parse_misfit
from lib.tables import conditions as wanted
from lib.tables.conditions import Condition
from lib.tables.plan import TablePlan, folded
from lib.tables.values import Row, Value, is_same

# Rows are sorted by kind, then by value.
KINDS = (type(None), int, float, str, bytes)


@dataclass(frozen=True)
class Step:
    """What a run, a live batch or people made of a row: `before` and `after`, None where it was not there.

    `at` is in Unix seconds.
    """

    run: int | None
    is_live: bool
    at: float
    by: str
    before: Row | None
    after: Row | None


@dataclass(frozen=True)
class Story:
    """One row, by its key, and what became of it, oldest first; `first` is how it was at the oldest point that is known."""

    key: Row
    first: Row | None
    steps: list[Step] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """Return the row as it was each time that it was there."""
        return [row for row in (self.first, *(step.after for step in self.steps)) if row is not None]


def table_of(state: SavedState, name: str) -> TablePlan:
    """Return the plan of a table of the state that has it, however its name is written."""
    return min((table for table in state.tables if folded(table.name) == folded(name)), key=lambda table: table.name != name)


def conditions_of(table: TablePlan, typed: Sequence[str]) -> list[Condition]:
    """Return what was typed as conditions on the table's columns; raise SettingsError where it is none."""
    return [wanted.of(text, [column.name for column in table.columns]) for text in typed]


def conditions_in(states: dict[str, SavedState], table: str, typed: Sequence[str]) -> list[Condition]:
    """Return what was typed as conditions on the columns of a table of the only state."""
    return [condition for state in states.values() if typed for condition in conditions_of(table_of(state, table), typed)]


def find(target: Target, state: SavedState, table: TablePlan, conditions: Sequence[Condition]) -> list[Row]:
    """Return the rows that meet the conditions, as the state has them, by their key."""
    found: list[Row] = []

    def taking(values_of: Callable[[bytes], Sequence[object]]) -> Take:
        def take(lines: list[bytes]) -> None:
            rows = (_row(table, values_of(line)) for line in lines)
            found.extend(row for row in rows if wanted.all_hold(conditions, row))

        return take

    cells, old_cells = functools.partial(insert_rows.values_of_cells, table), functools.partial(_old_cells, table)
    try:
        if table.mirror:
            saved_state.read_rows(target, state, table, taking(cells), taking(old_cells), conditions)
        saved_state.read_misfits(target, state, table, taking(_misfit), taking(_old_misfit))
    except UNREADABLE as error:
        raise _unreadable(state, table) from error
    return sorted(found, key=lambda row: _order(_key(table, row)))


def _old_cells(table: TablePlan, line: bytes) -> Sequence[object]:
    return insert_rows.values_of(table, insert_rows.unescaped(line))


def _misfit(line: bytes) -> Sequence[object]:
    return [*parse_misfit.read(insert_rows.unescaped(line))]


def _old_misfit(line: bytes) -> Sequence[object]:
    return [*parse_misfit.read(json.loads(insert_rows.unescaped(line))["line"])]


def stories(
    target: Target, state: SavedState, table: TablePlan, conditions: Sequence[Condition], up_to: int | None = None
) -> list[Story]:
    """Return what became of each row that meets the conditions now, or has ever done so, by its key: until now, or a mark."""
    plans = _Plans(table, saved_state.plans_over_time(target, state.source.name, table.name))
    try:
        lives = _lives(row_versions.of_misfits(target, state, table), plans.misfit_row)
        also = [_key(table, row) for life in lives for row in life.rows if wanted.all_hold(conditions, row)]
        if table.mirror:
            lives += _lives(row_versions.of_rows(target, state, table, conditions, also), plans.mirror_row)
    except UNREADABLE as error:
        raise _unreadable(state, table) from error
    of_key: dict[tuple[object, ...], tuple[Row, list[_Life]]] = {}
    for life in lives:
        key = _key(table, life.rows[0])
        of_key.setdefault(_order(key), (key, []))[1].append(life if up_to is None else life.up_to(up_to))
    told = [_story(*of_key[order]) for order in sorted(of_key)]
    return [story for story in told if any(wanted.all_hold(conditions, row) for row in story.rows)]


@dataclass
class _Life:
    """The versions of a mirror's row, or of a misfit: as it was before each, and now. `line` is the oldest that is known."""

    versions: list[Version]
    states: list[Row | None]
    line: dict[str, object]

    @property
    def rows(self) -> list[Row]:
        """Return the row as it was each time that it was there."""
        return [state for state in self.states if state is not None]

    def up_to(self, mark: int) -> "_Life":
        """Return it as it was at a mark."""
        versions = [version for version in self.versions if (version.record or 0) <= mark]
        return _Life(versions, self.states[: len(versions) + 1], self.line)


@dataclass(frozen=True)
class _Plans:
    """How the lines of a table are read: `earlier` plans, each from a mark on, oldest first, and the one of the state."""

    table: TablePlan
    earlier: list[tuple[int, TablePlan]]

    def _before(self, version: Version) -> list[TablePlan]:
        """Return the plan of the row that a version holds, and others that may be it, where that one was thinned away."""
        if version.record is None:
            return [self.table, *(plan for _, plan in reversed(self.earlier))]
        record = version.record
        later = [plan for mark, plan in self.earlier if mark >= record]
        return [*reversed([plan for mark, plan in self.earlier if mark < record]), *later, self.table]

    def mirror_row(self, version: Version) -> Row:
        plan = next(plan for plan in self._before(version) if plan.mirror)
        return _row(plan, insert_rows.values_of(plan, version.line))

    def misfit_row(self, version: Version) -> Row:
        values = [*parse_misfit.read(json.loads(version.line)["line"])]
        return _row(next(plan for plan in self._before(version) if len(plan.columns) == len(values)), values)


def _lives(versions: Sequence[Version], row: Callable[[Version], Row]) -> list[_Life]:
    """Go back from what is there now: each version says how the row was before that its key names."""
    lives, there = list[_Life](), {version.key: dict[tuple[str, ...], _Life]() for version in versions}
    for version in reversed(versions):
        line = json.loads(version.line)
        life = there[version.key].get(_named(version.key, line)) if not version.is_now else None
        if not life:  # it is there now, or was deleted
            life = _Life([], [] if version.is_now else [None], {})
            lives.append(life)
        else:
            for key, named in there.items():
                named.pop(_named(key, life.line), None)
        if not version.is_now:
            life.versions.insert(0, version)
        life.states.insert(0, None if version.operation == INSERT else row(version))
        if version.operation != INSERT:
            life.line = line
            for key, named in there.items():
                named[_named(key, line)] = life
    return [life for life in lives if life.rows]


def _named(key: Sequence[str], line: dict[str, object]) -> tuple[str, ...]:
    """Return the key's values in a line: another type of the column may have written the same one otherwise."""
    return tuple(f"{line.get(name)}" for name in key)


def _story(key: Row, lives: Sequence[_Life]) -> Story:
    """Tell what a run did with all of them at once: a row that no longer fits its mirror has not vanished."""
    now = [life.states[0] for life in lives]
    story = Story(key, first := _seen(now))
    every = ((place, at, version) for place, life in enumerate(lives) for at, version in enumerate(life.versions))
    events = sorted(every, key=lambda event: (event[-1].record or 0, event[:2]))
    for number, (place, at, version) in enumerate(events):
        now[place] = lives[place].states[at + 1]
        following = events[number + 1][-1] if number + 1 < len(events) else None
        if following and _is_together(version, following):
            continue
        after = _seen(now)
        if changed(first, after):
            story.steps.append(Step(version.run, version.is_live, version.at, version.by, first, after))
        first = after
    return story


def _is_together(one: Version, other: Version) -> bool:
    return one.run == other.run and (one.run is not None or one.at == other.at)


def _seen(states: Sequence[Row | None]) -> Row | None:
    return next((state for state in states if state is not None), None)


def changed(before: Row | None, after: Row | None) -> list[str]:
    """Return the columns that differ, to the bit: 1 is not 1.0, and 0.0 not -0.0. Of a row that is not there, all of them."""
    one, other = before or {}, after or {}
    is_other = before is None or after is None
    return [name for name in dict.fromkeys([*one, *other]) if is_other or not is_same(one.get(name), other.get(name))]


def _row(table: TablePlan, values: Sequence[object]) -> Row:
    return dict(zip((column.name for column in table.columns), map(_value, values), strict=True))


def _value(value: object) -> Value:
    """Return a value as it is looked for and shown: text is text, whatever bytes it has."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, parse_misfit.BadText) else cast("Value", value)


def _key(table: TablePlan, row: Row) -> Row:
    """Return a row's key: where none is known, the rowid, or all of it."""
    names = [column.name for column in table.key] or [column.name for column in table.columns if column.is_rowid]
    return {name: row[name] for name in names} if names and {*names} <= row.keys() else row


def _order(row: Row) -> tuple[object, ...]:
    return tuple(
        (next(at for at, kind in enumerate(KINDS) if isinstance(value, kind)), 0 if value is None else value)
        for value in row.values()
    )


def _unreadable(state: SavedState, table: TablePlan) -> Problem:
    what = f"what is stored of {state.source.name}.{table.printable} was tampered with or is damaged."
    return Problem(what, "python3 backup.py --verify  shows whether somebody changed the mirror by hand", UNTOUCHED)
