"""The sections of a comparison's page on differences; each is empty where there is nothing to show.

Two runs have a forest plot of their differences. Several are the rows of one, and what differs by label or slice is a heat
map with a column a run.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlencode

from stages.comparison import wording
from stages.comparison.lettered_runs import LetteredRun, headline_of
from stages.comparison.results import (
    Comparison,
    Difference,
    EnvironmentDifference,
    LabelDifference,
    Pair,
    ParamDifference,
    SliceDifference,
)
from stages.pipeline.json_files import Json
from stages.reporting.content import Verdict
from stages.reporting.forest import Estimate, forest
from stages.reporting.markup import (
    MISSING,
    Cell,
    Column,
    Html,
    breakable,
    interval_text,
    joined,
    score_text,
    scrolling,
    signed_text,
    table,
    tag,
    visible,
)
from stages.reporting.sections import metric_title, section
from stages.scoring.core.metrics import bounds_of, higher_is_better
from stages.scoring.evaluation.resampling import Interval

_SIGNS: Mapping[Verdict, str] = {"better": "▲", "worse": "▼", "no evidence": "●", "exploratory": "○"}
_ROWS = 20
"""Labels or slices that are shown at once; the others are folded."""
_LEVELS = 5
"""Shades of the heat map to either side (`better-1` …)."""
_OWN_SCALE = "on a scale of its own"


# Metrics


def differences(comparison: Comparison, shown: Sequence[LetteredRun]) -> Html:
    """What is tested: of two runs all metrics, of several the judged metrics of all runs."""
    if not any(each.pair and each.pair.differences for each in shown):
        return Html()
    if len(shown) == 2:
        plots = [_of_two(comparison, *shown)]
    else:
        plots = [_of_several(comparison, shown, metric) for metric in comparison.judged or [headline_of(comparison)]]
    explained = (
        "“No evidence” means that a difference this large is not unusual between equally good runs, not that the runs are "
        "equal. "
    )
    method = tag("p", explained + wording.method(comparison)) if comparison.examples else ""
    return section("differences", "Differences", *plots, method)


def _of_two(comparison: Comparison, base: LetteredRun, other: LetteredRun) -> Html:
    found = other.pair.differences if other.pair else ()
    first = found[0]
    on_axis = bounds_of(first.metric)
    estimates = [
        Estimate(
            _named(metric_title(each.metric), _verdict(each)),
            each.difference,
            each.interval,
            tone=_tone(each, is_headline=each is first),
            said=None if each is first or (bounds_of(each.metric) and on_axis) else _OWN_SCALE,
            behind=(_p(each, comparison), score_text(each.base), score_text(each.other)),
        )
        for each in found
    ]
    return forest(
        "Differences on the test split", estimates, what="metric", value="difference", reference=0.0,
        behind=("p", base.letter, other.letter),
    )  # fmt: skip


def _of_several(comparison: Comparison, shown: Sequence[LetteredRun], metric: str) -> Html:
    by_name = {each.result.name: each for each in shown}
    rows = [by_name[run.name] for run, _ in wording.ranked(comparison, metric)]
    estimates = [_run_estimate(comparison, each, metric) for each in rows]
    return forest(
        f"Differences in {metric_title(metric)}", estimates, what="run",
        value="difference", reference=0.0, behind=("p", metric_title(metric)),
    )  # fmt: skip


def _run_estimate(comparison: Comparison, each: LetteredRun, metric: str) -> Estimate:
    own = each.result.score_on(metric)
    interval = Html() if own is None or own.interval is None else _muted(interval_text(own.interval))
    score = joined([score_text(own.value if own else None), interval])
    found = each.difference(metric)
    if found is None:
        is_base = each.pair is None
        said = "" if is_base else "no evidence: its predictions can't be compared"
        return Estimate(each.title, None, said=said, tone="base" if is_base else None, behind=(MISSING, score))
    name = _named(each.title, _verdict(found))
    return Estimate(name, found.difference, found.interval, tone=_tone(found), behind=(_p(found, comparison), score))


def metrics(comparison: Comparison, shown: Sequence[LetteredRun]) -> Html:
    """Of several runs all metrics, with their differences from the base."""
    names = list(dict.fromkeys(score.metric for each in shown for score in each.result.scores))
    if len(shown) == 2 or len(names) < 2:
        return Html()
    by_name = {each.result.name: each for each in shown}
    rows = [by_name[run.name] for run, _ in wording.ranked(comparison, headline_of(comparison))]
    reach = {name: _reach(each.difference(name) for each in rows) for name in names}
    cells = [[(each.title, ""), *(_metric_cell(each, name, reach[name]) for name in names)] for each in rows]
    said = "Below each score stands its difference from the base, blue where it is better and orange where it is worse."
    content = _heat_table("All metrics on the test split", ["run", *map(metric_title, names)], cells)
    return section("metrics", "All metrics", content, tag("p", said))


def _metric_cell(each: LetteredRun, metric: str, reach: float) -> tuple[Html, str]:
    own, found = each.result.score_on(metric), each.difference(metric)
    score = score_text(own.value if own else None)
    if found is None:
        return Html(score), ""
    shade = _shade(found.difference, reach, is_good_up=found.higher_is_better)
    return joined([score, _muted(signed_text(found.difference))]), shade


def _verdict(found: Difference) -> Html:
    verdict = found.verdict if found.test is not None else None
    said = MISSING + " not tested" if verdict is None else f"{_SIGNS[verdict]} {verdict}"
    return tag("span", said, class_=f"verdict {(verdict or 'not tested').replace(' ', '-')}")


def _tone(found: Difference, *, is_headline: bool = False) -> str | None:
    if found.verdict in ("better", "worse") and found.test is not None:
        return found.verdict
    return "headline" if is_headline else None


def _p(found: Difference, comparison: Comparison) -> str:
    return wording.probability(wording.shown_p(found, comparison)).replace("-", MISSING)


def _named(name: str, verdict: Html) -> Html:
    return joined([name, tag("span", verdict, class_="below")])


def _muted(text: str) -> Html:
    return tag("span", text, class_="interval-text")


# Labels and slices


@dataclass(frozen=True)
class _Row:
    """A label or a slice, with what each run but the base has of it."""

    name: str
    support: int
    found: Mapping[str, LabelDifference | SliceDifference]
    """By the run's letter."""
    title: str
    """Its name, or markup that shows it."""

    @property
    def largest(self) -> float:
        """The largest difference, up or down."""
        return _reach(self.found.values())


