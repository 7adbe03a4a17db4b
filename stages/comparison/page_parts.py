"""The sections of a comparison's page on parts of the test split: labels and slices.

Two runs have a forest plot of their differences. Several have a heat map with a column a run.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias
from urllib.parse import urlencode

from stages.comparison.heat_map import HeatCell, heat_table, reach_of, shade
from stages.comparison.lettered_runs import LetteredRun, legend
from stages.comparison.results import LabelDifference, Pair, SliceDifference
from stages.reporting.forest import Estimate, forest
from stages.reporting.markup import MISSING, Html, interval_text, joined, score_text, signed_text, tag, visible
from stages.reporting.sections import metric_title, section
from stages.scoring.core.metrics import higher_is_better
from stages.scoring.evaluation.resampling import Interval

_ROWS = 20
"""Labels or slices that are shown at once; the others are folded."""


_Found: TypeAlias = LabelDifference | SliceDifference


@dataclass(frozen=True)
class _Row:
    """A label or a slice, with what each run but the base has of it."""

    name: str
    support: int
    found: Mapping[str, _Found]
    """By the run's letter."""
    title: str
    """Its name, or markup that shows it."""

    @property
    def largest(self) -> float:
        """The largest difference, up or down."""
        return reach_of(self.found.values())


@dataclass(frozen=True)
class _Style:
    """What the tables of labels, or of slices by one thing, have in common."""

    caption: str
    what: str
    """The title of the column of names."""
    support: str
    """The title of the column of numbers of examples."""
    is_good_up: bool
    reach: float
    """The largest difference in all rows, which has the darkest shade."""


def labels(shown: Sequence[LetteredRun], listed: Collection[str]) -> Html:
    """Return F1 of each label or entity type. Those in `listed` link to the examples that have them wrong."""
    rows = _rows(shown, lambda pair: [(each.label, each.support, each) for each in pair.labels])
    rows = [replace(row, title=_linked(row.name)) if row.name in listed else row for row in rows]
    content = [*_parts(_Style("F1 by label", "label", "gold", True, _reach(rows)), rows, shown)]
    return section("labels", "Labels", *_key(shown, content), *content)


def slices(shown: Sequence[LetteredRun]) -> Html:
    """Return the headline metric on parts of the test split."""
    content: list[Html] = []
    for metric, by in dict.fromkeys((each.metric, each.by) for run in shown if run.pair for each in run.pair.slices):
        rows = _rows(shown, partial(_slices_by, metric, by))
        caption = f"{metric_title(metric)} by {by}"
        content += _parts(_Style(caption, by, "examples", higher_is_better(metric), _reach(rows)), rows, shown)
    return section("slices", "Slices of the test split", *_key(shown, content), *content)


def _slices_by(metric: str, by: str, pair: Pair) -> list[tuple[str, int, _Found]]:
    return [(each.slice, each.examples, each) for each in pair.slices if (each.metric, each.by) == (metric, by)]


def _reach(rows: Sequence[_Row]) -> float:
    return max((row.largest for row in rows), default=0.0)


def _linked(label: str) -> Html:
    """Return a label that links to the examples that have it wrong. The page's script reads the address."""
    return tag("a", label, href="#errors&" + urlencode({"gold": visible(label)}))


def _rows(
    shown: Sequence[LetteredRun],
    parts: Callable[[Pair], Iterable[tuple[str, int, _Found]]],
) -> list[_Row]:
    found: dict[str, dict[str, _Found]] = {}
    support: dict[str, int] = {}
    for run in shown:
        for name, number, each in parts(run.pair) if run.pair else ():
            found.setdefault(name, {})[run.letter] = each
            support[name] = number
    return [_Row(name, support[name], each, name) for name, each in found.items()]


def _parts(style: _Style, rows: Sequence[_Row], shown: Sequence[LetteredRun]) -> Iterator[Html]:
    """Yield the rows with the largest differences; if there are many, the others are folded."""
    if not rows:
        return
    draw = _forest_of_parts if len(shown) == 2 else _heat_map
    first, rest = rows, list[_Row]()
    if len(rows) > _ROWS:
        by_size = sorted(rows, key=lambda row: -row.largest)
        first, rest = by_size[:_ROWS], by_size[_ROWS:]
    yield draw(style, first, shown)
    if rest:
        others = draw(replace(style, caption=f"{style.caption}: the others"), rest, shown)
        yield tag("details", tag("summary", f"{len(rest):,} more with smaller differences"), others)


def _forest_of_parts(style: _Style, rows: Sequence[_Row], shown: Sequence[LetteredRun]) -> Html:
    base, other = shown
    estimates = [
        Estimate(
            row.title,
            found.difference,
            found.interval,
            tone=_side(found.interval, is_good_up=style.is_good_up),
            behind=(score_text(found.base), score_text(found.other), f"{row.support:,}"),
        )
        for row in rows
        for found in row.found.values()
    ]
    columns = (base.letter, other.letter, style.support)
    return forest(style.caption, estimates, what=style.what, value="difference", reference=0.0, behind=columns)


def _side(interval: Interval | None, *, is_good_up: bool) -> str | None:
    """Return which side of 0 an interval lies on; None if it holds 0."""
    if interval is None or interval.low <= 0 <= interval.high:
        return None
    return "better" if (interval.low > 0) == is_good_up else "worse"


def _heat_map(style: _Style, rows: Sequence[_Row], shown: Sequence[LetteredRun]) -> Html:
    base, *others = shown
    cells = [
        [
            HeatCell(row.title),
            HeatCell(f"{row.support:,}"),
            HeatCell(score_text(next(iter(row.found.values())).base)),
            *(_heat_cell(style, row.found.get(run.letter)) for run in others),
        ]
        for row in rows
    ]
    titles = [style.what, style.support, joined([base.badge, " score"]), *(run.badge for run in others)]
    return heat_table(style.caption, titles, cells)


def _key(shown: Sequence[LetteredRun], content: Sequence[Html]) -> list[Html]:
    """Return how to read heat maps; nothing if there are none."""
    if len(shown) == 2 or not content:
        return []
    said = (
        f"Differences from {shown[0].letter}, the base: blue is better, orange is worse, and darker colours are larger "
        "differences. Bold: the interval does not include 0."
    )
    return [legend(shown), tag("p", said)]


def _heat_cell(style: _Style, found: _Found | None) -> HeatCell:
    if found is None or found.difference is None:
        return HeatCell(MISSING)
    is_beyond = _side(found.interval, is_good_up=style.is_good_up) is not None
    figure = tag(
        "b" if is_beyond else "span", signed_text(found.difference), title=interval_text(found.interval, signed=True)
    )
    return HeatCell(figure, shade(found.difference, style.reach, is_good_up=style.is_good_up))
