"""Charts of configurations as inline SVG: parallel coordinates of all parameters, and the score over each of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from stages.pipeline.escaping import shortened
from stages.pipeline.json_files import Json
from stages.reporting.charts import ticks
from stages.reporting.markup import Html, joined, scrolling, tag
from stages.sweep.leaderboard.keys import by_size, numbers_of, setting, short_names
from stages.sweep.leaderboard.results import Board, Row, TrialScore

_PLACES = 6
"""Up to so many distinct numbers are spaced evenly on an axis; more are placed by their size."""
_LOGARITHMIC = 30.0
"""An axis is logarithmic if its largest number is at least so many times its smallest."""
_LABELS = 10
"""The most labels on an axis of names."""
_LABEL = 14
"""Characters of a label."""
_MARGIN = 0.06
"""The share of an axis that is left free at each end."""


@dataclass(frozen=True)
class Axis:
    """The positions of a parameter's values on an axis from 0 to 1, and its labels."""

    places: Mapping[str, float]
    """The position of each value, by its text as `setting` returns it."""
    labels: Sequence[tuple[float, str]]
    """Positions and texts."""
    has_places: bool
    """Whether the values are spaced evenly, as names are."""

    @classmethod
    def of(cls, values: Sequence[Json]) -> "Axis":
        """Space names and few numbers evenly; place many numbers by size."""
        distinct = {setting(value): value for value in sorted(values, key=by_size)}
        numbers = numbers_of(list(distinct.values()))
        if numbers is None or len(numbers) <= _PLACES:
            return cls._of_places(list(distinct))
        return cls._of_numbers(dict(zip(distinct, numbers, strict=True)))

    @classmethod
    def _of_places(cls, names: Sequence[str]) -> "Axis":
        places = {name: (at + 0.5) / len(names) for at, name in enumerate(names)}
        every = math.ceil(len(names) / _LABELS)
        shown = [(places[name], shortened(name, _LABEL)) for name in names[::every]]
        return cls(places, shown, has_places=True)

    @classmethod
    def _of_numbers(cls, numbers: Mapping[str, float]) -> "Axis":
        low, high = min(numbers.values()), max(numbers.values())
        if low > 0 and high / low >= _LOGARITHMIC:
            first, last = math.log10(low), math.log10(high)
            marks = [(mark, f"{10.0**mark:g}") for mark in _powers(first, last)]
            at = {name: math.log10(number) for name, number in numbers.items()}
        else:
            first, last = low, high
            marks = [(mark, f"{mark:g}") for mark in ticks(low, high) if low <= mark <= high]
            at = dict(numbers)
        scale = (1 - 2 * _MARGIN) / (last - first)
        return cls(
            {name: _MARGIN + (value - first) * scale for name, value in at.items()},
            [(_MARGIN + (mark - first) * scale, label) for mark, label in marks],
            has_places=False,
        )

    def __call__(self, value: Json) -> float:
        """Return the position of a value."""
        return self.places[setting(value)]


def _powers(first: float, last: float) -> list[float]:
    """Return the logarithms of 1, 10, 100 … from `first` to `last`; of numbers between these too where there are few."""
    whole = range(math.floor(first), math.ceil(last) + 1)
    digits = (1, 2, 5) if last - first < 2 else (1, 3) if last - first < 4 else (1,)
    marks = sorted(power + math.log10(digit) for power in whole for digit in digits)
    return [mark for mark in marks if first <= mark <= last]


def score_axis(scores: Sequence[float]) -> tuple[float, float, list[float]]:
    """Return the ends and the ticks of an axis of scores."""
    marks = ticks(min(scores), max(scores))
    return min(*scores, marks[0]), max(*scores, marks[-1]), marks


_HEIGHT, _TOP, _BOTTOM, _SIDE = 340, 34, 14, 60
_WIDE, _LEAST, _MOST = 1050, 120, 320
"""Pixels: the width of all axes together, and the least and the largest distance between two."""


