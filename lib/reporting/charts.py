"""Charts as inline SVG, without a word in them: they stretch with the page, and the words around them stay readable."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.reporting.markup import Html, element, joined

# Above the axis, in units of the drawing; what failed is a tick below it.
WIDTH, HEIGHT, BELOW = 600, 80, 10
# The axis of the chart is at HEIGHT; a line at the top keeps this distance from the edge.
MARGIN = 6


@dataclass(frozen=True)
class Span:
    """The times that a chart shows, in Unix seconds."""

    first: float
    last: float

    def x(self, at: float) -> float:
        """Return where a time lies in the chart, from 0 to WIDTH."""
        return round((at - self.first) / max(self.last - self.first, 1) * WIDTH, 1)


@dataclass(frozen=True)
class Bar:
    """What is drawn at a time, in Unix seconds: a value, what it says when it is pointed at, and how the run ended.

    A first load, which sends everything, would flatten all that comes after it, and is left out of the scale.
    """

    at: float
    value: float
    label: str
    outcome: str = "saved"
    is_first_load: bool = False


def top(drawn: list[Bar]) -> float:
    """Return the value at the top of a chart of bars."""
    shown = [bar for bar in drawn if bar.outcome != "failed"]
    return max([bar.value for bar in shown if not bar.is_first_load] or [bar.value for bar in shown], default=0)


def bars(name: str, span: Span, drawn: list[Bar]) -> Html:
    """Draw a bar for each run, and a tick under the axis for each that failed."""
    most = top(drawn) or 1
    axis = element("path", d=f"M0 {HEIGHT} L{WIDTH} {HEIGHT}", class_="base")
    return _svg(
        name, "bars", [axis, *(_tick(span, bar) if bar.outcome == "failed" else _bar(span, bar, most) for bar in drawn)], BELOW
    )


def _bar(span: Span, bar: Bar, most: float) -> Html:
    height = max(2, min(bar.value / most, 1) * HEIGHT)
    kind = f"{bar.outcome} beyond" if bar.value > most else bar.outcome
    return _rect(span, bar, HEIGHT - height, height, kind)


def _tick(span: Span, bar: Bar) -> Html:
    return _rect(span, bar, HEIGHT + 2, BELOW - 2, bar.outcome)


def _rect(span: Span, bar: Bar, y: float, height: float, kind: str) -> Html:
    x = min(max(span.x(bar.at) - 2, 0), WIDTH - 4)
    shape = {"x": x, "y": round(y, 1), "width": 4, "height": round(height, 1), "class_": kind}
    return element("rect", element("title", bar.label), **shape)


def line(name: str, span: Span, points: Sequence[tuple[float, float]], most: float, *extra: Html) -> Html:
    """Draw a line through the points, with the area below it; `most` is the top of the chart."""
    placed = [(span.x(at), _height(value / (most or 1))) for at, value in points]
    if len(placed) == 1:
        placed = [(0, placed[0][1]), (WIDTH, placed[0][1])]
    drawn = " L".join(f"{x} {y}" for x, y in placed)
    area = f"M{placed[0][0]} {HEIGHT} L{drawn} L{placed[-1][0]} {HEIGHT} Z" if placed else ""
    shapes = [element("path", d=area, class_="area"), element("path", d=f"M{drawn}", class_="line")] if placed else []
    return _svg(name, "curve", [*shapes, *extra])


def rule(share: float, kind: str) -> Html:
    """Return a level line at a share of the height, to be put into a chart."""
    return element("path", d=f"M0 {_height(share)} L{WIDTH} {_height(share)}", class_=kind)


def slope(span: Span, start: tuple[float, float], end: tuple[float, float], most: float) -> Html:
    """Return the dashed line of a forecast, to be put into a chart."""
    ends = [f"{span.x(at)} {_height(min(value / most, 1.05))}" for at, value in (start, end)]
    return element("path", d=f"M{' L'.join(ends)}", class_="forecast")


def gauge(name: str, share: float) -> Html:
    """Draw how full something is; 1 is full."""
    kind = "full" if share >= 0.9 else "high" if share >= 0.7 else "fine"
    width = round(min(max(share, 0.005), 1) * WIDTH, 1)
    track = element("rect", x=0, y=0, width=WIDTH, height=HEIGHT, class_="track")
    return _svg(name, "gauge", [track, element("rect", x=0, y=0, width=width, height=HEIGHT, class_=kind)])


def _height(share: float) -> float:
    return round(HEIGHT - share * (HEIGHT - MARGIN), 1)


def _svg(name: str, kind: str, shapes: list[Html], below: int = 0) -> Html:
    box = {"viewBox": f"0 0 {WIDTH} {HEIGHT + below}", "preserveAspectRatio": "none"}
    return element("svg", joined(*shapes), **box, role="img", aria_label=name, class_=kind)
