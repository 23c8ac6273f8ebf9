"""A chart with its words around it: its title, what it says, the value at its top, the times at its ends."""

import time

from lib.reporting.charts import Span
from lib.reporting.markup import Html, element

# What spans less is shown with the times of day.
DAYS = 2 * 86400


def figure(title: str, said: str, span: Span, top: str, chart: Html, kind: str | None = None) -> Html:
    """Return the chart; `top` is the value at its upper edge, the lower one is 0."""
    scale = element("div", element("span", top), element("span", "0"), class_="scale", aria_hidden="true")
    ends = [element("span", end) for end in dict.fromkeys(_ends(span))]
    return element(
        "figure",
        element("figcaption", element("b", title), element("span", said)),
        element("div", scale, element("div", chart, element("div", *ends, class_="axis"), class_="plot"), class_="chart"),
        class_=kind,
    )


def _ends(span: Span) -> list[str]:
    form = "%Y-%m-%d" if span.last - span.first > DAYS else "%Y-%m-%d %H:%M"
    return [time.strftime(form, time.gmtime(at)) for at in (span.first, span.last)]
