"""Whether a difference of two runs is more than chance, on the one test split that both were scored on.

The p-value is that of approximate randomization (Noreen 1989; Yeh 2000): were the runs equally good, then for any
example their outputs could as well be exchanged; p is the share of random exchanges that make a difference at least
as large as the observed one. It is exact for any score under that hypothesis, where the percentile bootstrap is so
only for large samples, and it looks at the examples alone that the runs differ on. For the accuracy of single texts it is
McNemar's exact test (1947), which is its limit for all exchanges. Intervals are the paired bootstrap's.

What is tested are the runs as trained. With one seed each, a real difference may still be the seed's and not the
change's; over several seeds, what is tested is their mean on each example.

Judged are the headline metric, and the metrics that a gate names. At the level 0.05, verdicts on four metrics of two
equally good runs would flag at least one in 11 % of comparisons, so all others are exploratory: they are shown with their
p-value and interval, and without a verdict.

All verdicts of a comparison hold together. The p-values of judged metrics are corrected for the number of comparisons
(runs times judged metrics) by Holm's method, and intervals of differences have Bonferroni's level for that number, which
is the level of Holm's first step. A metric is better or worse if its corrected p-value is below the level and its interval
does not hold 0. Where the test finds no evidence and the percentile interval does not hold 0, the interval is extended to
0: it covers more, and never less. Too few examples for an interval are too few for a verdict.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import bdtr

from stages.comparison.results import Difference, Pair
from stages.reporting.content import Verdict
from stages.scoring.evaluation.resampling import (
    DRAWN_ONE_BY_ONE,
    AnyStatistic,
    Array,
    Interval,
    Statistic,
    WeightedStatistic,
    kinds_of,
)


def with_verdicts(pairs: Sequence[Pair], judged: Collection[str], level: float, comparisons: int) -> list[Pair]:
    """Return the pairs with corrected p-values, and with verdicts on the metrics `judged`; `comparisons` verdicts in all.

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
    """Return a difference with its corrected p-value, its verdict, and an interval that agrees with the verdict."""
    if p_holm >= level or not _is_beyond_zero(difference):
        return replace(difference, p_holm=p_holm, verdict="no evidence", interval=_with_zero(difference.interval))
    is_more = difference.difference is not None and difference.difference > 0
    verdict: Verdict = "better" if is_more == difference.higher_is_better else "worse"
    return replace(difference, p_holm=p_holm, verdict=verdict)


def explored(difference: Difference, level: float) -> Difference:
    """Return an exploratory difference. As for verdicts, its interval holds 0 unless its p-value is below `level`."""
    is_evidence = difference.p is not None and difference.p < level and _is_beyond_zero(difference)
    interval = difference.interval if is_evidence else _with_zero(difference.interval)
    return replace(difference, p_holm=None, verdict="exploratory", interval=interval)


def _is_beyond_zero(difference: Difference) -> bool:
    """Return whether the interval is on that side of 0 where the difference is."""
    if difference.interval is None or not difference.difference:
        return False
    return difference.interval.low > 0 if difference.difference > 0 else difference.interval.high < 0


def _with_zero(interval: Interval | None) -> Interval | None:
    return None if interval is None else Interval(min(interval.low, 0.0), max(interval.high, 0.0))


_SWAPS_AT_ONCE = 1 << 22
"""Random exchanges of an example held in memory at once."""
_SAME = 1e-12
"""Differences closer than this are equal: sums of means over seeds are rounded."""


def randomization(
    base: Sequence[AnyStatistic],
    other: Sequence[AnyStatistic],
    *,
    rounds: int,
    seed: int = 0,
    one_by_one: int = DRAWN_ONE_BY_ONE,
) -> list[float | None]:
    """Return the two-sided p-value of each of several scores' differences, from exchanging whole examples.

    An exchange whose score is not defined counts against a difference. The observed outputs count as one of the
    exchanges, so that p is never 0. Up to `one_by_one` examples that differ, each is exchanged or not; of more, it is drawn
    how many of each kind are, which has the same distribution. None for scores of ranks where the runs have different
    numbers of seeds, so that their outputs can't be exchanged.
    """
    exchanged = _Exchanges(rounds, seed, one_by_one)
    sums = [(first, second) for first, second in zip(base, other, strict=True) if isinstance(first, Statistic)]
    found: dict[str, Array | None] = {
        first.name: differences
        for (first, _), differences in zip(sums, exchanged.of_sums(sums), strict=True)  # type: ignore[arg-type]
    }
    for first, second in zip(base, other, strict=True):
        if isinstance(first, WeightedStatistic):
            assert isinstance(second, WeightedStatistic)
            found[first.name] = exchanged.of_examples(first, second)
    return [
        _share_as_large(found[first.name], second.observed() - first.observed())
        for first, second in zip(base, other, strict=True)
    ]


