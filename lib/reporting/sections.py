"""The sections of the report, each made of what one source or one target is known to be."""

import time

from lib.backing_up.health import Health
from lib.base.words import age, clock, plural, size
from lib.reporting import charts
from lib.reporting.charts import Span
from lib.reporting.forecast import DAY, days_left, growth
from lib.reporting.markup import Html, element, joined
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings

SHOWN_RUNS = 25


def banner(found: list[tuple[Health, dict]], troubles: list[tuple[str, str]]) -> Html:
    texts = list(dict.fromkeys(text for _, text in sorted(troubles)))
    if not troubles:
        oldest = max(block.age for block, _ in found)
        rows = sum(block.success["rows"] for block, _ in found)
        said = f"{plural(rows, 'row')} are safe in Supabase; the oldest backup is {age(oldest)} old."
        return element("div", element("strong", "All is well"), said, class_="banner good", role="status")
    kind = "bad" if any(kind == "bad" for kind, _ in troubles) else "mind"
    title = "Something needs you" if kind == "bad" else "Backed up, with something to mind"
    return element(
        "div",
        element("strong", title),
        element("ul", *(element("li", text) for text in texts)),
        class_=f"banner {kind}",
        role="status",
    )


def _when(at: float, now: float) -> Html:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    ago = f"{age(now - at)} ago" if at <= now else f"in {age(at - now)}"
    return joined(element("time", clock(at), datetime=stamp), f", {ago}")


def _card(block: Health, *children: Html, wide: str = "") -> Html:
    title = element("h3", element("bdi", block.source), " → ", element("bdi", block.target.label))
    kind, word = _verdict(block)
    return element(
        "article", element("header", title, element("span", word, class_=f"badge {kind}")), *children, class_=f"card{wide}"
    )


def _verdict(block: Health) -> tuple[str, str]:
    if not block.success:
        return "bad", "no backup"
    if block.is_failing:
        return "bad", "failing"
    return ("mind", "out of reach") if block.problem else ("good", "saved")


def _facts(facts: dict[str, object]) -> Html:
    return element("dl", *(joined(element("dt", name), element("dd", value)) for name, value in facts.items() if value))


def health_card(block: Health) -> Html:
    now, last, failure = block.found["now"], block.success, block.failure
    facts: dict[str, object] = {"last success": _when(last["at"], now) if last else "none"}
    if last:
        facts["it saved"] = f"run {last['run']}: {plural(last['rows'], 'row')}, {plural(last['changes'], 'change')}"
        facts["it took"] = f"{last['seconds']:.1f} s, {size(last['bytes_sent'])} of rows sent"
    if failure:
        facts["last failure"] = joined(_when(failure["at"], now), ": ", failure["error"] or "")
    if block.next_expected:
        facts["next run"] = joined("expected ", _when(block.next_expected, now))
    proven = block.found.get("proven")
    if not block.problem:
        facts["proven"] = (
            joined(f"run {proven['run']}, by the drill of ", _when(proven["at"], now)) if proven else "never restored in a drill"
        )
    return _card(block, _facts(facts))


def runs_card(block: Health, chronicle: dict) -> Html:
    runs = chronicle["runs"]
    if not runs:
        return _card(block, element("p", "No run is known.", class_="soft"), wide=" wide")
    span = Span(runs[0]["at"], max(run["at"] for run in runs))
    said = f"{plural(len(runs), 'run')}, {sum(run['outcome'] == 'failed' for run in runs)} failed"
    slowest, largest = max(run["seconds"] for run in runs), size(max(run["bytes_sent"] or 0 for run in runs))
    duration = charts.bars(f"Duration of the runs of {block.source}: {said}", span, runs, "seconds", _run_label)
    sent = charts.bars(f"Rows sent by the runs of {block.source}; the most was {largest}", span, runs, "bytes_sent", _run_label)
    return _card(
        block,
        _figure("Duration", f"{said}; the longest took {slowest:.1f} s", span, duration),
        _figure("Rows sent", f"the most was {largest}", span, sent),
        element("details", element("summary", f"the last {min(len(runs), SHOWN_RUNS)} as a table"), _run_table(block, runs)),
        wide=" wide",
    )


