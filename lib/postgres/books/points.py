"""The restore points: found by a run or a time, listed, and kept for ever."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypedDict

from lib.base.errors import UNTOUCHED, Problem, SettingsError, SourceError, typed
from lib.base.words import clock, moment
from lib.postgres.books import setup_version
from lib.postgres.link.connection import Row, Target

NOTHING_CHANGED = "Nothing was changed in Supabase."
# What a run may lack to be a restore point, as sql/statements/lacks.sql names it.
LACKS = {
    "log": "the undo log no longer reaches it",
    "definition": "its definition was deleted from source_schemas",
    "tables": "it may lack tables that were changed behind the undo log's back",
}


def refuse_to_come(target: Target, at: str, run: int | None, begins: datetime | None) -> None:
    """Raise SettingsError for a run that there has not been yet, or a time that begins in the future: it is a mistake."""
    ((newest, now),) = target.statement("newest_run")
    if run and run > (newest or 0):
        known = f"the newest of all databases is run {newest}" if newest else "there has been none yet"
        raise SettingsError(f"there is no run {run}: {known}.", "python3 restore.py --list; a day is  --at 2026-11-20", UNTOUCHED)
    if begins and begins > now:
        raise SettingsError(f"{at!r} is still to come: it is {clock(now.timestamp())}.", "python3 restore.py --list", UNTOUCHED)


def run_at(target: Target, source: str, run: int | None, before: datetime | None) -> int:
    """Return the newest saved run of a source up to a run, or before a moment; raise SourceError where it cannot be restored.

    One that may lack tables is given: the others come back, and what is restored is compared.
    """
    chosen: int | None
    ((chosen, lacks, oldest, finished_at),) = target.statement("run_at", {"source": source, "run": run, "before": before})
    if lacks == "definition":
        raise SourceError(f"run {chosen} of {source} cannot be restored: {LACKS[lacks]}.", "python3 restore.py --list", UNTOUCHED)
    if chosen and lacks != "log":
        return chosen
    if oldest is None:
        raise SourceError(f"{target.host} holds no restore point of {source}.", "python3 restore.py --list", UNTOUCHED)
    raise SourceError(
        f"{source} cannot go back that far: its oldest restore point is run {oldest}, {finished_at} UTC.",
        f"python3 restore.py --database {typed(source)} --at {oldest}  or longer BACKUP_KEEP_DAYS from now on",
    )


def last_with(target: Target, sources: list[str], table: str) -> int | None:
    """Return the last saved run that had a table of that name in any of the sources, however it is written."""
    run: int | None
    ((run,),) = target.statement("last_run_with", {"sources": sources, "table": table})
    return run


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

    `restorable` where it lacks nothing (LACKS), `lost` names the tables of which its state may be lost.
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
    """Keep the newest run up to a number for ever, of each source, and return which; where one is no restore point, keep none."""
    setup_version.refuse_other(target)
    if not reason.strip():
        raise SettingsError("nobody will know why that run is kept.", f'python3 restore.py --keep {text} "before the migration"')
    chosen = _chosen(target, "keep_runs", sources, text, reason=reason.strip())
    for source, run, lacks in chosen:
        if lacks:
            names = ",".join(typed(other) for other, _, missing in chosen if not missing)
            others = f"  or keep the others:  python3 restore.py --keep {text} WHY --database {names}" if names else ""
            remedy = f"keep one that --list marks:  python3 restore.py --list{others}"
            raise SourceError(f"run {run} of {source} cannot be kept: {LACKS[lacks]}.", remedy, NOTHING_CHANGED)
    return [(source, run) for source, run, _ in chosen]


def release(target: Target, sources: list[str], text: str) -> list[tuple[str, int]]:
    """Let the retention have again what is kept; return which run of which source. Only the owner may."""
    setup_version.refuse_other(target)
    ((may_release, user),) = target.statement("may_release", {"schema": target.schema})
    if not may_release:
        what = f"{user} may back up and keep, and cannot release what is kept."
        raise Problem(what, "do it with the settings of the schema's owner:  --env-file FILE", NOTHING_CHANGED)
    return [(source, run) for source, run in _chosen(target, "release_runs", sources, text)]


def _chosen(target: Target, statement: str, sources: list[str], text: str, **values: str) -> list[Row]:
    run, _ = moment(text)
    if run is None:
        raise SettingsError(f"{text!r} is not the number of a run.", "python3 restore.py --list", NOTHING_CHANGED)
    refuse_to_come(target, text, run, None)
    chosen = target.statement(statement, {"sources": sources, "run": run, **values})
    if not chosen:
        which = f"none that is kept{_kept(target, sources)}" if statement == "release_runs" else "none that was saved"
        raise SourceError(f"of the runs up to {run} there is {which}.", "python3 restore.py --list", NOTHING_CHANGED)
    return chosen


def _kept(target: Target, sources: list[str]) -> str:
    kept = [f"{name}: run {run}" for name, run in target.statement("kept_runs", {"sources": sources})]
    return f" (kept are {', '.join(kept)})" if kept else ""
