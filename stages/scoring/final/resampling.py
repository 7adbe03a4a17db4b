"""The bootstrap: how much a score would vary if the test split had been drawn anew.

Examples are drawn with replacement (Efron 1979), whole sentences for words, since words of a sentence are not
independent. A score that is a function of sums over examples needs no example twice: the sums of a resample are the
weighted sums, which one matrix product gives for many resamples and scores at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
_WEIGHTS_AT_ONCE = 1 << 24
"""Weights held in memory at once."""


@dataclass(frozen=True)
class Statistic:
    """A score as a function of sums over examples."""

    name: str
    counts: Array
    """[examples, k]: what each example adds to the sums."""
    value: Callable[[Array], Array]
    """[..., k] to [...]: the score of sums; NaN where it is not defined."""

    def observed(self) -> float:
        """The score of all examples."""
        return float(self.value(self.counts.sum(axis=0)))


@dataclass(frozen=True)
class WeightedStatistic:
    """A score that is no function of sums, for example one of ranks."""

    name: str
    value: Callable[[Array], Array]
    """How often each example is drawn, [some resamples, examples], to the scores, [some resamples]."""


@dataclass(frozen=True)
class Interval:
    """The range that holds `LEVEL` of the resamples' scores (the percentile interval)."""

    low: float
    high: float


def resampled(
    statistics: Sequence[Statistic],
    weighted: Sequence[WeightedStatistic] = (),
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Mapping[str, Array]:
    """The scores of each resample, [resamples], by name. All statistics are of the same examples and see the same draws.

    So the difference of two systems' scores is paired: give both, and subtract.
    """
    examples = len(statistics[0].counts)
    assert all(len(statistic.counts) == examples for statistic in statistics)
    assert len({statistic.name for statistic in statistics}) == len(statistics)
    blocks = {id(statistic.counts): statistic.counts for statistic in statistics}  # scores may share their sums
    ends = np.cumsum([counts.shape[1] for counts in blocks.values()])
    counts = np.concatenate(list(blocks.values()), axis=1)
    sums: list[Array] = []
    others: list[list[Array]] = [[] for _ in weighted]
    for weights in _drawn(examples, resamples, seed):
        sums.append(weights @ counts)
        for values, other in zip(others, weighted, strict=True):
            values.append(other.value(weights))
    parts = dict(zip(blocks, np.split(np.concatenate(sums), ends[:-1], axis=1), strict=True))
    scores = {statistic.name: statistic.value(parts[id(statistic.counts)]) for statistic in statistics}
    return scores | {other.name: np.concatenate(values) for values, other in zip(others, weighted, strict=True)}


def interval(scores: Array, level: float = LEVEL) -> Interval | None:
    """The percentile interval of resamples' scores, [resamples]; None where too few of them are defined."""
    defined = scores[~np.isnan(scores)]
    if 2 * len(defined) < len(scores):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _drawn(examples: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each example is drawn, [some resamples, examples], until there are as many as asked for."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _WEIGHTS_AT_ONCE // examples)
    for start in range(0, resamples, at_once):
        weights = np.empty((min(at_once, resamples - start), examples))
        for row in weights:
            row[:] = np.bincount(generator.integers(examples, size=examples), minlength=examples)
        yield weights