def parallel_coordinates(board: Board, of_board: int) -> Html:
    """Draw a line for each configuration through its values. The last axis is the score, with the best at the top."""
    names = short_names(board.keys)
    step = min(_MOST, max(_LEAST, _WIDE // len(board.keys)))
    width = 2 * _SIDE + step * len(board.keys)
    axes = {key: Axis.of([row.settings[key] for row in board.rows]) for key in board.keys}
    low, high, marks = score_axis([row.score for row in board.rows])

    def y(place: float) -> float:
        return _HEIGHT - _BOTTOM - place * (_HEIGHT - _TOP - _BOTTOM)

    def y_of_score(score: float) -> float:
        place = (score - low) / (high - low)
        return y(place if board.higher_is_better else 1 - place)

    drawn = []
    for place, row in sorted(enumerate(board.rows), key=lambda each: (bool(each[1].is_among_best), -each[0])):
        points = [(_SIDE + step * at, y(axes[key](row.settings[key]))) for at, key in enumerate(board.keys)]
        points.append((_SIDE + step * len(board.keys), y_of_score(row.score)))
        said = f"{row.rank}. {board.metric} {row.score:.4f}: " + ", ".join(
            f"{names[key]} {setting(row.settings[key])}" for key in board.keys
        )
        drawn.append(
            tag(
                "polyline", tag("title", said), points=" ".join(f"{x:.1f},{at:.1f}" for x, at in points),
                class_=f"path {_class(row, place)}", data_row=f"{of_board}-{place}",
            )
        )  # fmt: skip
    upright = [
        _upright(_SIDE + step * at, names[key], key, [(y(mark), label) for mark, label in axes[key].labels])
        for at, key in enumerate(board.keys)
    ]
    scores = [(y_of_score(mark), f"{mark:g}") for mark in marks]
    upright.append(_upright(_SIDE + step * len(board.keys), board.metric, f"{board.metric} on validation", scores))
    picture = tag(
        "svg", *drawn, *upright, class_="parallel", viewBox=f"0 0 {width} {_HEIGHT}", width=width, height=_HEIGHT,
        role="img", aria_label=f"Parallel coordinates of {len(board.rows)} configurations; the table has the same values",
    )  # fmt: skip
    return scrolling("All parameters at once", picture)


def _class(row: Row, place: int) -> str:
    if place == 0:
        return "leader"
    return "unknown" if row.is_among_best is None else "among" if row.is_among_best else "other"


def _upright(x: float, name: str, whole_name: str, marks: Sequence[tuple[float, str]]) -> Html:
    """Draw a vertical axis, with its labels to the right."""
    parts = [
        tag("line", x1=x, x2=x, y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="axis"),
        tag("text", shortened(name, 18), tag("title", whole_name), x=x, y=16, text_anchor="middle", class_="axis-name"),
    ]
    for at, label in marks:
        parts.append(tag("line", x1=x, x2=x + 4, y1=f"{at:.1f}", y2=f"{at:.1f}", class_="axis"))
        parts.append(tag("text", label, x=x + 8, y=f"{at + 4:.1f}", class_="axis-label"))
    return joined(parts)


_CHART_WIDTH, _CHART_HEIGHT, _LEFT, _RIGHT, _ABOVE, _BELOW = 360, 220, 50, 12, 12, 26


def score_over_key(board: Board, key: str, of_board: int) -> Html:
    """Draw the score of each trial over the values of one parameter."""
    chart = _ScoreChart.of(board, key)
    points = [
        chart.point(trial, row, f"{of_board}-{place}", _class(row, place))
        for place, row in sorted(enumerate(board.rows), key=lambda each: (bool(each[1].is_among_best), -each[0]))
        for trial in row.trials
    ]
    picture = tag(
        "svg", *chart.grid(), *chart.labels(), *points, *chart.means(board.rows),
        viewBox=f"0 0 {_CHART_WIDTH} {_CHART_HEIGHT}", role="img", class_="chart",
        aria_label=f"{board.metric} on validation over {key}",
    )  # fmt: skip
    return tag("figure", tag("figcaption", key), picture)


@dataclass(frozen=True)
class _ScoreChart:
    """The axes of a chart of scores over a parameter, and what is drawn on them."""

    key: str
    axis: Axis
    low: float
    high: float
    marks: Sequence[float]
    """The ticks of the axis of scores, from `low` to `high`."""

    @classmethod
    def of(cls, board: Board, key: str) -> "_ScoreChart":
        scores = [trial.score for row in board.rows for trial in row.trials]
        return cls(key, Axis.of([row.settings[key] for row in board.rows]), *score_axis(scores))

    def x(self, place: float) -> float:
        return _LEFT + place * (_CHART_WIDTH - _LEFT - _RIGHT)

    def y(self, score: float) -> float:
        height = _CHART_HEIGHT - _ABOVE - _BELOW
        return _CHART_HEIGHT - _BELOW - (score - self.low) / (self.high - self.low) * height

    def grid(self) -> Iterator[Html]:
        """Yield a line for each tick of the scores, and its number."""
        for mark in self.marks:
            y = self.y(mark)
            yield tag("line", x1=_LEFT, x2=_CHART_WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid")
            yield tag("text", f"{mark:g}", x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end")

    def labels(self) -> Iterator[Html]:
        """Yield the labels of the values; every second one where there are many."""
        shown = self.axis.labels[:: 1 if len(self.axis.labels) <= _PLACES else 2]
        longest = max(5, 44 // max(1, len(shown)))
        for place, label in shown:
            yield tag(
                "text", shortened(label, longest), tag("title", label),
                x=f"{self.x(place):.1f}", y=_CHART_HEIGHT - _BELOW + 16, text_anchor="middle",
            )  # fmt: skip

    def point(self, trial: TrialScore, row: Row, name: str, kind: str) -> Html:
        """Return the point of a trial. `name`: of its row, for the page's script. `kind`: its class."""
        value = row.settings[self.key]
        return tag(
            "circle", tag("title", f"{trial.experiment}: {trial.score:.4f} at {setting(value)}"),
            cx=f"{self.x(self.axis(value)):.1f}", cy=f"{self.y(trial.score):.1f}", r=3.5,
            class_=f"point {kind}", data_row=name,
        )  # fmt: skip

    def means(self, rows: Sequence[Row]) -> Iterator[Html]:
        """Yield a bar at the mean score of each value, where each value has a place of its own."""
        of_value: dict[float, list[float]] = {}
        for row in rows if self.axis.has_places else ():
            of_value.setdefault(self.axis(row.settings[self.key]), []).extend(trial.score for trial in row.trials)
        for place, scores in of_value.items():
            x, y = self.x(place), f"{self.y(fmean(scores)):.1f}"
            said = tag("title", f"mean {fmean(scores):.4f} of {len(scores)}")
            yield tag("line", said, x1=f"{x - 12:.1f}", x2=f"{x + 12:.1f}", y1=y, y2=y, class_="mean")