def labels(shown: Sequence[LetteredRun], listed: Collection[str]) -> Html:
    """F1 of each label or entity type; those that are `listed` lead to the examples that have them wrong."""
    rows = _rows(shown, lambda pair: [(each.label, each.support, each) for each in pair.labels])
    content = [*_parts("F1 by label", "label", "gold", rows, shown, is_good_up=True, listed=listed)]
    return section("labels", "Labels", *_key(shown, content), *content)


def slices(shown: Sequence[LetteredRun]) -> Html:
    """The headline metric on parts of the test split."""
    content: list[Html] = []
    for metric, by in dict.fromkeys((each.metric, each.by) for run in shown if run.pair for each in run.pair.slices):
        rows = _rows(shown, partial(_slices_by, by))
        is_good_up = higher_is_better(metric)
        content += _parts(f"{metric_title(metric)} by {by}", by, "examples", rows, shown, is_good_up=is_good_up)
    return section("slices", "Slices of the test split", *_key(shown, content), *content)


def _slices_by(by: str, pair: Pair) -> list[tuple[str, int, LabelDifference | SliceDifference]]:
    return [(each.slice, each.examples, each) for each in pair.slices if each.by == by]


def _linked(label: str) -> Html:
    """A label that leads to the examples that have it wrong, by the address that the page's script understands."""
    return tag("a", label, href="#errors&" + urlencode({"gold": visible(label)}))


