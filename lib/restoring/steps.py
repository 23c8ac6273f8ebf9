"""The steps of a restore: each gives back what it found or did. restore.py has their order, report.py says what they gave."""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from lib.backing_up import local_runs
from lib.base.errors import UNTOUCHED, ConnectionRefused, MayPass, Problem, SettingsError, SourceError, Unreachable
from lib.base.words import beginning
from lib.postgres.books import origin, points, runs
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.saved_state import SavedState
from lib.restoring import beside, local_state, one_table
from lib.restoring.local_state import LocalState
from lib.restoring.one_table import Patched
from lib.restoring.options import RestoreOptions
from lib.restoring.rebuild import Rebuilt
from lib.settings import paths
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.compare import count_differences
from lib.sqlite.compare.count_differences import Difference
from lib.sqlite.replacing import safety_copies, swap
from lib.sqlite.snapshots import previous, snapshot

LISTED_RUNS = 20


def restore_points(target: Target, names: Iterable[str], options: RestoreOptions) -> tuple[list[dict[str, Any]], int]:
    """Return the restore points that are asked for, newest first, with their "source"; and how many others there are."""
    since = beginning(options.since) if options.since else None
    if options.since and not since:
        raise SettingsError(f"{options.since!r} is a run: --since is for a time.", "python3 restore.py --list --since 2026-11-01")
    points.refuse_to_come(target, options.since, None, since)
    if options.last is not None and options.last < 1:
        raise SettingsError(f"--last {options.last} lists nothing.", f"python3 restore.py --list --last {LISTED_RUNS}")
    most = options.last or (None if since else LISTED_RUNS)
    found, in_all = [], 0
    for name in names:
        listed, count = points.restore_points(target, name, most, since)
        found += [{"source": name, **point} for point in listed]
        in_all += count
    return found, in_all - len(found)


def refuse_no_folder(settings: Settings, folder: str) -> None:
    """Refuse a file; and among the snapshots a database of that name is the previous snapshot, which the next run relies on."""
    if not folder:
        return
    path = paths.typed("--to", folder)
    there = next(place for place in (path.absolute(), *path.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise SettingsError(f"{there} is no folder; --to is for one.", "make a folder, and name it", UNTOUCHED)
    if path.resolve().is_relative_to(settings.snapshots.resolve()):
        what = f"{folder} has the snapshots of Hybrid backup; --to is for another folder."
        raise SettingsError(what, "make a folder, and name it", UNTOUCHED)


def all_safety_copies(places: dict[str, Path]) -> list[Path]:
    """Return every file that earlier restores replaced."""
    return [copy for place in places.values() for copy in safety_copies.of(place)]


def saved(target: Target, name: str, at: tuple[int | None, datetime | None] | None) -> SavedState:
    """Return the newest saved state of a source, up to a run or before a moment; raise SourceError where there is none."""
    chosen = points.run_at(target, name, *at) if at else None
    return saved_state.read_state(target, name, chosen)


def saved_or_not(target: Target, name: str, at: tuple[int | None, datetime | None] | None) -> SavedState | SourceError:
    """Return the same, or why there is none."""
    try:
        return saved(target, name, at)
    except SourceError as problem:
        return problem


@contextlib.contextmanager
def or_gone(target: Target, names: Iterable[str], table: str, options: RestoreOptions) -> Iterator[None]:
    """Where it is the table that is missing, say which run had it last, if there was one."""
    try:
        yield
    except one_table.NoSuchTable as problem:
        with contextlib.suppress(Problem, UnicodeError):  # what cannot be read there has no name that could be typed
            if not options.at and (last := points.last_with(target, [*names], table)):
                problem.remedy += f"\n     or, of what is gone since:  --at {last}"
        raise


def snapshot_here(settings: Settings, name: str, targets: list[TargetSettings]) -> LocalState:
    """Return the newest snapshot that this machine has of a source; raise SourceError where it has none."""
    paths = {target.number: settings.snapshot_of(name, target.number) for target in targets}
    return local_state.newest(paths, name, local_runs.saved(settings, name))


@contextlib.contextmanager
def or_locally(
    settings: Settings, sources: dict[str, Path], targets: list[TargetSettings], options: RestoreOptions
) -> Iterator[None]:
    """Where it is the way to the target that fails, say how to do without, if this machine has a snapshot of each source."""
    try:
        yield
    except (ConnectionRefused, MayPass, Unreachable) as problem:
        with contextlib.suppress(SourceError):
            for name in sources:
                snapshot_here(settings, name, targets)
            problem.remedy += f"\n     or, without the network:  {options.locally}" if options.locally else ""
        raise


def safety_copy(place: Path, wanted: str) -> Path | None:
    """Return the file that the last restore replaced, or the one that is `wanted` by name; None where there is none."""
    return safety_copies.named(place, wanted) if wanted else safety_copies.replaced_last(place)


def refuse_none(copies: dict[str, Path], wanted: str) -> None:
    """Raise SourceError where there is no safety copy, or not the one that is `wanted` by name."""
    if not copies:
        what = f"no restore has kept a file {wanted} here." if wanted else "no restore has replaced a file here."
        raise SourceError(what, "python3 restore.py --list")


def refuse_other_bots(target: Target, settings: Settings, states: dict[str, SavedState], places: dict[str, Path]) -> None:
    """A bot whose database is here must not get another one's; a new machine, where there is none, is given what there is."""
    for name in states:
        if places[name].exists():
            _, last = runs.find_source(target, name)
            origin.refuse_other(name, _origin(target, settings, name), last, "python3 restore.py --accept-moved")


def differences(built: Rebuilt, present: Path) -> tuple[list[Difference], str]:
    """Compare a rebuilt file with the present one, through a snapshot that the bot does not notice.

    Where the present one cannot be read, or compared, all rows are added, and the text says why.
    """
    if not present.exists():
        return count_differences.between(None, built.path), ""
    try:
        with snapshot.taken(present, built.path.parent, "quick") as now:
            return count_differences.between(now.copy.path, built.path), ""
    except (SourceError, sqlite3.Error) as unreadable:
        return count_differences.between(None, built.path), f"{unreadable}"


def put_in_place(built: Rebuilt) -> Path | None:
    """Swap the rebuilt file in; return the safety copy of what was there, None where nothing was."""
    with beside.explained(built.place):
        if isinstance(built, Patched):
            one_table.refuse_written(built)
        safety_copies.take_over_owner(built.path, built.place)
        return swap.into_place(built.path, built.place)


def put_back(copy: Path, place: Path) -> Path | None:
    """Exchange a database for a safety copy, which keeps its own mode; return the safety copy of what was there."""
    with beside.explained(place, "cannot be exchanged", ""):
        return swap.into_place(copy, place)


def note(target: Target, settings: Settings, restored: Rebuilt) -> None:
    """Tell the target what was restored and where: then the next backup knows why the size has changed, and whose it is."""
    about = _origin(target, settings, restored.source).as_restored
    target.statement("note_restore", {"source": restored.source, "run": restored.run, **about})


def _origin(target: Target, settings: Settings, name: str) -> origin.Origin:
    return origin.of(settings, name, previous.read(settings.snapshot_of(name, target.settings.number)))
