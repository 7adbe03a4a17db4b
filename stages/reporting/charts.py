"""Charts as inline SVG. Lines differ in colour, dash and marker, so that no line is recognized by one of these alone."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.reporting.content import Calibration
from stages.reporting.markup import Html, joined, tag
from stages.scoring.evaluation.resampling import Interval

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 12, 46
_STYLES = 6
"""Styles of lines that the style sheet has (`line-0` …)."""

_LEAST_SPAN = 0.02
"""An axis spans at least this share of its largest value: less would draw noise as if it were much."""


@dataclass(frozen=True)
class Line:
    """A line of a chart."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class _Frame:
    """The part of the picture that data are drawn in, and what it stands for."""

    x: tuple[float, float]
    y: tuple[float, float]

    def px(self, x: float) -> float:
        return _LEFT + _share(x, self.x) * (_WIDTH - _LEFT - _RIGHT)

    def py(self, y: float) -> float:
        return _HEIGHT - _BOTTOM - _share(y, self.y) * (_HEIGHT - _TOP - _BOTTOM)


def line_chart(
    title: str,
    x_label: str,
    lines: Sequence[Line],
    *,
    bounds: tuple[float, float] | None = None,
    from_zero: bool = False,
) -> Html:
    """Return a figure of lines, with a legend that shows how each is drawn.

    `bounds`: what the values can be, which the axis does not go beyond. `from_zero`: whether the x axis starts at 0.
    """
    xs, ys = [x for line in lines for x in line.xs], [y for line in lines for y in line.ys]
    x_ticks, y_ticks = ticks(0.0 if from_zero else min(xs), max(xs)), ticks(min(ys), max(ys), bounds=bounds)
    frame = _Frame(_span(xs, x_ticks), _span(ys, y_ticks))
    drawn = (_drawn(line, frame, style % _STYLES) for style, line in enumerate(lines))
    described = f"{title}. " + "; ".join(f"{line.name} ends at {line.ys[-1]:.4f}" for line in lines)
    picture = _picture(described, joined([_grid(frame, x_ticks, y_ticks), _x_title(x_label), *drawn]))
    legend = tag("ul", *(tag("li", _sample(k % _STYLES), line.name) for k, line in enumerate(lines)), class_="legend")
    return tag("figure", tag("figcaption", title), picture, legend)


def reliability_diagram(title: str, calibration: Calibration) -> Html:
    """Draw accuracy over confidence. The area of a point is its share of examples; the diagonal is perfect calibration."""
    frame = _Frame((0.0, 1.0), (0.0, 1.0))
    shown = [each for each in calibration.bins if each.count]
    most = max((each.count for each in shown), default=1)
    diagonal = tag(
        "line", x1=_at(frame.px(0)), y1=_at(frame.py(0)), x2=_at(frame.px(1)), y2=_at(frame.py(1)), class_="diagonal"
    )
    steps = ticks(0.0, 1.0)
    path = tag(
        "polyline", points=_points(frame, [(each.confidence, each.accuracy) for each in shown]), class_="line line-0"
    )
    points = (
        tag(
            "circle",
            tag("title", f"{each.count:,} examples: confidence {each.confidence:.3f}, accuracy {each.accuracy:.3f}"),
            cx=_at(frame.px(each.confidence)),
            cy=_at(frame.py(each.accuracy)),
            r=_at(2.5 + 7.5 * math.sqrt(each.count / most)),
            class_="bubble",
        )
        for each in shown
    )
    described = f"{title}: accuracy over confidence; expected calibration error {calibration.expected_error:.4f}"
    picture = _picture(
        described, joined([_grid(frame, steps, steps), _x_title("confidence of predictions"), diagonal, path, *points])
    )
    return tag("figure", tag("figcaption", title), picture)