def _rows(
    shown: Sequence[LetteredRun],
    parts: Callable[[Pair], Iterable[tuple[str, int, LabelDifference | SliceDifference]]],
) -> list[_Row]:
    found: dict[str, dict[str, LabelDifference | SliceDifference]] = {}
    support: dict[str, int] = {}
    for run in shown:
        for name, number, each in parts(run.pair) if run.pair else ():
            found.setdefault(name, {})[run.letter] = each
            support[name] = number
    return [_Row(name, support[name], each, name) for name, each in found.items()]


def _parts(
    caption: str,
    what: str,
    support: str,
    rows: Sequence[_Row],
    shown: Sequence[LetteredRun],
    *,
    is_good_up: bool,
    listed: Collection[str] = (),
) -> Iterator[Html]:
    """The rows with the largest differences; if there are many, the others are folded."""
    if not rows:
        return
    rows = [replace(row, title=_linked(row.name)) if row.name in listed else row for row in rows]
    draw = _forest_of_parts if len(shown) == 2 else _heat_map
    first, rest = rows, list[_Row]()
    if len(rows) > _ROWS:
        by_size = sorted(rows, key=lambda row: -row.largest)
        first, rest = by_size[:_ROWS], by_size[_ROWS:]
    reach = _reach(each for row in rows for each in row.found.values())
    yield draw(caption, what, support, first, shown, reach, is_good_up)
    if rest:
        others = draw(f"{caption}: the others", what, support, rest, shown, reach, is_good_up)
        yield tag("details", tag("summary", f"{len(rest):,} more with smaller differences"), others)


def _forest_of_parts(
    caption: str,
    what: str,
    support: str,
    rows: Sequence[_Row],
    shown: Sequence[LetteredRun],
    _: float,
    is_good_up: bool,
) -> Html:
    base, other = shown
    estimates = [
        Estimate(
            row.title,
            found.difference,
            found.interval,
            tone=_side(found.interval, is_good_up=is_good_up),
            behind=(score_text(found.base), score_text(found.other), f"{row.support:,}"),
        )
        for row in rows
        for found in row.found.values()
    ]
    columns = (base.letter, other.letter, support)
    return forest(caption, estimates, what=what, value="difference", reference=0.0, behind=columns)


def _side(interval: Interval | None, *, is_good_up: bool) -> str | None:
    """Which side of 0 an interval lies on; None if it holds 0."""
    if interval is None or interval.low <= 0 <= interval.high:
        return None
    return "better" if (interval.low > 0) == is_good_up else "worse"


def _heat_map(
    caption: str,
    what: str,
    support: str,
    rows: Sequence[_Row],
    shown: Sequence[LetteredRun],
    reach: float,
    is_good_up: bool,
) -> Html:
    base, *others = shown
    cells = [
        [
            (tag("span", row.title), ""),
            (Html(f"{row.support:,}"), ""),
            (Html(score_text(next(iter(row.found.values())).base)), ""),
            *(_heat_cell(row.found.get(run.letter), reach, is_good_up) for run in others),
        ]
        for row in rows
    ]
    titles = [what, support, joined([base.badge, " score"]), *(run.badge for run in others)]
    return _heat_table(caption, titles, cells)


def _key(shown: Sequence[LetteredRun], content: Sequence[Html]) -> list[Html]:
    """How to read heat maps; nothing where there are none."""
    if len(shown) == 2 or not content:
        return []
    said = (
        f"Differences from {shown[0].letter}, the base: blue is better, orange is worse, and darker is more. Bold: the interval "
        "does not include 0."
    )
    return [_legend(shown), tag("p", said)]


def _legend(shown: Sequence[LetteredRun]) -> Html:
    """Which letter stands for which run."""
    return tag("ul", *(tag("li", run.title) for run in shown), class_="runs")


