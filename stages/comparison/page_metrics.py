"""The sections of a comparison's page on metrics: a forest plot of differences, and a heat map of all metrics of several runs.

Two runs have a row for each metric; several are the rows themselves, the best first and the base among them.
"""

from collections.abc import Mapping, Sequence

from stages.comparison import wording
from stages.comparison.heat_map import HeatCell, heat_table, reach_of, shade
from stages.comparison.lettered_runs import LetteredRun, headline_of
from stages.comparison.results import Comparison, Difference
from stages.reporting.content import Verdict
from stages.reporting.forest import Estimate, forest
from stages.reporting.markup import MISSING, Html, interval_text, joined, score_text, signed_text, tag
from stages.reporting.sections import metric_title, section
from stages.scoring.core.metrics import bounds_of

_SIGNS: Mapping[Verdict, str] = {"better": "▲", "worse": "▼", "no evidence": "●", "exploratory": "○"}
_OWN_SCALE = "on a scale of its own"


def differences(comparison: Comparison, shown: Sequence[LetteredRun]) -> Html:
    """Return the plot of differences: in all metrics for two runs, in the judged metrics for several."""
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
    """Return the table of all metrics of several runs, with their differences from the base."""
    names = list(dict.fromkeys(score.metric for each in shown for score in each.result.scores))
    if len(shown) == 2 or len(names) < 2:
        return Html()
    by_name = {each.result.name: each for each in shown}
    rows = [by_name[run.name] for run, _ in wording.ranked(comparison, headline_of(comparison))]
    reach = {name: reach_of(each.difference(name) for each in rows) for name in names}
    cells = [[HeatCell(each.title), *(_metric_cell(each, name, reach[name]) for name in names)] for each in rows]
    said = "Below each score is its difference from the base: blue if it is better, orange if it is worse."
    content = heat_table("All metrics on the test split", ["run", *map(metric_title, names)], cells)
    return section("metrics", "All metrics", content, tag("p", said))


def _metric_cell(each: LetteredRun, metric: str, reach: float) -> HeatCell:
    own, found = each.result.score_on(metric), each.difference(metric)
    score = score_text(own.value if own else None)
    if found is None:
        return HeatCell(score)
    content = joined([score, _muted(signed_text(found.difference))])
    return HeatCell(content, shade(found.difference, reach, is_good_up=found.higher_is_better))


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
