"""How the database grows, and how long the plan lasts at that pace: the one forecast, for a run's warning and for the report."""

from typing import NamedTuple

from lib.postgres.link.connection import Target

DAY = 86400
FEWEST_POINTS = 4
# When it was, in Unix seconds, and how many bytes the database had then.
Point = tuple[float, int]


class Last(NamedTuple):
    """What a source's file had at its last backup, and how many rows its mirrors have now, by their names, as Postgres estimates.

    `sizes` are the database's, at each run of 30 days and now.
    """

    bytes: int
    rows: int
    mirror_rows: dict[str, int]
    sizes: list[Point]


def read(target: Target, source: str) -> Last:
    """Return what a forecast of a source needs; a source that has not been backed up has 0."""
    ((last_bytes, last_rows, mirror_rows, sizes),) = target.statement("growth", {"source": source})
    return Last(last_bytes, last_rows, mirror_rows, [(at, size) for at, size in sizes])


def growth(points: list[Point]) -> float | None:
    """Return the bytes a day by which the database grows (the line of least squares), or None where it is too early to tell."""
    times = [at for at, _ in points]
    if len(points) < FEWEST_POINTS or max(times) - min(times) < DAY:
        return None
    middle_at = sum(times) / len(points)
    middle = sum(size for _, size in points) / len(points)
    spread = sum((at - middle_at) ** 2 for at in times)
    return sum((at - middle_at) * (size - middle) for at, size in points) / spread * DAY


def days_left(now: float, limit: float, bytes_a_day: float | None) -> float | None:
    """Return in how many days the plan is full; None where the database does not grow, or nobody can tell."""
    if not bytes_a_day or bytes_a_day <= 0:
        return None
    return max(0.0, (limit - now) / bytes_a_day)
