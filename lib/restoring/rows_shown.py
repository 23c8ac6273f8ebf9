"""Answer `restore.py --find` and `--history`: rows as a table, as JSON or as CSV, and what became of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.base import printable
from lib.base.errors import UNTOUCHED, SettingsError
from lib.base.script import SAVED, Console
from lib.base.words import beginning, clock, iso, plural
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring import beside, csv_files, found_rows
from lib.restoring.found_rows import Step, Story
from lib.restoring.options import RestoreOptions
from lib.settings import paths
from lib.tables.plan import TablePlan
from lib.tables.values import Row, Value, as_text

# What is longer is shown whole by --json and --csv.
WIDEST, MOST_SHOWN = 40, 1000


def tell(target: Target, states: dict[str, SavedState], options: RestoreOptions, console: Console) -> int:
    """Say the rows that were asked for, of the one source that has the table, or their stories."""
    ((source, state),) = states.items()
    table = found_rows.table_of(state, options.of_rows)
    conditions = found_rows.conditions_of(table, options.where)
    about = {"outcome": "saved", "source": source, "table": table.name, "run": state.run, "finished_at": iso(state.finished_at)}
    named = f"{source}.{table.printable}"
    newest = saved_state.read_state(target, source) if options.at else state
    if doubt := saved_state.why_doubtful(target, newest, table.label):
        console.warn(f"{named}: {doubt}: rows may be missing here:  python3 backup.py --verify")
    if options.history:
        found = found_rows.stories(target, state, table, conditions, state.mark if options.at else None)
        stories = _since(found, options.since)
        _say_stories(named, stories, console)
        console.result(about | {"rows": [_story_as_json(story) for story in stories]})
    else:
        rows = found_rows.find(target, state, table, conditions)
        console.say(f"{named} as run {state.run} left it, {state.finished_at} UTC: {plural(len(rows), 'row')}")
        _say_rows(table, rows, options.csv, console)
        console.result(about | {"rows": [as_json(row) for row in rows]})
    return SAVED


def _say_rows(table: TablePlan, rows: Sequence[Row], file: str, console: Console) -> None:
    """Print rows below the names of their columns, or write them into a file where one is named."""
    if file:
        console.say(f"✅ {_write(file, table, rows)}")
        return
    head = [printable.name(column.name) for column in table.columns]
    lines = [head, *([_shown(value) for value in row.values()] for row in rows[:MOST_SHOWN])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines if rows else ():
        console.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if len(rows) > MOST_SHOWN:
        console.say(f"and {len(rows) - MOST_SHOWN:,} more:  python3 restore.py … --csv rows.csv")


def _say_stories(named: str, stories: Sequence[Story], console: Console) -> None:
    if not stories:
        console.say(f"{named}: no such row, as far back as the undo log goes.")
    for story in stories:
        console.say(f"{named} {listed(story.key)}")
        if story.first:
            console.say(f"   before: {listed(story.first)}")
        for step in story.steps:
            console.say(f"   {clock(step.at)}  {_who(step)}: {difference(step.before, step.after)}")
        if not story.steps:
            console.say("   not changed since")


def _who(step: Step) -> str:
    return f"{'live batch' if step.is_live else 'run'} {step.run}" if step.run else f"by hand, {step.by}"


def _since(stories: list[Story], text: str) -> list[Story]:
    """Return what became of the rows from a moment on, where anything did; all of it where no moment is named."""
    since = beginning(text) if text else None
    if text and not since:
        raise SettingsError(f"{text!r} is a run: --since is for a time.", "--since 2026-11-01", UNTOUCHED)
    return [later for story in stories if (later := _later(story, since.timestamp())).steps] if since else stories


def _later(story: Story, at: float) -> Story:
    earlier = [step for step in story.steps if step.at < at]
    return Story(story.key, earlier[-1].after if earlier else story.first, story.steps[len(earlier) :])


def listed(row: Row) -> str:
    """Return a row in one line."""
    return ", ".join(f"{printable.name(name)} = {_shown(value)}" for name, value in row.items())


def _shown(value: Value) -> str:
    text = printable.name(as_text(value))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _write(file: str, table: TablePlan, rows: Sequence[Row]) -> Path:
    path = paths.typed("--csv", file).absolute()
    with beside.explained(path, "cannot be written", ""):
        try:
            csv_files.write(path, [column.name for column in table.columns], (row.values() for row in rows))
        except FileExistsError:
            raise SettingsError(f"{path} is there already, and is not replaced.", "--csv with another name", UNTOUCHED) from None
    return path


def _story_as_json(story: Story) -> dict[str, Any]:
    return {"key": as_json(story.key), "first": as_json(story.first), "versions": [_step_as_json(step) for step in story.steps]}


def _step_as_json(step: Step) -> dict[str, Any]:
    rows = {"before": as_json(step.before), "after": as_json(step.after)}
    return {"at": iso(clock(step.at)), "run": step.run, "is_live": step.is_live, "by": step.by, **rows}


def difference(before: Row | None, after: Row | None) -> str:
    """Return from what to what a row changes, column by column."""
    if after is None:
        return "vanished"
    if before is None:
        return f"appeared, {listed(after)}"
    names = found_rows.changed(before, after)
    return ", ".join(f"{printable.name(name)} {_shown(before.get(name))} → {_shown(after.get(name))}" for name in names)


def as_json(row: Row | None) -> dict[str, Any] | None:
    """Return a row as `--json` shows it."""
    return row and {name: _json_value(value) for name, value in row.items()}


def _json_value(value: Value) -> Any:
    """Return a value as JSON has it: bytes in hexadecimal, and what JSON has no number for as its name."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    is_number = not isinstance(value, float) or abs(value) != float("inf")
    return value if is_number else {"real": f"{value}"}
