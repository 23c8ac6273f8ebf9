"""The plan's limit on the size of the database: warn before it is reached, refuse what cannot fit."""

from lib.base.errors import Problem
from lib.base.words import plural, size
from lib.postgres.books import growth
from lib.postgres.books.growth import Point
from lib.postgres.books.runs import Run
from lib.postgres.link.connection import Target
from lib.sqlite.snapshots.snapshot import Snapshot

WARN_PERCENT = 80
MORE_ROOM = "free space or upgrade the plan; then set BACKUP_MAX_DATABASE_MB to what the plan allows (0 is no limit)"


def refuse_or_warn(target: Target, run: Run, snapshot: Snapshot, limit: int) -> list[str]:
    """Return a warning where the database is nearly full; raise Problem where what this snapshot adds cannot fit.

    `limit` is in bytes; none is 0. What adds nothing does no harm, however full it is. Of older runs the file's size is known,
    free pages and all: once, less may seem to be added than is.
    """
    used_bytes = snapshot.used_bytes
    if not is_nearly_full(run.database_bytes + used_bytes, limit):
        return []
    last_bytes, sizes = growth.read(target, run.source)
    added = max(0, used_bytes - last_bytes)
    if added and run.database_bytes + added > limit:
        raise Problem(
            f"{run.source} does not fit: the database has {size(run.database_bytes)} of {size(limit)}, and {size(added)} are to "
            f"be added ({size(used_bytes)} of the file are in use, {size(last_bytes)} were at the last backup).",
            MORE_ROOM,
        )
    return [_warning(run.database_bytes, limit, sizes)] if is_nearly_full(run.database_bytes, limit) else []


def is_nearly_full(used: int, limit: int) -> bool:
    """Whether so many bytes are most of what the plan allows; no limit is 0."""
    return bool(limit) and used * 100 >= limit * WARN_PERCENT


def _warning(used: int, limit: int, sizes: list[Point]) -> str:
    pace = growth.growth(sizes)
    days = growth.days_left(used, limit, pace)
    if pace is None:
        left = "it is too early to tell how long that will last"
    elif days is None:
        left = "it does not grow at present"
    else:
        left = f"at the present growth it is full in {plural(int(days), 'day')}"
    return f"the database has {size(used)} of {size(limit)} ({used * 100 // limit} %); {left}."
