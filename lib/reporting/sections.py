"""The sections of the report, each made of what the sources are known to be."""

import time
from collections.abc import Mapping, Sequence

from lib.backing_up.health import Answered, Health, Unanswered
from lib.base.words import age, clock, plural, size
from lib.reporting import charts, troubles
from lib.reporting.charts import Bar, Span
from lib.reporting.chronicle import Account, Drill, Edit, Run, TableThen
from lib.reporting.markup import Html, element, joined
from lib.reporting.troubles import Trouble
from lib.settings.config import Settings

SHOWN_RUNS = 25


def banner(accounts: list[Account], found: list[Trouble]) -> Html:
    """Say whether all is well, or what is wrong and what to type."""
    if not found:
        said = troubles.all_is_well([account.health for account in accounts])
        return element("div", element("strong", troubles.verdict(found)), said, class_="banner good", role="status")
    items = [element("li", trouble.sentence, element("code", trouble.remedy)) for trouble in found]
    kind = "bad" if found[0].is_bad else "mind"
    return element(
        "div", element("strong", troubles.verdict(found)), element("ul", *items), class_=f"banner {kind}", role="status"
    )


def _when(at: float, now: float) -> Html:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    ago = f"{age(now - at)} ago" if at <= now else f"in {age(at - now)}"
    return joined(element("time", clock(at), datetime=stamp), f", {ago}")


def _name(account: Account) -> Html:
    return joined(element("bdi", account.source), " → ", element("bdi", account.target.label))


def _card(account: Account, *children: Html, wide: str = "") -> Html:
    kind, word = _verdict(account.health)
    badge = element("span", word, class_=f"badge {kind}")
    return element("article", element("header", element("h3", _name(account)), badge), *children, class_=f"card{wide}")


def _verdict(health: Health) -> tuple[str, str]:
    if not health.success:
        return "bad", "no backup"
    if health.is_failing:
        return "bad", "failing"
    return ("mind", "out of reach") if isinstance(health, Unanswered) else ("good", "saved")


def _facts(facts: Mapping[str, object]) -> Html:
    return element("dl", *(joined(element("dt", name), element("dd", value)) for name, value in facts.items() if value))


def health_card(account: Account) -> Html:
    """Return the card of one source: its last success and failure, its next run, its last drill."""
    health = account.health
    now, last, failure = health.known["now"], health.success, health.failure
    facts: dict[str, object] = {"last success": _when(last["at"], now) if last else "none"}
    if last:
        facts["it saved"] = f"run {last['run']}: {plural(last['rows'], 'row')}, {plural(last['changes'], 'change')}"
        facts["it took"] = f"{last['seconds']:.1f} s, {size(last['bytes_sent'])} of rows sent"
    if failure:
        facts["last failure"] = joined(_when(failure["at"], now), ": ", failure["error"] or "")
    if health.next_expected:
        facts["next run"] = joined("expected ", _when(health.next_expected, now))
    if isinstance(health, Answered):
        facts["proven"] = _proven(health)
    return _card(account, _facts(facts))


def _proven(health: Answered) -> str:
    proven = health.known["proven"]
    if not proven:
        return "never restored in a drill"
    return joined(f"run {proven['run']}, by the drill of ", _when(proven["at"], health.known["now"]))


def runs_card(account: Account) -> Html:
    """Return how long the runs took and what they sent, as charts and as a table."""
    runs = account.chronicle["runs"]
    if not runs:
        return _card(account, element("p", "No run is known.", class_="soft"), wide=" wide")
    span = Span(runs[0]["at"], max(run["at"] for run in runs))
    said = f"{plural(len(runs), 'run')}, {sum(run['outcome'] == 'failed' for run in runs)} failed"
    slowest, largest = max(run["seconds"] for run in runs), size(max(run["bytes_sent"] or 0 for run in runs))
    times = [Bar(run["at"], run["seconds"], _run_label(run), run["outcome"]) for run in runs]
    bytes_sent = [Bar(run["at"], run["bytes_sent"] or 0, _run_label(run), run["outcome"]) for run in runs]
    duration = charts.bars(f"Duration of the runs of {account.source}: {said}", span, times)
    sent = charts.bars(f"Rows sent by the runs of {account.source}; the most was {largest}", span, bytes_sent)
    return _card(
        account,
        figure("Duration", f"{said}; the longest took {slowest:.1f} s", span, duration),
        figure("Rows sent", f"the most was {largest}", span, sent),
        element("details", element("summary", f"the last {min(len(runs), SHOWN_RUNS)} as a table"), _run_table(account)),
        wide=" wide",
    )


def _run_label(run: Run) -> str:
    return f"run {run['run']}, {clock(run['at'])}: {run['outcome']}, {run['seconds']:.1f} s, {size(run['bytes_sent'] or 0)}"


def figure(title: str, said: str, span: Span, chart: Html, kind: str | None = None) -> Html:
    """Return a chart with its title, what it says, and the days at which it begins and ends."""
    ends = [element("span", time.strftime("%Y-%m-%d", time.gmtime(at))) for at in (span.first, span.last)]
    return element(
        "figure",
        element("figcaption", element("b", title), element("span", said)),
        chart,
        element("div", *ends, class_="axis"),
        class_=kind,
    )


