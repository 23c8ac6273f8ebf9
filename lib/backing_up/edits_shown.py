"""Answer `backup.py --edits` and `--undo-edits`: which edits would come into the bot's files, which have, and which go back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lib.backing_up import edits
from lib.backing_up.edit_note import EditNote
from lib.backing_up.options import BackupOptions
from lib.base import script
from lib.base.errors import UNTOUCHED, Problem, SettingsError
from lib.base.words import plural
from lib.postgres.books import edits as books
from lib.postgres.books import runs
from lib.postgres.books.edits import Judged
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.settings.accepted import NAME
from lib.settings.config import Settings
from lib.sqlite.snapshots import snapshot as snapshots

Shown = dict[str, Any]


class Tried(NamedTuple):
    """What a run would keep of edits that came before a crash, and what it would make of the others."""

    settled: list[Judged]
    judged: list[Judged]


def show(settings: Settings, sources: Mapping[str, Path], console: script.Console) -> int:
    """Say what a run would make of the edits that nobody has judged, tried on a copy of each file, and show the newest ones."""
    with Target(settings.targets[0], settings.schema) as target:
        pending = {name: _tried(target, settings, name, path) for name, path in sources.items()}
        before = books.newest(target, [*sources])
    if not settings.accepted.items:
        console.say(f"No edit comes back: {NAME} is empty.")
    for name, (settled, judged) in pending.items():
        console.say(f"{name}: {plural(len(settled) + len(judged), 'edit')} would be judged now")
        for one in settled:
            _say(console, "", one)
        for one in judged:
            _say(console, "", one, is_pending=True)
    console.say(f"The newest edits that were judged:{'' if before else ' none'}")
    for source, run, one in before:
        _say(console, f"{f'run {run}' if run else 'no run yet'}, {source}.", one)
    now = [{"source": name} | _shown(one) for name, tried in pending.items() for judged in tried for one in judged]
    kept = [{"source": source, "run": run} | _shown(one) for source, run, one in before]
    console.result({"outcome": "saved", "pending": now, "edits": kept})
    return script.SAVED


def _tried(target: Target, settings: Settings, name: str, path: Path) -> Tried:
    """Bring what is pending into a copy of the file, which is thrown away, and return what became of it there."""
    with target.rehearsal():
        pending = books.pending(target, name)
        left = edits.untold(EditNote(settings, name, pending.place), target, settings, name, pending)
        if left:
            books.keep(target, name, left.judged, left.up_to)
            pending = books.pending(target, name)
        settled = left.judged if left else []
        if not (pending.found and settings.accepted.items):
            return Tried(settled, [])
        told, _ = runs.look(target, name, {})
        plans = edits.by_mirror(saved_state.last_plan(target, name))
        with snapshots.taken(path, settings.snapshots, settings.check) as copy:
            return Tried(settled, edits.brought(copy.copy.path, edits.looked_at(settings, path, told, plans, pending), settings))


def _say(console: script.Console, before: str, one: Judged, *, is_pending: bool = False) -> None:
    console.say(f"   {before}{one.as_sentence(is_pending=is_pending)}")
    for column, (base, theirs) in one.values.items():
        console.say(f"      {column}: {base!r} → {theirs!r}")


def _shown(one: Judged) -> Shown:
    return one.shown | {"values": {column: list(values) for column, values in one.values.items()}}


def take_back(settings: Settings, run: int, options: BackupOptions, console: script.Console) -> list[str]:
    """Take back what a run has sent of edits, where the rows are still as they came; return the sources that this changed."""
    with Target(settings.targets[0], settings.schema) as target:
        for name in settings.sources:
            edits.settle(target, settings, name)
        found = books.of_run(target, run)
        if not found:
            raise Problem(f"run {run} has sent no edits that could be taken back.", "python3 backup.py --edits", UNTOUCHED)
        if gone := sorted(found.keys() - settings.sources.keys()):
            raise SettingsError(f"{', '.join(gone)} is no source any more.", "add its path to SQLITE_DATABASES", UNTOUCHED)
        for name, back in found.items():
            for one in edits.judge(target, settings, name, options, back):
                if one.is_in:  # the run that follows tells of the others
                    console.say(f"{name}.{one.as_sentence()}")
    return [*found]
