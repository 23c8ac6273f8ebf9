"""What restore.py tells: what can be restored, the plan, what would change, and what was replaced."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from lib.backing_up import local_runs
from lib.base import log, printable, script
from lib.base.errors import Problem, SourceError
from lib.base.words import moment, plural, size
from lib.postgres.books import origin
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring import local_state, rebuild
from lib.restoring.local_state import LocalState
from lib.restoring.rebuild import Rebuilt
from lib.settings import config
from lib.settings.config import Settings
from lib.sqlite.compare import count_differences
from lib.sqlite.replacing import in_place, safety_copies
from lib.sqlite.snapshots import previous

UNTOUCHED = "The SQLite files were not touched."
LISTED_RUNS = 200


def list_points(target: Target, places: dict[str, Path], console: script.Console) -> int:
    """Print the restore points of each source, newest first, and the files that earlier restores replaced."""
    points = [{"source": name} | point for name in places for point in saved_state.restore_points(target, name)[:LISTED_RUNS]]
    console.say(f"Restore points in {target.settings.label}:")
    for point in points:
        mark = "✅" if point["restorable"] else "  "
        proven = f", proven by the drill of {point['proven_at']} UTC" if point["proven_at"] else ""
        lost = f", without {', '.join(map(printable.name, point['lost']))}" if point["lost"] else ""
        console.say(
            f"{mark} run {point['run']}  {point['source']}  {point['finished_at']} UTC  {plural(point['rows'], 'row')}, "
            f"{plural(point['changes'] or 0, 'change')}, {size(point['bytes'] or 0)}{proven}{lost}"
        )
    kept = {copy: safety_copies.files_of(copy) for path in places.values() for copy in safety_copies.of(path)}
    for copy, files in kept.items():
        count, names = sum(file.lstat().st_size for file in files), " ".join(shlex.quote(str(file)) for file in files)
        console.say(f"   replaced by a restore and kept: {copy}, {size(count)}\n   to remove it for ever:  rm {names}")
    console.result({"runs": points, "kept_files": list(map(str, kept)), "target": target.host, "number": target.settings.number})
    return script.SAVED


class Report:
    """The outcome of one call of restore.py."""

    def __init__(self, console: script.Console):
        self.console = console
        self.restored: list[dict] = []
        self.tables: list[dict] = []
        self.failures: list[Problem] = []

    @contextlib.contextmanager
    def failures_reported(self, kind: type[Problem] = Problem) -> Iterator[None]:
        """One source that cannot be restored does not stop the others."""
        try:
            yield
        except kind as problem:
            problem.untouched = problem.untouched or UNTOUCHED
            self.failures.append(problem)
            self.console.fail(problem)

    def available_states(self, target: Target, places: dict[str, Path], at: str | None) -> dict[str, SavedState]:
        run, before = moment(at) if at else (None, None)
        states = {}
        for name in places:
            with self.failures_reported(SourceError):
                chosen = saved_state.run_at(target, name, run, before) if at else None
                states[name] = saved_state.read_state(target, name, chosen)
        return states

    def with_table(self, states: dict[str, SavedState], table: str) -> dict[str, SavedState]:
        """Keep the one source that has the table."""
        found = {name: state for name, state in states.items() if table in [planned.name for planned in state.tables]}
        if len(found) != 1:
            where = f"{plural(len(found), 'database')} with a table {table}"
            raise SourceError(f"there are {where}.", "write it as in the database, and name the --database", UNTOUCHED)
        return {name: state.only(table) for name, state in found.items()}

    def available_snapshots(self, settings: Settings, places: dict[str, Path], number: int | None) -> dict[str, LocalState]:
        found, targets = {}, [target.number for target in config.chosen_targets(settings, number)]
        for name in places:
            with self.failures_reported(SourceError):
                kept = {target: settings.snapshot_of(name, target) for target in targets}
                found[name] = local_state.newest(kept, name, local_runs.saved(settings, name))
                state = found[name]
                self.console.say(f"  {name}: the snapshot of run {state.run}, {state.finished_at} UTC → {places[name]}")
        return found

    def available_copies(self, places: dict[str, Path], wanted: str) -> dict[str, Path]:
        """Return the file that the last restore replaced, of each source that has one, or the one that was named."""
        found = {}
        for name, place in places.items():
            with self.failures_reported(SourceError):
                copy = safety_copies.named(place, wanted) if wanted else safety_copies.replaced_last(place)
                if copy:
                    found[name] = copy
                    self.console.say(f"  {name}: {copy.name} → {place}")
        with self.failures_reported(SourceError):
            if not found and not self.failures:
                what = f"no restore has kept a file {wanted} here." if wanted else "no restore has replaced a file here."
                raise SourceError(what, "python3 restore.py --list")
        return found

    def plan(self, target: Target, states: dict[str, SavedState], places: dict[str, Path]) -> None:
        if states:
            self.console.say(f"Restore from {target.settings.label}:")
        for name, state in states.items():
            self.console.say(f"  {name}: run {state.run}, {state.finished_at} UTC, {plural(state.rows, 'row')} → {places[name]}")
            if places[name].exists():
                self.console.say(f"    the file that is there ({size(places[name].stat().st_size)}) is kept beside it")
            if in_place.is_mounted(places[name]):
                self.console.say(
                    "    that file is a mount: it is written in place, and what is kept beside it is outside the mount"
                )

    def differences(self, files: dict[str, Rebuilt], present: dict[str, Path], only: str | None) -> None:
        """Show, for every table, its rows now and then, and what would be added, changed and removed."""
        for name, built in files.items():
            for found in rebuild.differences(built, present[name]):
                if only in (None, found.table):
                    self._difference(name, found)

    def _difference(self, source: str, found: count_differences.Difference) -> None:
        self.tables.append({"source": source, **vars(found)})
        self.console.say(
            f"    {source}.{printable.name(found.table)}: {found.rows_now:,} rows now, {found.rows_then:,} then: "
            f"{found.added:,} added, {found.changed:,} changed, {found.removed:,} removed"
        )

    def put_in_place(self, files: dict[str, Rebuilt], states: dict, places: dict[str, Path]) -> None:
        for name, built in files.items():
            with self.failures_reported():
                self._replaced(states[name], places[name], rebuild.put_in_place(built, places[name]), built)

    def _replaced(self, state: SavedState | LocalState, place: Path, kept: Path | None, built: Rebuilt) -> None:
        name, brought = state.source.name, built.brought
        found = {"source": name, "run": state.run, "rows": state.rows, "path": str(place), "kept": str(kept) if kept else None}
        said = f"{plural(state.rows, 'row')} of run {state.run}, every row compared"
        if brought:
            found |= {"rows": brought.rows, "table": brought.table, "warnings": brought.warnings}
            said = f"{plural(brought.rows, 'row')} of {brought.table} from run {state.run}, every row compared; "
            said += "the other tables as they were"
        self.restored.append(found)
        log.info(f"restored {place}: {said}" + (f"; the old file is {kept}" if kept else ""))
        self.console.say(f"✅ {place}: {said}")
        if kept:
            self.console.say(f"   the old file is {kept}\n   to undo:  python3 restore.py --undo --database {name}")
        if built.missing:
            self.console.warn(
                f"{name} uses what only the bot knows ({', '.join(sorted(set(built.missing)))}): "
                "let the bot run REINDEX before it goes to work."
            )

    def brought(self, files: dict[str, Rebuilt]) -> None:
        """Say what of a table cannot be put back, before it is."""
        for built in files.values():
            for warning in built.brought.warnings:
                self.console.warn(warning)

    def exchange(self, copies: dict[str, Path], places: dict[str, Path]) -> None:
        for name, copy in copies.items():
            with self.failures_reported():
                kept = rebuild.put_back(copy, places[name])
                self.restored.append({"source": name, "path": str(places[name]), "kept": str(kept) if kept else None})
                self.console.say(f"✅ {places[name]} is again as it was before the last restore")
                if kept:
                    self.console.say(f"   what that restore had put there is {kept}")

    def note(self, target: Target, settings: Settings) -> None:
        """Tell the target what was restored and where: then the next backup knows why the size has changed, and whose it is."""
        for found in self.restored:
            with self.failures_reported():
                noted = previous.read(settings.snapshot_of(found["source"], target.settings.number))
                about = origin.of(settings.sources[found["source"]], noted).as_told
                target.statement("note_restore", {"source": found["source"], "run": found["run"], **about})

    def close(self) -> int:
        if not self.restored:
            self.console.say(f"Nothing was done. {UNTOUCHED}")
        outcome, status = script.judged(bool(self.restored), bool(self.failures))
        found = {"outcome": outcome, "restored": self.restored, "tables": self.tables}
        if self.failures:
            found |= {"error": "\n".join(problem.what for problem in self.failures), "try": self.failures[0].remedy}
        self.console.result(found)
        return status
