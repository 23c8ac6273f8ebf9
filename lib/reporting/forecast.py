"""How long the plan's size will last, judged by how the database has grown."""

DAY = 86400
FEWEST_POINTS = 4


def growth(points: list[tuple[float, float]]) -> float | None:
    """Return the bytes a day by which the database grows (the line of least squares), or None where it is too early to tell."""
    if len(points) < FEWEST_POINTS or points[-1][0] - points[0][0] < DAY:
        return None
    middle_at = sum(at for at, _ in points) / len(points)
    middle = sum(size for _, size in points) / len(points)
    spread = sum((at - middle_at) ** 2 for at, _ in points)
    return sum((at - middle_at) * (size - middle) for at, size in points) / spread * DAY


def days_left(now: float, limit: float, bytes_a_day: float | None) -> float | None:
    """Return in how many days the plan is full; None where the database does not grow, or nobody can tell."""
    if not bytes_a_day or bytes_a_day <= 0:
        return None
    return max(0.0, (limit - now) / bytes_a_day)
