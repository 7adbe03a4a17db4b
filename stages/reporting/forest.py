"""A forest plot: estimates with their intervals as rows of a table, drawn on one axis that covers the intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from stages.reporting.charts import ticks
from stages.reporting.markup import Html, escaped, interval_text, joined, score_text, scrolling, signed_text, tag
from stages.scoring.evaluation.resampling import Interval

_LEFT, _WIDTH = 3.0, 94.0
"""Where the axis lies in its column, in percent."""


@dataclass(frozen=True)
class Estimate:
    """A row: a value and how far it is known."""

    name: str
    """Text or markup."""
    value: float | None
    interval: Interval | None = None
    group: str = ""
    """The heading that this row and its neighbours of the same group stand below; none if empty."""
    tone: str | None = None
    """A class of the row: `headline`, `better` or `worse`."""
    said: str | None = None
    """What stands in place of the plot, such as why a value is on no axis."""
    cells: tuple[str, ...] = ()
    """What stands in columns between the name and the value."""
    behind: tuple[str, ...] = ()
    """What stands in columns between the value and the plot."""


def forest(
    caption: str,
    estimates: Sequence[Estimate],
    *,
    what: str = "score",
    value: str = "value",
    columns: Sequence[str] = (),
    behind: Sequence[str] = (),
    reference: float | None = None,
    bounds: tuple[float, float] | None = None,
) -> Html:
    """Return a table of estimates, with value and interval as numbers and as a plot on one common axis.

    `what`, `value`: the titles of the columns of names and values; `columns`: of those between them, and `behind`: of
    those behind. `reference`: the value to compare with, such as 0 for differences, which are then written with their sign.
    `bounds`: what values can be.
    """
    axis = _Axis.of(estimates, reference, bounds)
    has_groups = any(each.group for each in estimates)
    head = tag(
        "tr",
        tag("th", what, scope="col"),
        *(tag("th", title, scope="col", class_="number") for title in [*columns, value, *behind]),
        tag("td", "" if has_groups else axis.labels(), class_="plot"),
    )
    width = 2 + len(columns) + len(behind)
    bodies = (_body(group, list(rows), axis, width) for group, rows in groupby(estimates, lambda each: each.group))
    return scrolling(caption, tag("table", tag("caption", caption), tag("thead", head), *bodies, class_="forest"))


def _body(group: str, estimates: Sequence[Estimate], axis: "_Axis", width: int) -> Html:
    """Return rows below a heading with the numbers of the axis. `width`: the number of columns left of the plot."""
    rows = [_row(each, axis) for each in estimates]
    if not group:
        return tag("tbody", *rows)
    labels = axis.labels() if any(each.said is None for each in estimates) else Html()
    heading = tag("th", group, scope="rowgroup", colspan=width)
    return tag("tbody", tag("tr", heading, tag("td", labels, class_="plot"), class_="group"), *rows)


def _row(estimate: Estimate, axis: "_Axis") -> Html:
    is_signed = axis.reference is not None
    shown = signed_text(estimate.value) if is_signed else score_text(estimate.value)
    interval = Html()
    if estimate.interval is not None:
        interval = tag("span", interval_text(estimate.interval, signed=is_signed), class_="interval-text")
    plot = escaped(estimate.said) if estimate.said is not None else axis.drawn(estimate)
    kind = "plot" if estimate.said is None else "plot muted"
    return tag(
        "tr",
        tag("th", estimate.name, scope="row"),
        *(tag("td", cell, class_="number") for cell in estimate.cells),
        tag("td", shown, interval, class_="number"),
        *(tag("td", cell, class_="number") for cell in estimate.behind),
        tag("td", plot, class_=kind),
        class_=estimate.tone,
    )


@dataclass(frozen=True)
class _Axis:
    marks: Sequence[float]
    reference: float | None

    @classmethod
    def of(cls, estimates: Sequence[Estimate], reference: float | None, bounds: tuple[float, float] | None) -> "_Axis":
        """Choose round numbers as the ends of the axis, so that all that is drawn lies between them."""
        ends = [end for each in estimates if each.said is None for end in _ends(each)]
        ends += [] if reference is None else [reference]
        return cls(ticks(min(ends), max(ends), bounds=bounds) if ends else [0.0, 1.0], reference)

    def labels(self) -> Html:
        """Return the numbers of the axis."""
        texts = (
            tag(
                "text", f"{mark:g}", x=self._at(mark), y="14", text_anchor="middle", class_="between" if k % 2 else None
            )
            for k, mark in enumerate(self.marks)
        )
        return tag("svg", *texts, aria_hidden="true")

    def drawn(self, estimate: Estimate) -> Html:
        """Draw an estimate; hollow if its interval is not known."""
        lines = [
            tag("line", x1=self._at(mark), x2=self._at(mark), y1="0", y2="100%", class_="grid") for mark in self.marks
        ]
        if self.reference is not None:
            at = self._at(self.reference)
            lines.append(tag("line", x1=at, x2=at, y1="0", y2="100%", class_="reference"))
        return tag("svg", joined(lines), *self._estimate(estimate), aria_hidden="true")

    def _estimate(self, estimate: Estimate) -> Iterator[Html]:
        tone = f" {estimate.tone}" if estimate.tone else ""
        if estimate.interval is not None:
            low, high = self._at(estimate.interval.low), self._at(estimate.interval.high)
            yield tag("line", x1=low, x2=high, y1="50%", y2="50%", class_=f"whisker{tone}")
        if estimate.value is not None:
            kind = f"dot{tone}" if estimate.interval is not None else f"dot alone{tone}"
            yield tag("circle", cx=self._at(estimate.value), cy="50%", r="5", class_=kind)

    def _at(self, value: float) -> str:
        low, high = self.marks[0], self.marks[-1]
        return f"{_LEFT + _WIDTH * (value - low) / (high - low):.2f}%"


def _ends(estimate: Estimate) -> list[float]:
    bounds = [] if estimate.interval is None else [estimate.interval.low, estimate.interval.high]
    return bounds if estimate.value is None else [*bounds, estimate.value]
