"""The section of the report about the runs: how long they took and what they sent, as charts and as a table."""

from collections.abc import Callable

from lib.backing_up.health import Answered
from lib.base.words import clock, plural, size
from lib.reporting import charts, sections
from lib.reporting.charts import Bar, Span
from lib.reporting.chronicle import Account, Run
from lib.reporting.figures import figure
from lib.reporting.markup import Html, element

SHOWN_RUNS = 25


def card(account: Account) -> Html:
    """Return the card of one source on one target."""
    runs = account.chronicle["runs"]
    if not runs:
        nothing = "No run yet." if isinstance(account.health, Answered) else sections.UNKNOWN
        return sections.card(account, element("p", nothing, class_="soft"), wide=" wide")
    span = Span(runs[0]["at"], max(run["at"] for run in runs))
    failed = sum(run["outcome"] == "failed" for run in runs)
    said = f"{plural(len(runs), 'run')}, {failed} failed" + (" (red ticks)" if failed else "")
    return sections.card(
        account,
        _figure("Duration", f"{said}; the longest took", account, span, lambda run: run["seconds"], _seconds),
        _figure("Data sent", "the most was", account, span, lambda run: run["bytes_sent"] or 0, lambda sent: size(round(sent))),
        element("details", element("summary", f"the last {min(len(runs), SHOWN_RUNS)} as a table"), _table(account)),
        wide=" wide",
    )


def _figure(
    title: str, said: str, account: Account, span: Span, value: Callable[[Run], float], words: Callable[[float], str]
) -> Html:
    """Draw a value of each run; `said` ends where the largest of them follows."""
    bars = [Bar(run["at"], value(run), _label(run), run["outcome"], run["is_first"]) for run in account.chronicle["runs"]]
    most, shown = charts.top(bars), [bar for bar in bars if bar.outcome != "failed"]
    beyond = [f"; the first load, {words(bar.value)}, is off the scale" for bar in shown if bar.value > most]
    all_said = "".join([f"{said} {words(most)}", *beyond])
    drawn = charts.bars(f"{title} of the runs of {account.source} → {account.target.label}: {all_said}", span, bars)
    return figure(title, all_said, span, words(most), drawn)


def _seconds(taken: float) -> str:
    return f"{taken:.2f} s" if taken < 1 else f"{taken:.1f} s"


def _label(run: Run) -> str:
    return f"run {run['run']}, {clock(run['at'])}: {run['outcome']}, {run['seconds']:.1f} s, {size(run['bytes_sent'] or 0)}"


def _table(account: Account) -> Html:
    newest_first = reversed(account.chronicle["runs"][-SHOWN_RUNS:])
    rows = [_row(run, account.health.known["now"]) for run in newest_first]
    return sections.table(f"Runs of {account.source}", ("run", "outcome", "ended", "seconds #", "sent #", "rows #", "why"), rows)


def _row(run: Run, now: float) -> list[object]:
    numbers = (f"{run['seconds']:.1f} s", size(run["bytes_sent"] or 0), f"{run['rows'] or 0:,}")
    return [run["run"], run["outcome"], sections.when(run["at"], now), *numbers, run["error"] or ""]
