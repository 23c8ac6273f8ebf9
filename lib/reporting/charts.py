"""Charts as inline SVG, without a word in them: they stretch with the page, and the words around them stay readable."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.reporting.markup import Html, element, joined

WIDTH, HEIGHT = 600, 80


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
    """What is drawn at a time, in Unix seconds: a value, what it says when it is pointed at, and how the run ended."""

    at: float
    value: float
    label: str
    outcome: str = "saved"


def bars(name: str, span: Span, drawn: list[Bar]) -> Html:
    """Draw some bars; what failed stands out at full height."""
    most = max([bar.value for bar in drawn], default=0) or 1
    return _svg(name, "bars", [_bar(span, bar, most) for bar in drawn])


def _bar(span: Span, bar: Bar, most: float) -> Html:
    # The square root: a first backup of everything must not flatten all others.
    height = HEIGHT if bar.outcome == "failed" else max(3, (bar.value / most) ** 0.5 * HEIGHT)
    x = min(max(span.x(bar.at) - 2, 0), WIDTH - 4)
    shape = {"x": x, "y": round(HEIGHT - height, 1), "width": 4, "height": round(height, 1), "class_": bar.outcome}
    return element("rect", element("title", bar.label), **shape)


def line(name: str, span: Span, points: Sequence[tuple[float, float]], most: float, *extra: Html) -> Html:
    """Draw a line through the points, with the area below it; `most` is the top of the chart."""
    placed = [(span.x(at), round(HEIGHT - value / (most or 1) * (HEIGHT - 6), 1)) for at, value in points]
    if len(placed) == 1:
        placed = [(0, placed[0][1]), (WIDTH, placed[0][1])]
    drawn = " L".join(f"{x} {y}" for x, y in placed)
    area = f"M{placed[0][0]} {HEIGHT} L{drawn} L{placed[-1][0]} {HEIGHT} Z" if placed else ""
    shapes = [element("path", d=area, class_="area"), element("path", d=f"M{drawn}", class_="line")] if placed else []
    return _svg(name, "curve", [*shapes, *extra])


def rule(share: float, kind: str) -> Html:
    """Return a level line at a share of the height, to be put into a chart."""
    y = round(HEIGHT - share * (HEIGHT - 6), 1)
    return element("path", d=f"M0 {y} L{WIDTH} {y}", class_=kind)


def slope(span: Span, start: tuple[float, float], end: tuple[float, float], most: float) -> Html:
    """Return the dashed line of a forecast, to be put into a chart."""
    ends = [f"{span.x(at)} {round(HEIGHT - min(value / most, 1.05) * (HEIGHT - 6), 1)}" for at, value in (start, end)]
    return element("path", d=f"M{' L'.join(ends)}", class_="forecast")


def gauge(name: str, share: float) -> Html:
    """Draw how full something is; 1 is full."""
    kind = "full" if share >= 0.9 else "high" if share >= 0.7 else "fine"
    width = round(min(max(share, 0.005), 1) * WIDTH, 1)
    track = element("rect", x=0, y=0, width=WIDTH, height=HEIGHT, class_="track")
    return _svg(name, "gauge", [track, element("rect", x=0, y=0, width=width, height=HEIGHT, class_=kind)])


def _svg(name: str, kind: str, shapes: list[Html]) -> Html:
    box = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none"}
    return element("svg", joined(*shapes), **box, role="img", aria_label=name, class_=kind)
