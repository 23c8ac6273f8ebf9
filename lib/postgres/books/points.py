"""The restore points: found by a run or a time, listed, and kept for ever."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypedDict

from lib.base.errors import UNTOUCHED, Problem, SettingsError, SourceError, typed
from lib.base.words import clock, moment
from lib.postgres.books import setup_version
from lib.postgres.link.connection import Target

NOTHING_CHANGED = "Nothing was changed in Supabase."


def refuse_to_come(target: Target, at: str, run: int | None, begins: datetime | None) -> None:
    """Raise SettingsError for a run that there has not been yet, or a time that begins in the future: it is a mistake."""
    ((newest, now),) = target.statement("newest_run")
    if run and run > (newest or 0):
        known = f"the newest of all databases is run {newest}" if newest else "there has been none yet"
        raise SettingsError(f"there is no run {run}: {known}.", "python3 restore.py --list; a day is  --at 2026-11-20", UNTOUCHED)
    if begins and begins > now:
        raise SettingsError(f"{at!r} is still to come: it is {clock(now.timestamp())}.", "python3 restore.py --list", UNTOUCHED)


def run_at(target: Target, source: str, run: int | None, before: datetime | None) -> int:
    """Return the newest saved run of a source up to a run, or before a moment; raise SourceError outside the retention."""
    chosen: int | None
    ((chosen, oldest, finished_at),) = target.statement("run_at", {"source": source, "run": run, "before": before})
    if oldest is None:
        raise SourceError(f"{target.host} holds no restore point of {source}.", "python3 restore.py --list", UNTOUCHED)
    if chosen is None:
        raise SourceError(
            f"{source} cannot go back that far: its oldest restore point is run {oldest}, {finished_at} UTC.",
            f"python3 restore.py --database {typed(source)} --at {oldest}  or longer BACKUP_KEEP_DAYS from now on",
        )
    return chosen


def not_kept_apart(target: Target, asked: int | None, chosen: Iterable[tuple[str, int]]) -> list[str]:
    """Return a warning for each source of which an earlier run was chosen, and the one that was asked for may be thinned away."""
    others = [(source, run) for source, run in chosen if asked and run != asked]
    return [
        f"{source}: run {run} is the newest up to run {asked} that is left: there were others, and history is thinned."
        for source, run in others
        if target.statement("is_thinned_after", {"source": source, "run": run})[0][0]
    ]


class Kept(TypedDict):
    """Why a run is kept for ever, by whom, and since when."""

    why: str
    by: str
    at: str


class RestorePoint(TypedDict):
    """A saved run, as `restore.py --list --json` shows it; times are in UTC.

    `restorable` where the undo log reaches it with all of its tables, `lost` names those of which its state may be lost.
    """

    run: int
    finished_at: str
    rows: int
    bytes: int | None
    restorable: bool
    changes: int | None
    proven_at: str | None
    lost: list[str]
    kept: Kept | None


def restore_points(
    target: Target, source: str, most: int | None = None, since: datetime | None = None
) -> tuple[list[RestorePoint], int]:
    """Return the saved runs that are asked for, and those that are kept, newest first; and how many there are in all."""
    rows = target.statement("restore_points", {"source": source, "most": most, "since": since})
    names = list(RestorePoint.__annotations__)
    listed: Any = [dict(zip(names, row[:-1], strict=True)) for row in rows]
    return listed, rows[0][-1] if rows else 0


def keep(target: Target, sources: list[str], text: str, reason: str) -> list[tuple[str, int]]:
    """Keep the newest restore point up to a run for ever, of each source; return which run it is of which."""
    setup_version.refuse_other(target)
    if not reason.strip():
        raise SettingsError("nobody will know why that run is kept.", f'python3 restore.py --keep {text} "before the migration"')
    return _chosen(target, "keep_runs", sources, text, reason=reason.strip())


def release(target: Target, sources: list[str], text: str) -> list[tuple[str, int]]:
    """Let the retention have again what is kept; return which run of which source. Only the owner may."""
    setup_version.refuse_other(target)
    ((may_release, user),) = target.statement("may_release", {"schema": target.schema})
    if not may_release:
        what = f"{user} may back up and keep, and cannot release what is kept."
        raise Problem(what, "do it with the settings of the schema's owner:  --env-file FILE", NOTHING_CHANGED)
    return _chosen(target, "release_runs", sources, text)


def _chosen(target: Target, statement: str, sources: list[str], text: str, **values: str) -> list[tuple[str, int]]:
    run, _ = moment(text)
    if run is None:
        raise SettingsError(f"{text!r} is not the number of a run.", "python3 restore.py --list", NOTHING_CHANGED)
    refuse_to_come(target, text, run, None)
    chosen = target.statement(statement, {"sources": sources, "run": run, **values})
    if not chosen:
        which = f"none that is kept{_kept(target, sources)}" if statement == "release_runs" else "none that can be restored"
        raise SourceError(f"of the runs up to {run} there is {which}.", "python3 restore.py --list", NOTHING_CHANGED)
    return [(source, number) for source, number in chosen]


def _kept(target: Target, sources: list[str]) -> str:
    kept = [f"{name}: run {run}" for name, run in target.statement("kept_runs", {"sources": sources})]
    return f" (kept are {', '.join(kept)})" if kept else ""
