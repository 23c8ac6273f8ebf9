"""What restore.py tells: nothing else in a restore speaks, but for the drill, and this does nothing but remember the outcome."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lib.base import log, owners, printable
from lib.base.errors import UNTOUCHED, Problem, typed
from lib.base.script import SAVED, Console, judged
from lib.base.words import plural, size, with_iso
from lib.postgres.books.points import Kept
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring import rows_shown
from lib.restoring.best_target import Candidate
from lib.restoring.local_state import LocalState
from lib.restoring.one_table import Patched
from lib.restoring.options import RestoreOptions
from lib.restoring.rebuild import Rebuilt
from lib.settings.targets import TargetSettings
from lib.sqlite.compare.count_differences import Difference
from lib.sqlite.files import other_names
from lib.sqlite.replacing import safety_copies


class Report:
    """The outcome of one call of restore.py; `restored`, `tables` and `rows` are as `--json` shows them."""

    def __init__(self, console: Console, options: RestoreOptions):
        self._say, self._console, self._options = console.say, console, options
        self.restored: list[dict[str, Any]] = []
        self.tables: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []
        self.failures: list[Problem] = []
        self.warned: list[str] = []

    @contextlib.contextmanager
    def attempted(self, kind: type[Problem] = Problem) -> Iterator[None]:
        """One source that cannot be restored does not stop the others."""
        try:
            yield
        except kind as problem:
            problem.untouched = problem.untouched or UNTOUCHED
            self.failures.append(problem)
            self._console.fail(problem)

    def _warn(self, text: str) -> None:
        self.warned.append(text)
        self._console.warn(text)

    def link(self, path: Path, real: Path) -> None:
        """Say where a database really is, if that is elsewhere."""
        if os.path.abspath(path) != str(real):
            self._say(f"  {path} is a link to {real}")

    def candidates(self, candidates: list[Candidate], best: Candidate) -> None:
        """Say of every target how its backup is, and mark the best one."""
        for candidate in candidates:
            mark = "✅" if candidate is best else "  "
            self._say(f"{mark} target {candidate.target.number}, {candidate.target.host}: {candidate.described}")

    def chosen(self, target: TargetSettings) -> None:
        """Say which of several targets is used."""
        self._say(f"Target {target.number} has the newest backup, and is used (--target N to choose another).")

    def points(self, target: TargetSettings, points: list[dict[str, Any]], others: int, copies: list[Path]) -> int:
        """Say the restore points of every source, newest first, and what earlier restores replaced; return the exit status."""
        self._say(f"Restore points in {target.label}:")
        for point in points:
            self._point(point)
        if others:
            self._say(f"   and {others:,} more:  python3 restore.py --list --since 2026-11-01  or  --last {others + len(points)}")
        for copy in copies:
            files = safety_copies.files_of(copy)
            count, names = sum(file.lstat().st_size for file in files), " ".join(map(typed, files))
            self._say(f"   replaced by a restore and kept: {copy}, {size(count)}\n   to remove it for ever:  rm {names}")
        runs = with_iso(points, ("finished_at", "proven_at", "at"))
        told = {"runs": runs, "not_listed": others, "kept_files": list(map(str, copies))}
        self._console.result({"outcome": "saved", **told, "target": target.host, "number": target.number})
        return SAVED

    def _point(self, point: dict[str, Any]) -> None:
        mark = "✅" if point["restorable"] else "  "
        proven = f", proven by the drill of {point['proven_at']} UTC" if point["proven_at"] else ""
        lost = f", without {', '.join(map(printable.name, point['lost']))}" if point["lost"] else ""
        self._say(
            f"{mark} run {point['run']}  {point['source']}  {point['finished_at']} UTC  {plural(point['rows'], 'row')}, "
            f"{plural(point['changes'] or 0, 'change')}, {size(point['bytes'] or 0)}{proven}{lost}{_kept(point['kept'])}"
        )

    def kept(self, target: TargetSettings, runs: list[tuple[str, int]], what: str) -> int:
        """Say of which source which run is kept, or is so no longer; return the exit status."""
        for source, run in runs:
            self._say(f"✅ {source}: run {run} in {target.label} {what}")
        told = [{"source": source, "run": run} for source, run in runs]
        self._console.result(
            {"outcome": "saved", "runs": told, "warnings": self.warned, "target": target.host, "number": target.number}
        )
        return SAVED

    def plan(self, target: TargetSettings, states: dict[str, SavedState], places: dict[str, Path]) -> None:
        """Say what is rebuilt from a target, and what becomes of the files that are there."""
        if states:
            self._say(f"Restore from {target.label}:")
        for name, state in states.items():
            place = places[name]
            self._say(f"  {name}: run {state.run}, {state.finished_at} UTC, {plural(state.rows, 'row')} → {place}")
            if place.exists():
                self._say(f"    the file that is there ({size(place.stat().st_size)}) is kept beside it")
            if other_names.is_mounted(place):
                self._say("    that file is a mount: it is written in place, and what is kept beside it is outside the mount")
            elif other_names.has_links(place):
                self._say("    that file has a second name (a hard link), which goes on leading to the old one")

    def snapshots(self, states: dict[str, LocalState], places: dict[str, Path]) -> None:
        """Say what is put in place without the network."""
        for name, state in states.items():
            self._say(f"  {name}: the snapshot of run {state.run}, {state.finished_at} UTC → {places[name]}")

    def safety_copies(self, copies: dict[str, Path], places: dict[str, Path]) -> None:
        """Say what is put back."""
        for name, copy in copies.items():
            self._say(f"  {name}: {copy.name} → {places[name]}")

    def rebuilding(self, name: str) -> None:
        """Say, to whoever watches, which source it is the turn of."""
        self._console.note(f"rebuilding {name} …")

    def unreadable(self, source: str, reason: str) -> None:
        """Say why the file that is there cannot be compared, if so: in an emergency that is what one expects."""
        if reason:
            self._warn(f"the present file of {source} cannot be compared, and counts as if it were not there: {reason}")

    def differences(self, source: str, differences: list[Difference]) -> None:
        """Say, for every table, its rows now and then, and what would be added, changed and removed."""
        for table in differences:
            self.tables.append({"source": source, **vars(table)})
            self._say(
                f"    {source}.{printable.name(table.table)}: {table.rows_now:,} rows now, {table.rows_then:,} then: "
                f"{table.added:,} added, {table.changed:,} changed, {table.removed:,} removed"
            )

    def warnings(self, texts: Iterable[str]) -> None:
        """Say what is not as it was asked for, or cannot be put back, before anything is."""
        for text in texts:
            self._warn(text)

    def rows_put_back(self, patched: Iterable[Patched]) -> None:
        """Say of each row that is put back by itself how it is now, and how it was."""
        for built in patched:
            for now, then in built.table.changes:
                self.rows.append({"now": rows_shown.as_json(now), "then": rows_shown.as_json(then)})
                key = rows_shown.listed({name: then[name] for name in built.table.key})
                self._say(f"    {built.source}.{built.table.name} {key}: {rows_shown.difference(now, then)}")

    def exported(self, built: Rebuilt, path: Path) -> None:
        """Say where everything of a source is now, for other tools."""
        self.restored.append({"source": built.source, "run": built.run, "rows": built.rows, "path": str(path), "kept": None})
        self._say(f"✅ {path}: {plural(built.rows, 'row')} of run {built.run}, {built.compared}")

    def put_in_place(self, built: Rebuilt, safety_copy: Path | None) -> None:
        """Say what was restored, where what it has replaced is, and what is left for the bot to do."""
        name, place, rows = built.source, built.place, plural(built.rows, "row")
        told: dict[str, Any] = {"source": name, "run": built.run, "rows": built.rows, **_where(place, safety_copy)}
        said = f"{rows} of run {built.run}, {built.compared}"
        if isinstance(built, Patched):
            told |= {"table": built.table.name, "warnings": built.table.warnings}
            said = f"{rows} of {built.table.name} from run {built.run}, {built.compared}"
        self.restored.append(told)
        log.info(f"restored {place}: {said}" + (f"; the old file is {safety_copy}" if safety_copy else ""))
        self._say(f"✅ {place}: {said}")
        if safety_copy and safety_copy.is_dir():
            self._say(f"   a folder was in its place, and is {safety_copy} now")
        elif safety_copy:
            self._say(f"   the old file is {safety_copy}\n   to undo:  python3 restore.py --undo --database {typed(name)}")
        elif self._options.replaces_the_bots_files and (ours := owners.roots_alone(place)):
            self._say(f"   root alone can use it: if the bot is another user,  chown USER {' '.join(map(typed, ours))}")
        if built.missing:
            self._warn(
                f"{name} uses what only the bot knows ({', '.join(sorted(set(built.missing)))}): "
                "let the bot run REINDEX before it goes to work."
            )

    def put_back(self, name: str, place: Path, copy: Path, safety_copy: Path | None) -> None:
        """Say what was put back, and where what it has replaced is."""
        self.restored.append({"source": name, **_where(place, safety_copy)})
        self._say(f"✅ {place} is again what was kept as {copy.name}")
        if safety_copy:
            self._say(f"   what was there until now is {safety_copy}")

    def close(self) -> int:
        """Say the outcome, and return the exit status."""
        if not self.restored:
            self._say(f"Nothing was done. {UNTOUCHED}")
        outcome, status = judged(bool(self.restored), bool(self.failures))
        told: dict[str, Any] = {
            "outcome": outcome,
            "restored": self.restored,
            "tables": self.tables,
            "rows": self.rows,
            "warnings": self.warned,
        }
        if self.failures:
            told |= {"error": "\n".join(problem.what for problem in self.failures), "try": self.failures[0].remedy}
        self._console.result(told)
        return status


def _where(place: Path, safety_copy: Path | None) -> dict[str, str | None]:
    return {"path": str(place), "kept": str(safety_copy) if safety_copy else None}


def _kept(kept: Kept | None) -> str:
    return f", kept for ever by {kept['by']} since {kept['at']} UTC: {printable.name(kept['why'])}" if kept else ""
