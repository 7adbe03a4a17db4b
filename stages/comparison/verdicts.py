"""Verdicts on differences, and intervals that never contradict them.

Judged are the headline metric, and the metrics that a gate names. At the level 0.05, verdicts on four metrics of two
equally good runs would flag at least one in 11 % of comparisons, so all others are exploratory: they are shown with their
p-value and interval, and without a verdict.

All verdicts of a comparison hold together. The p-values of judged metrics are corrected for the number of comparisons
(runs times judged metrics) by Holm's method, and intervals of differences have Bonferroni's level for that number, which
is the level of Holm's first step. A metric is better or worse if its corrected p-value is below the level and its interval
does not hold 0. Where the test finds no evidence and the percentile interval does not hold 0, the interval is extended to
0: it covers more, and never less. Too few examples for an interval are too few for a verdict.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from stages.comparison.results import Difference, Pair
from stages.comparison.significance import holm
from stages.reporting.content import Verdict
from stages.scoring.evaluation.resampling import Interval


def with_verdicts(pairs: Sequence[Pair], judged: Collection[str], level: float, comparisons: int) -> list[Pair]:
    """The pairs with corrected p-values and verdicts on the metrics `judged`, of which there are `comparisons` in all.

    What was not tested, for want of predictions, stays without evidence.
    """
    tested = {
        (pair.other, each.metric): each.p
        for pair in pairs
        for each in pair.differences
        if each.metric in judged and each.p is not None
    }
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))

    def concluded(pair: Pair, each: Difference) -> Difference:
        if each.p is None:
            return each
        p_holm = corrected.get((pair.other, each.metric))
        return explored(each, level / comparisons) if p_holm is None else judge(each, p_holm, level)

    return [replace(pair, differences=[concluded(pair, each) for each in pair.differences]) for pair in pairs]


def judge(difference: Difference, p_holm: float, level: float) -> Difference:
    """A difference with its corrected p-value, its verdict, and an interval that agrees with it."""
    if p_holm >= level or not _is_beyond_zero(difference):
        return replace(difference, p_holm=p_holm, verdict="no evidence", interval=_with_zero(difference.interval))
    is_more = difference.difference is not None and difference.difference > 0
    verdict: Verdict = "better" if is_more == difference.higher_is_better else "worse"
    return replace(difference, p_holm=p_holm, verdict=verdict)


def explored(difference: Difference, level: float) -> Difference:
    """A difference without a verdict. Its interval holds 0 where its p-value is not below `level`, as for verdicts."""
    is_evidence = difference.p is not None and difference.p < level and _is_beyond_zero(difference)
    interval = difference.interval if is_evidence else _with_zero(difference.interval)
    return replace(difference, p_holm=None, verdict="exploratory", interval=interval)


def _is_beyond_zero(difference: Difference) -> bool:
    """Whether the interval is on that side of 0 where the difference is."""
    if difference.interval is None or not difference.difference:
        return False
    return difference.interval.low > 0 if difference.difference > 0 else difference.interval.high < 0


def _with_zero(interval: Interval | None) -> Interval | None:
    return None if interval is None else Interval(min(interval.low, 0.0), max(interval.high, 0.0))
