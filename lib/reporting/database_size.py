"""The section of the report about the size of the database: how full the plan is, how that came, and when it will be full."""

from lib.backing_up.health import Answered
from lib.base.words import plural, size
from lib.postgres.books import growth
from lib.postgres.books.growth import DAY, Point
from lib.reporting import charts
from lib.reporting.charts import Span
from lib.reporting.chronicle import Account
from lib.reporting.figures import figure
from lib.reporting.markup import Html, element, joined
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings


def card(settings: Settings, target: TargetSettings, accounts: list[Account]) -> Html:
    """Return the card of one target; each account of it knows the size."""
    account = next(account for account in accounts if account.target is target)
    if not isinstance(account.health, Answered):
        return element("div", element("p", f"{target.label}: unknown until it answers.", class_="soft"), class_="card wide")
    limit, now = settings.max_database_bytes, account.health.known["database_bytes"]
    return element(
        "article",
        element("h3", element("bdi", target.label)),
        _used(now, limit) if limit else element("p", size(now), class_="number"),
        _curve_of_size([*sorted(account.sizes[:-1]), account.sizes[-1]], limit),
        class_="card wide",
    )


def _used(now: int, limit: int) -> Html:
    used = f"{now / limit:.0%} of the plan"
    number = element("p", size(now), element("small", f" of {size(limit)} ({used})"), class_="number")
    return joined(number, charts.gauge(f"{used} is used", now / limit))


def _curve_of_size(points: list[Point], limit: int) -> Html:
    """Draw what was, and what is to come if it goes on like that, for half as long again."""
    first, (last, now), pace = points[0][0], points[-1], growth.growth(points)
    span = Span(first, last + min(max(last - first, DAY) / 2, 90 * DAY))
    most = max(value for _, value in points) * 1.5
    extra = [charts.rule(limit / most, "limit")] if 0 < limit <= most else []
    if pace:
        extra.append(charts.slope(span, points[-1], (span.last, now + pace * (span.last - last) / DAY), most))
    said = _outlook(pace, growth.days_left(now, limit, pace) if limit else None)
    curve = charts.line(f"Database size over time: {size(now)} now. {said}", span, points, most, *extra)
    return figure("Over time", said, span, size(round(most)), curve)


def _outlook(pace: float | None, left: float | None) -> str:
    if pace is None:
        return "too early for a forecast: it needs four runs over a day"
    if pace <= 0:
        return "it does not grow"
    if left is None:
        return f"grows by {size(round(pace))} a day (dashed)"
    when = "more than two years" if left > 730 else plural(int(left), "day")
    return f"grows by {size(round(pace))} a day; at this pace the plan is full in {when} (dashed)"
