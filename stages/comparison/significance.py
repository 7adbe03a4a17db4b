"""Whether a difference of two runs is more than chance, on the one test split that both were scored on.

The p-value is that of approximate randomization (Noreen 1989; Yeh 2000): were the runs equally good, then for any
example their outputs could as well be exchanged; p is the share of random exchanges that make a difference at least
as large as the observed one. It is exact for any score under that hypothesis, where the percentile bootstrap is so
only for large samples, and it looks at the examples alone that the runs differ on. For the accuracy of single texts it is
McNemar's exact test (1947), which is its limit for all exchanges. Intervals are the paired bootstrap's.

What is tested are the runs as trained. With one seed each, a real difference may still be the seed's and not the
change's; over several seeds, what is tested is their mean on each example.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from stages.scoring.final.resampling import Array, Statistic

_SWAPS_AT_ONCE = 1 << 22
"""Random exchanges of an example held in memory at once."""
_SAME = 1e-12
"""Differences closer than this are equal: sums of means over seeds are rounded."""


def randomization(base: Sequence[Statistic], other: Sequence[Statistic], *, rounds: int, seed: int = 0) -> list[float]:
    """The two-sided p-value of each of several scores' differences, by exchanging whole examples.

    An exchange whose score is not defined counts against a difference. The observed outputs count as one of the
    exchanges, so that p is never 0.
    """
    counts = [np.concatenate([each.counts for each in run], axis=1) for run in (base, other)]
    ends = np.cumsum([each.counts.shape[1] for each in base])[:-1]
    change = counts[1] - counts[0]
    change = change[np.any(change != 0, axis=1)]
    if not len(change):
        return [1.0] * len(base)
    moved = np.concatenate([swaps @ change for swaps in _swaps(len(change), rounds, seed)])
    sums = [np.split(each.sum(axis=0) + sign * moved, ends, axis=1) for each, sign in zip(counts, (1, -1), strict=True)]
    return [
        _share_as_large(second.value(sums_other) - first.value(sums_base), second.observed() - first.observed())
        for first, second, sums_base, sums_other in zip(base, other, *sums, strict=True)
    ]


def mcnemar(only_base: int, only_other: int) -> float:
    """The two-sided p-value of the exact test, from how many examples one of the runs alone has right."""
    discordant = only_base + only_other
    tail, term = 0, 1
    for hits in range(min(only_base, only_other) + 1):
        tail += term
        term = term * (discordant - hits) // (hits + 1)
    return min(1.0, float(2 * tail / 2**discordant))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, each corrected for their number (Holm 1979)."""
    p = np.array(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    result: list[float] = corrected.tolist()
    return result


def _share_as_large(exchanged: Array, observed: float) -> float:
    if np.isnan(observed):
        return 1.0
    as_large = np.isnan(exchanged) | (np.abs(exchanged) >= abs(observed) - _SAME)
    return float((as_large.sum() + 1) / (len(exchanged) + 1))


def _swaps(examples: int, rounds: int, seed: int) -> Iterator[Array]:
    """1 where an example is exchanged, [some rounds, examples], until there are as many rounds as asked for."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _SWAPS_AT_ONCE // examples)
    for start in range(0, rounds, at_once):
        shape = (min(at_once, rounds - start), examples)
        yield generator.integers(0, 2, size=shape, dtype=np.int8).astype(np.float64)