class _Exchanges:
    """Random exchanges of two runs' outputs."""

    def __init__(self, rounds: int, seed: int, one_by_one: int) -> None:
        self._rounds, self._seed, self._one_by_one = rounds, seed, one_by_one

    def of_sums(self, pairs: Sequence[tuple[Statistic, Statistic]]) -> list[Array]:
        """Return the differences of functions of sums, [rounds] each. All share the exchanges, unless these are drawn by kind."""
        blocks = {(id(first.counts), id(second.counts)): (first.counts, second.counts) for first, second in pairs}
        moved = dict(zip(blocks, self._moved_together([*blocks.values()]), strict=True))
        return [
            second.value(second.counts.sum(axis=0) - swapped) - first.value(first.counts.sum(axis=0) + swapped)
            for first, second in pairs
            for swapped in [moved[id(first.counts), id(second.counts)]]
        ]

    def _moved_together(self, blocks: Sequence[tuple[Array, Array]]) -> list[Array]:
        """Return `_moved` of each pair of counts."""
        if not blocks:
            return []
        differs = np.any([np.any(first != second, axis=1) for first, second in blocks], axis=0)
        changes = [second[differs] - first[differs] for first, second in blocks]
        if int(differs.sum()) > self._one_by_one:
            return [self._moved(change[np.any(change != 0, axis=1)]) for change in changes]
        ends = np.cumsum([change.shape[1] for change in changes])[:-1]
        return np.split(self._moved(np.concatenate(changes, axis=1)), ends, axis=1)

    def _moved(self, change: Array) -> Array:
        """Return what exchanged examples add to one run's sums and take from the other's, [rounds, k]."""
        if not len(change):
            return np.zeros((self._rounds, change.shape[1]))
        if len(change) <= self._one_by_one:
            return np.concatenate([swaps @ change for swaps in self._swaps(len(change))])
        kinds = kinds_of([change])
        return np.concatenate([swaps @ kinds.rows[0] for swaps in self._swaps_of_kinds(kinds.counts)])

    def of_examples(self, base: WeightedStatistic, other: WeightedStatistic) -> Array | None:
        """Return the differences of a function of examples, [rounds]; None if the runs' columns differ in shape."""
        if base.columns.shape != other.columns.shape:
            return None
        columns, swaps = [base.columns, other.columns], self._swaps(len(base.columns))
        counts = np.ones(len(base.columns))
        if len(counts) > self._one_by_one:
            kinds = kinds_of(columns)
            columns, counts = [*kinds.rows], kinds.counts.astype(np.float64)
            swaps = self._swaps_of_kinds(kinds.counts)
        both = np.concatenate(columns)
        differences = []
        for swapped in swaps:
            kept = counts - swapped
            first = base.weighted(both, np.concatenate([kept, swapped], axis=1))
            second = other.weighted(both, np.concatenate([swapped, kept], axis=1))
            differences.append(second - first)
        return np.concatenate(differences)

    def _swaps(self, examples: int) -> Iterator[Array]:
        """Yield 1 where an example is exchanged, else 0, [some rounds, examples], until all rounds are drawn."""
        generator = np.random.default_rng(self._seed)
        for size in self._sizes(examples):
            yield generator.integers(0, 2, size=(size, examples), dtype=np.int8).astype(np.float64)

    def _swaps_of_kinds(self, counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Array]:
        """Yield how many examples of each kind are exchanged, [some rounds, kinds], until all rounds are drawn."""
        generator = np.random.default_rng(self._seed)
        for size in self._sizes(len(counts)):
            yield generator.binomial(counts, 0.5, size=(size, len(counts))).astype(np.float64)

    def _sizes(self, columns: int) -> Iterator[int]:
        at_once = max(1, _SWAPS_AT_ONCE // columns)
        for start in range(0, self._rounds, at_once):
            yield min(at_once, self._rounds - start)


def mcnemar(only_base: int, only_other: int) -> float:
    """Return the two-sided p-value of the exact test, from how many examples one of the runs alone has right."""
    discordant = only_base + only_other
    return min(1.0, 2 * float(bdtr(min(only_base, only_other), discordant, 0.5))) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values, each corrected for their number (Holm 1979)."""
    p = np.array(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    result: list[float] = corrected.tolist()
    return result


def _share_as_large(exchanged: Array | None, observed: float) -> float | None:
    if exchanged is None:
        return None
    if np.isnan(observed):
        return 1.0
    as_large = np.isnan(exchanged) | (np.abs(exchanged) >= abs(observed) - _SAME)
    return float((as_large.sum() + 1) / (len(exchanged) + 1))