def _heat_cell(found: LabelDifference | SliceDifference | None, reach: float, is_good_up: bool) -> tuple[Html, str]:
    if found is None or found.difference is None:
        return Html(MISSING), ""
    shade = _shade(found.difference, reach, is_good_up=is_good_up)
    is_beyond = _side(found.interval, is_good_up=is_good_up) is not None
    figure = tag(
        "b" if is_beyond else "span", signed_text(found.difference), title=interval_text(found.interval, signed=True)
    )
    return figure, shade


def _shade(difference: float | None, reach: float, *, is_good_up: bool) -> str:
    """The class of a cell: `better-3` or `worse-1`; none for a difference that rounds to no shade."""
    level = 0 if difference is None or not reach else round(_LEVELS * min(1.0, abs(difference) / reach))
    if not level or difference is None:
        return ""
    return f"{'better' if (difference > 0) == is_good_up else 'worse'}-{level}"


def _reach(found: Iterable[Difference | LabelDifference | SliceDifference | None]) -> float:
    """The largest difference, up or down."""
    return max((abs(each.difference) for each in found if each and each.difference is not None), default=0.0)


def _heat_table(caption: str, titles: Sequence[str], rows: Sequence[Sequence[tuple[Html, str]]]) -> Html:
    """A table of cells with their shades; the first cell of each row is its header, and stays where others scroll."""
    head = tag(
        "tr", *(tag("th", title, scope="col", class_="number" if place else None) for place, title in enumerate(titles))
    )
    body = (
        tag(
            "tr",
            tag("th", first[0], scope="row"),
            *(tag("td", cell, class_=f"number {shade}".strip()) for cell, shade in cells),
        )
        for first, *cells in rows
    )
    content = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body), class_="heat")
    return scrolling(caption, content)


# Settings


def settings(shown: Sequence[LetteredRun]) -> Html:
    """In which parameters and environment the runs differ, and how long their stages took."""
    pairs = [each.pair for each in shown if each.pair]
    params = _values([{each.key: each for each in pair.params} for pair in pairs])
    environment = _values(
        [{f"{each.key} ({', '.join(each.stages)})": each for each in pair.environment} for pair in pairs]
    )
    seconds = _of_runs([{each.stage: wording.took(each) for each in pair.seconds} for pair in pairs])
    tables = [
        _values_table("Parameters that differ", "parameter", params, shown),
        _values_table("Time per stage", "stage", seconds, shown),
        _values_table("Environment that differs", "environment", environment, shown),
    ]
    has_legend = len(shown) > 2 and any(tables)
    return section("settings", "Settings", _legend(shown) if has_legend else "", *tables)


def _values_table(caption: str, what: str, values: Mapping[str, Sequence[str]], shown: Sequence[LetteredRun]) -> Html:
    if not values:
        return Html()
    columns = [Column(what), *(Column(run.badge if len(shown) > 2 else run.title) for run in shown)]
    rows = [[Cell(breakable(name)), *(Cell(value or MISSING) for value in of_runs)] for name, of_runs in values.items()]
    return table(caption, columns, rows)


def _values(pairs: Sequence[Mapping[str, ParamDifference | EnvironmentDifference]]) -> Mapping[str, Sequence[str]]:
    """What some run has otherwise than the base, from the differences of each pair; elsewhere a run is like the base."""
    shown = [{name: (_setting(found.base), _setting(found.other)) for name, found in pair.items()} for pair in pairs]
    return _of_runs(shown, is_like_base=True)


def _of_runs(
    pairs: Sequence[Mapping[str, tuple[str, str]]], *, is_like_base: bool = False
) -> Mapping[str, Sequence[str]]:
    """From what the base and another run have of each name, a pair each, the values of all runs by name.

    `is_like_base`: whether a run whose pair does not have the name is like the base; else it has nothing.
    """
    bases: dict[str, str] = {}
    for pair in pairs:
        for name, (base, _) in pair.items():
            bases.setdefault(name, base)
    return {
        name: [base, *(pair.get(name, ("", base if is_like_base else ""))[1] for pair in pairs)]
        for name, base in bases.items()
    }


def _setting(value: Json) -> str:
    return "" if value is None else wording.setting(value)