def interval_mark(value: float, interval: Interval, low: float, high: float, reference: float | None = None) -> Html:
    """Return a point and its interval on an axis from `low` to `high`, to stand in a cell of a table."""
    width, middle = 140, 9

    def at(x: float) -> str:
        return _at(4 + min(max(_share(x, (low, high)), 0.0), 1.0) * (width - 8))

    parts = [tag("line", x1=4, x2=width - 4, y1=middle, y2=middle, class_="axis")]
    if reference is not None:
        parts.append(tag("line", x1=at(reference), x2=at(reference), y1=1, y2=17, class_="reference"))
    parts.append(tag("line", x1=at(interval.low), x2=at(interval.high), y1=middle, y2=middle, class_="whisker"))
    parts.append(tag("circle", cx=at(value), cy=middle, r=4, class_="dot"))
    return tag("svg", *parts, class_="mark", viewBox=f"0 0 {width} 18", width=width, height=18, aria_hidden="true")


def bar(share: float) -> Html:
    """Return a bar that fills a share of its cell, from 0 to 1."""
    filled = f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    track = tag("rect", width="100%", height="100%", rx="3", class_="track")
    return tag("svg", track, tag("rect", width=filled, height="100%", rx="3", class_="filled"), aria_hidden="true")


def ticks(low: float, high: float, about: int = 5, bounds: tuple[float, float] | None = None) -> list[float]:
    """Return round numbers from at most `low` to at least `high`. Their labels are short even if these are close together.

    `bounds`: what the values can be, such as 0 and 1: nothing beyond them gets a number.
    """
    if low == high == 0:
        high = 1.0
    if high - low < (least := max(_LEAST_SPAN * max(abs(low), abs(high)), 1e-9)):
        low, high = (low + high - least) / 2, (low + high + least) / 2
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * each for each in (1, 2, 2.5, 5) if power * each >= rough), power * 10)
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _span(values: Sequence[float], ticks_: Sequence[float]) -> tuple[float, float]:
    return min(*values, ticks_[0]), max(*values, ticks_[-1])


def _share(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return (value - low) / (high - low)


def _picture(description: str, content: Html) -> Html:
    return tag("svg", content, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=description, class_="chart")


def _grid(frame: _Frame, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> Html:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for y in y_ticks:
        at = _at(frame.py(y))
        parts.append(tag("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="grid"))
        parts.append(tag("text", f"{y:g}", x=_LEFT - 6, y=_at(frame.py(y) + 4), text_anchor="end"))
    for x in x_ticks:
        parts.append(tag("text", f"{x:g}", x=_at(frame.px(x)), y=bottom + 19, text_anchor="middle"))
    return joined(parts)


def _x_title(label: str) -> Html:
    return tag("text", label, x=(_LEFT + _WIDTH - _RIGHT) / 2, y=_HEIGHT - 4, text_anchor="middle", class_="axis-title")


def _drawn(line: Line, frame: _Frame, style: int) -> Html:
    points = list(zip(line.xs, line.ys, strict=True))
    path = tag("polyline", points=_points(frame, points), class_=f"line line-{style}")
    marks = points if len(points) <= 40 else points[-1:]
    return joined(
        [path, *(_marker(frame.px(x), frame.py(y), style, f"{line.name}: {y:.4f} at {x:g}") for x, y in marks)]
    )


def _points(frame: _Frame, points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{_at(frame.px(x))},{_at(frame.py(y))}" for x, y in points)


def _sample(style: int) -> Html:
    """Draw a piece of a line for the legend."""
    line = tag("line", x1=0, x2=30, y1=6, y2=6, class_=f"line line-{style}")
    return tag("svg", line, _marker(15, 6, style), viewBox="0 0 30 12", width=30, height=12, aria_hidden="true")


def _marker(x: float, y: float, style: int, title: str | None = None) -> Html:
    """Draw a circle, a square, a triangle or a diamond."""
    corners = (
        [],
        [(-3, -3), (3, -3), (3, 3), (-3, 3)],
        [(0, -4), (4, 3), (-4, 3)],
        [(0, -4), (4, 0), (0, 4), (-4, 0)],
    )[style % 4]
    said = [] if title is None else [tag("title", title)]
    if not corners:
        return tag("circle", *said, cx=_at(x), cy=_at(y), r=3, class_=f"marker-{style}")
    points = " ".join(f"{_at(x + dx)},{_at(y + dy)}" for dx, dy in corners)
    return tag("polygon", *said, points=points, class_=f"marker-{style}")


def _at(value: float) -> str:
    return f"{value:.1f}"
