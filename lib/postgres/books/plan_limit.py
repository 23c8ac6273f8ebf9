"""The plan's limit on the size of the database: warn before it is reached, refuse what cannot fit."""

from lib.base.errors import Problem
from lib.base.words import plural, size
from lib.postgres.books.runs import Run
from lib.postgres.link.connection import Target
from lib.sqlite.snapshots.snapshot import Snapshot

WARN_PERCENT = 80


def refuse_or_warn(target: Target, run: Run, snapshot: Snapshot, limit: int) -> list[str]:
    """Return a warning where the database is nearly full; raise Problem where this snapshot cannot fit.

    `limit` is in bytes; none is 0.
    """
    file_bytes = snapshot.copy.path.stat().st_size
    if not limit or (run.database_bytes + file_bytes) * 100 < limit * WARN_PERCENT:
        return []
    last_bytes, daily = target.statement("growth", {"source": run.source})[0]
    added = max(0, file_bytes - last_bytes)
    if run.database_bytes + added > limit:
        raise Problem(
            f"{run.source} does not fit: the database has {size(run.database_bytes)} of {size(limit)}, and {size(added)} are to "
            f"be added (the file has {size(file_bytes)}, at the last backup it had {size(last_bytes)}).",
            "free space or upgrade the plan; then set BACKUP_MAX_DATABASE_MB to what the plan allows (0 is no limit)",
        )
    return _nearly_full(run.database_bytes, limit, daily)


def _nearly_full(used: int, limit: int, daily: float | None) -> list[str]:
    percent = used * 100 // limit
    if percent < WARN_PERCENT:
        return []
    days = int((limit - used) / daily) if daily and daily > 0 else None
    left = "it does not grow at present" if days is None else f"at the present growth it is full in {plural(days, 'day')}"
    return [f"the database has {size(used)} of {size(limit)} ({percent} %); {left}."]