def _run_label(run: dict) -> str:
    return f"run {run['run']}, {clock(run['at'])}: {run['outcome']}, {run['seconds']:.1f} s, {size(run['bytes_sent'] or 0)}"


def _figure(title: str, said: str, span: Span, chart: Html, kind: str | None = None) -> Html:
    ends = [element("span", time.strftime("%Y-%m-%d", time.gmtime(at))) for at in (span.first, span.last)]
    return element(
        "figure",
        element("figcaption", element("b", title), element("span", said)),
        chart,
        element("div", *ends, class_="axis"),
        class_=kind,
    )


def _run_table(block: Health, runs: list[dict]) -> Html:
    numeric = ("seconds", "sent", "rows")
    names = ("run", "outcome", "ended", *numeric, "why")
    head = element("tr", *(element("th", name, scope="col", class_="n" if name in numeric else None) for name in names))
    rows = [_run_row(run, block.found["now"]) for run in reversed(runs[-SHOWN_RUNS:])]
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("div", table, class_="scroll", tabindex=0, role="group", aria_label=f"Runs of {block.source}")


def _run_row(run: dict, now: float) -> Html:
    numbers = (f"{run['seconds']:.1f} s", size(run["bytes_sent"] or 0), f"{run['rows'] or 0:,}")
    cells = [element("td", run["run"]), element("td", run["outcome"]), element("td", _when(run["at"], now))]
    cells += [element("td", number, class_="n") for number in numbers]
    return element("tr", *cells, element("td", run["error"] or "", class_="why"))


def table_cards(block: Health, chronicle: dict) -> Html:
    tables = [_table(name, points) for name, points in sorted(chronicle["tables"].items())]
    title = element("h3", element("bdi", block.source), " → ", element("bdi", block.target.label), class_="group")
    return joined(title, element("div", *tables, class_="cards") if tables else element("p", "No table is known.", class_="soft"))


def _table(name: str, points: list[dict]) -> Html:
    span, last = Span(points[0]["at"], points[-1]["at"]), points[-1]
    rows, changes = f"{last['rows']:,}", f"{sum(point['changes'] for point in points):,}"
    kept = f", {last['misfits']:,} kept whole" if last["misfits"] else ""
    numbers = [(point["at"], point["rows"]) for point in points]
    curve = charts.line(f"Rows of {name} over time, now {rows}", span, numbers, max(number for _, number in numbers))
    bars = charts.bars(f"Changes in {name} by run, {changes} in all", span, points, "changes", _change_label)
    return element(
        "article",
        element("h3", element("bdi", name)),
        element("p", f"{rows} ", element("small", f"rows{kept}, {_grown(points)}"), class_="number"),
        curve,
        _figure("Changes", f"{changes} in {plural(len(points), 'run')}", span, bars, "changes"),
        class_="card",
    )


def _grown(points: list[dict]) -> str:
    grown = points[-1]["rows"] - points[0]["rows"]
    return f"{grown:+,} in {age(points[-1]['at'] - points[0]['at'])}".replace("-", "−") if grown else "as many as at first"


def _change_label(point: dict) -> str:
    return f"{clock(point['at'])}: {plural(point['changes'], 'change')}"


def size_card(settings: Settings, target: TargetSettings, found: list[tuple[Health, dict]]) -> Html:
    ours = [(block, chronicle) for block, chronicle in found if block.target is target]
    if ours[0][0].problem:
        return element("div", element("p", f"{target.label} cannot be asked.", class_="soft"), class_="card wide")
    limit, now = settings.max_database_mb * 1_000_000, ours[0][0].found["database_bytes"]
    runs = [run for _, chronicle in ours for run in chronicle["runs"]]
    points = sorted((run["at"], run["database_bytes"]) for run in runs if run["database_bytes"])
    points.append((ours[0][0].found["now"], now))
    return element(
        "article",
        element("h3", element("bdi", target.label)),
        _fill(now, limit) if limit else element("p", size(now), class_="number"),
        _curve_of_size(points, limit),
        class_="card wide",
    )