def _run_table(account: Account) -> Html:
    numeric = ("seconds", "sent", "rows")
    names = ("run", "outcome", "ended", *numeric, "why")
    head = element("tr", *(element("th", name, scope="col", class_="n" if name in numeric else None) for name in names))
    newest_first = reversed(account.chronicle["runs"][-SHOWN_RUNS:])
    rows = [_run_row(run, account.health.known["now"]) for run in newest_first]
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("div", table, class_="scroll", tabindex=0, role="group", aria_label=f"Runs of {account.source}")


def _run_row(run: Run, now: float) -> Html:
    numbers = (f"{run['seconds']:.1f} s", size(run["bytes_sent"] or 0), f"{run['rows'] or 0:,}")
    cells = [element("td", run["run"]), element("td", run["outcome"]), element("td", _when(run["at"], now))]
    cells += [element("td", number, class_="n") for number in numbers]
    return element("tr", *cells, element("td", run["error"] or "", class_="why"))


def table_cards(account: Account) -> Html:
    """Return a card for each table: its rows over time, and what changed by run."""
    tables = [_table(name, points) for name, points in sorted(account.chronicle["tables"].items())]
    cards = element("div", *tables, class_="cards") if tables else element("p", "No table is known.", class_="soft")
    return joined(element("h3", _name(account), class_="group"), cards)


def _table(name: str, points: list[TableThen]) -> Html:
    span, last = Span(points[0]["at"], points[-1]["at"]), points[-1]
    rows, changes = f"{last['rows']:,}", f"{sum(point['changes'] for point in points):,}"
    misfits = f", {last['misfits']:,} kept whole" if last["misfits"] else ""
    numbers = [(point["at"], point["rows"]) for point in points]
    curve = charts.line(f"Rows of {name} over time, now {rows}", span, numbers, max(number for _, number in numbers))
    changed = [Bar(point["at"], point["changes"], _change_label(point)) for point in points]
    bars = charts.bars(f"Changes in {name} by run, {changes} in all", span, changed)
    return element(
        "article",
        element("h3", element("bdi", name)),
        element("p", f"{rows} ", element("small", f"rows{misfits}, {_grown(points)}"), class_="number"),
        curve,
        figure("Changes", f"{changes} in {plural(len(points), 'run')}", span, bars, "changes"),
        class_="card",
    )


def _grown(points: list[TableThen]) -> str:
    grown = points[-1]["rows"] - points[0]["rows"]
    return f"{grown:+,} in {age(points[-1]['at'] - points[0]['at'])}".replace("-", "−") if grown else "as many as at first"


def _change_label(point: TableThen) -> str:
    return f"{clock(point['at'])}: {plural(point['changes'], 'change')}"


def points_card(account: Account) -> Html:
    """Return the card that says how far back a restore can go."""
    health = account.health
    if not isinstance(health, Answered):
        return _card(account, element("p", "The target cannot be asked.", class_="soft"))
    points, now, last = health.known["restore_points"], health.known["now"], health.success
    if points["at"] is None:
        return _card(account, element("p", "None.", class_="soft"))
    newest = joined(f"run {last['run']}, ", _when(last["at"], now)) if last else "none"
    facts = {"oldest": joined(f"run {points['oldest']}, ", _when(points["at"], now)), "newest": newest}
    number = element("p", f"{points['count']:,} ", element("small", "runs can be restored with restore.py --at"), class_="number")
    return _card(account, number, _facts(facts))


def listed(items: Sequence[str], nothing: str) -> Html:
    """Return a list of texts or elements, or a sentence where there is none."""
    if not items:
        return element("p", nothing, class_="soft")
    return element("div", element("ul", *(element("li", item) for item in items), class_="plain"), class_="card")


def drills(accounts: list[Account]) -> Html:
    """Return the last drills of all sources, newest first."""
    items = [_drill(account, drill) for account in accounts for drill in reversed(account.chronicle["drills"])]
    return listed(items, "No drill yet: python3 restore.py --drill")


def _drill(account: Account, drill: Drill) -> Html:
    mark, when = "❌ " if drill["error"] else "✅ ", _when(drill["at"], account.health.known["now"])
    said = drill["error"] or f"{plural(drill['rows'], 'row')} rebuilt and compared in {drill['seconds']:.2f} s"
    return joined(mark, _name(account), f", run {drill['run']}: {said}. ", when)


def edits(accounts: list[Account]) -> Html:
    """Return what was changed in mirrors by hand, newest first."""
    items = [_edit(account, edit) for account in accounts for edit in reversed(account.chronicle["edits"])]
    return listed(items, "Nobody has changed a mirror.")


def _edit(account: Account, edit: Edit) -> Html:
    table = element("bdi", f"{account.source}.{edit['table']}")
    did = f": {edit['operation']} of {plural(edit['rows'], 'row')} by "
    return joined(table, did, element("bdi", edit["by"]), ". ", _when(edit["at"], account.health.known["now"]))


def warnings(settings: Settings, accounts: list[Account]) -> Html:
    """Return the warnings of the settings and of the last runs, each once."""
    texts = [*settings.warnings, *(text for account in accounts for text in account.health.warnings)]
    return listed(list(dict.fromkeys(texts)), "None.")
