"""The section of the report about the tables: a card for each that has changed, one line for each that has not."""

from lib.backing_up.health import Answered
from lib.base.errors import typed
from lib.base.words import age, clock, plural
from lib.reporting import charts, sections
from lib.reporting.charts import Bar, Span
from lib.reporting.chronicle import Account, TableThen
from lib.reporting.figures import figure
from lib.reporting.markup import Html, element, joined

Points = list[TableThen]


def cards(account: Account) -> Html:
    """Return what is known of the tables of one source on one target."""
    tables = sorted(account.chronicle["tables"].items())
    changed = [_card(account, name, points) for name, points in tables if _changes(points)]
    unchanged = [_row(name, points, account.health.known["now"]) for name, points in tables if not _changes(points)]
    nothing = "No table yet." if isinstance(account.health, Answered) else sections.UNKNOWN
    parts = [element("h3", sections.name(account), class_="group")]
    if changed:
        parts.append(element("div", *changed, class_="cards"))
    if unchanged:
        columns = ("unchanged", "rows #", "for")
        drawn = sections.table(f"Unchanged tables of {account.source} → {account.target.label}", columns, unchanged)
        parts.append(element("div", drawn, class_="card wide"))
    return joined(*parts) if tables else joined(*parts, element("p", nothing, class_="soft"))


def _is_first_load(points: Points) -> bool:
    """Whether the first point that is shown is that of a table that had no rows before."""
    return points[0]["changes"] == points[0]["rows"]


def _changes(points: Points) -> int:
    """Return the changes since the first load."""
    return sum(point["changes"] for point in points[_is_first_load(points) :])


def _kept_whole(points: Points) -> str:
    misfits = points[-1]["misfits"]
    return f", {misfits:,} kept whole" if misfits else ""


def _row(name: str, points: Points, now: float) -> list[object]:
    return [element("bdi", name), f"{points[-1]['rows']:,}{_kept_whole(points)}", age(now - points[0]["at"])]


def _card(account: Account, name: str, points: Points) -> Html:
    span, number = Span(points[0]["at"], points[-1]["at"]), f"{points[-1]['rows']:,}"
    numbers, whose = [(point["at"], point["rows"]) for point in points], f"{name} in {account.source} → {account.target.label}"
    most = max(rows for _, rows in numbers)
    curve = charts.line(f"Rows of {whose} over time, now {number}", span, numbers, most)
    return element(
        "article",
        element("h3", element("bdi", name)),
        element(
            "p", element("code", f"python3 restore.py --database {typed(account.source)} --history {typed(name)}"), class_="soft"
        ),
        element("p", f"{number} ", element("small", f"rows{_kept_whole(points)}, {_grown(points)}"), class_="number"),
        figure("Rows", "", span, f"{most:,}", curve),
        _changes_by_run(whose, span, points),
        class_="card",
    )


def _changes_by_run(whose: str, span: Span, points: Points) -> Html:
    is_first_load = _is_first_load(points)
    bars = [
        Bar(point["at"], point["changes"], _label(point), is_first_load=is_first_load and not at)
        for at, point in enumerate(points)
    ]
    said = f"{_changes(points):,} in {plural(len(points) - is_first_load, 'run')}"
    drawn = charts.bars(f"Changes in {whose} by run: {said}", span, bars)
    return figure("Changes", said, span, f"{charts.top(bars):,.0f}", drawn, "changes")


def _grown(points: Points) -> str:
    grown = points[-1]["rows"] - points[0]["rows"]
    return f"{grown:+,} in {age(points[-1]['at'] - points[0]['at'])}".replace("-", "−") if grown else "as many as at first"


def _label(point: TableThen) -> str:
    return f"{clock(point['at'])}: {plural(point['changes'], 'change')}"