def _fill(now: int, limit: int) -> Html:
    used = f"{now / limit:.0%} of the plan"
    number = element("p", size(now), element("small", f" of {size(limit)} ({used})"), class_="number")
    return joined(number, charts.gauge(f"{used} is used", now / limit))


def _curve_of_size(points: list[tuple[float, float]], limit: float) -> Html:
    """Draw what was, and what is to come if it goes on like that, for half as long again."""
    first, (last, now), pace = points[0][0], points[-1], growth(points)
    span = Span(first, last + min(max(last - first, DAY) / 2, 90 * DAY))
    most = max(value for _, value in points) * 1.5
    extra = [charts.rule(limit / most, "limit")] if 0 < limit <= most else []
    if pace:
        extra.append(charts.slope(span, points[-1], (span.last, now + pace * (span.last - last) / DAY), most))
    said = _outlook(pace, days_left(now, limit, pace) if limit else None)
    return _figure(
        "Over time", said, span, charts.line(f"Database size over time: {size(now)} now. {said}", span, points, most, *extra)
    )


def _outlook(pace: float | None, left: float | None) -> str:
    if pace is None:
        return "too early for a forecast: it needs four runs over a day"
    if pace <= 0:
        return "it does not grow"
    if left is None:
        return f"grows by {size(round(pace))} a day (dashed)"
    when = "more than two years" if left > 730 else plural(round(left), "day")
    return f"grows by {size(round(pace))} a day; at this pace the plan is full in {when} (dashed)"


def points_card(block: Health) -> Html:
    if block.problem:
        return _card(block, element("p", "The target cannot be asked.", class_="soft"))
    points, now = block.found["restore_points"], block.found["now"]
    if not points["count"]:
        return _card(block, element("p", "None.", class_="soft"))
    newest = joined(f"run {block.success['run']}, ", _when(block.success["at"], now)) if block.success else "none"
    facts = {"oldest": joined(f"run {points['oldest']}, ", _when(points["at"], now)), "newest": newest}
    number = element("p", f"{points['count']:,} ", element("small", "runs can be restored with restore.py --at"), class_="number")
    return _card(block, number, _facts(facts))


def listed(items: list[Html | str], nothing: str) -> Html:
    if not items:
        return element("p", nothing, class_="soft")
    return element("div", element("ul", *(element("li", item) for item in items), class_="plain"), class_="card")


def drills(found: list[tuple[Health, dict]]) -> Html:
    items = [_drill(block, drill) for block, chronicle in found for drill in reversed(chronicle["drills"])]
    return listed(items, "No drill yet: python3 restore.py --drill")


def _drill(block: Health, drill: dict) -> Html:
    source = joined("❌ " if drill["error"] else "✅ ", element("bdi", block.source), " → ", element("bdi", block.target.label))
    said = drill["error"] or f"{plural(drill['rows'], 'row')} rebuilt and compared in {drill['seconds']:.2f} s"
    return joined(source, f", run {drill['run']}: {said}. ", _when(drill["at"], block.found["now"]))


def edits(found: list[tuple[Health, dict]]) -> Html:
    items = [_edit(block, edit) for block, chronicle in found for edit in reversed(chronicle["edits"])]
    return listed(items, "Nobody has changed a mirror.")


def _edit(block: Health, edit: dict) -> Html:
    table = element("bdi", f"{block.source}.{edit['table']}")
    did = f": {edit['operation']} of {plural(edit['rows'], 'row')} by "
    return joined(table, did, element("bdi", edit["by"]), ". ", _when(edit["at"], block.found["now"]))


def warnings(settings: Settings, found: list[tuple[Health, dict]]) -> Html:
    return listed(list(dict.fromkeys([*settings.warnings, *(text for block, _ in found for text in block.warnings)])), "None.")
