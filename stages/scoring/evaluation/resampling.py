"""The bootstrap: how much a score would vary if the test split had been drawn anew.

Examples are drawn with replacement (Efron 1979), whole sentences for words, since words of a sentence are not
independent. A score that is a function of sums over examples needs no list of those drawn: the sums of a resample are
the sums over all examples, each weighted by how often it is drawn.

Of many examples most are alike: a right text of one label adds what any other adds. So above `DRAWN_ONE_BY_ONE` examples
it is drawn how often each *kind* of example occurs (multinomial), which has the same distribution and costs as much as
there are kinds. A continuous column, such as the loss, has as many kinds as examples; it is rounded to cells far
narrower than its spread first, each cell standing for its mean.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

Array: TypeAlias = NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
FEWEST_EXAMPLES = 10
"""With fewer examples there is no interval: resamples of so few say nothing of a test split drawn anew."""
DRAWN_ONE_BY_ONE = 10_000
"""Up to so many examples each one is drawn; of more, it is drawn how often each kind occurs."""
_WEIGHTS_AT_ONCE = 1 << 22
"""Weights held in memory at once."""
_DECIMALS = 12
"""Decimals of an interval: a matrix product of the same numbers may differ in its last bits from call to call."""
_MOST_VALUES = 1 << 12
"""Values above which a column is taken to be continuous."""
_MOST_KINDS = 1 << 14
"""Kinds of example above which continuous columns are rounded, the more coarsely the more kinds there are."""
_CELLS_A_DEVIATION = (128, 32, 8)
"""Cells within one standard deviation of a rounded column; of n, rounding takes 1 / (12 n²) of its variance."""


@dataclass(frozen=True)
class Statistic:
    """A score as a function of sums over examples."""

    name: str
    counts: Array
    """[examples, k]: what each example adds to the sums."""
    value: Callable[[Array], Array]
    """[..., k] to [...]: the score of sums; NaN where it is not defined."""

    def observed(self) -> float:
        """Return the score of all examples."""
        return float(self.value(self.counts.sum(axis=0)))


WeightedValue: TypeAlias = Callable[[Array, Array], Array]
"""From columns, [examples, k], and how often each example is drawn, [some resamples, examples], to [some resamples] scores."""


@dataclass(frozen=True)
class WeightedStatistic:
    """A score that is no function of sums, for example one of ranks."""

    name: str
    columns: Array
    """[examples, k]: what it is computed from."""
    weighted: WeightedValue

    def observed(self) -> float:
        """Return the score of all examples."""
        return float(self.weighted(self.columns, np.ones((1, len(self.columns))))[0])


AnyStatistic: TypeAlias = Statistic | WeightedStatistic


@dataclass(frozen=True)
class Interval:
    """The range that holds the score of another test split of this size in `LEVEL` of cases, or at a level of its own."""

    low: float
    high: float


def resampled(
    statistics: Sequence[AnyStatistic], *, resamples: int = RESAMPLES, seed: int = 0, one_by_one: int = DRAWN_ONE_BY_ONE
) -> Mapping[str, Array]:
    """Return the scores of each resample, [resamples], by name. All statistics are of the same examples.

    Up to `one_by_one` examples, all statistics see the same draws. Above, those that share their counts do.
    """
    assert len({statistic.name for statistic in statistics}) == len(statistics)
    blocks: dict[int, list[AnyStatistic]] = {}
    for statistic in statistics:
        blocks.setdefault(id(_data(statistic)), []).append(statistic)
    draws = Draws(len(_data(statistics[0])), resamples, seed, one_by_one)
    found: dict[str, Array] = {}
    if draws.one_by_one:
        return dict(zip((each.name for each in statistics), draws.scores(statistics), strict=True))
    for block in blocks.values():
        found |= zip((each.name for each in block), draws.scores(block), strict=True)
    return {statistic.name: found[statistic.name] for statistic in statistics}


class Draws:
    """Resamples of `examples` examples."""

    def __init__(self, examples: int, resamples: int, seed: int = 0, one_by_one: int = DRAWN_ONE_BY_ONE) -> None:
        self.examples, self.resamples, self.seed = examples, resamples, seed
        self.one_by_one = examples <= one_by_one

    def scores(self, statistics: Sequence[AnyStatistic]) -> list[Array]:
        """Return the scores of each statistic, [resamples] each, on the same draws: the difference of two is paired."""
        data = {id(_data(each)): _data(each) for each in statistics}
        assert all(len(array) == self.examples for array in data.values())
        if self.one_by_one:
            return self._scores(statistics, data, self._drawn_examples())
        kinds = kinds_of(list(data.values()))
        reduced = dict(zip(data, kinds.rows, strict=True))
        scores = self._scores(statistics, reduced, self._drawn_kinds(kinds.counts))
        return [
            values + _rounding(statistic, reduced[id(_data(statistic))], kinds.counts) if kinds.is_rounded else values
            for statistic, values in zip(statistics, scores, strict=True)
        ]

    def _scores(
        self, statistics: Sequence[AnyStatistic], data: Mapping[int, Array], drawn: Iterator[Array]
    ) -> list[Array]:
        sums_of = {id(each.counts) for each in statistics if isinstance(each, Statistic)}
        widths = [data[key].shape[1] for key in sums_of]
        together = np.concatenate([data[key] for key in sums_of], axis=1) if sums_of else None
        sums: list[Array] = []
        others: dict[int, list[Array]] = {}
        for weights in drawn:
            if together is not None:
                sums.append(weights @ together)
            for place, each in enumerate(statistics):
                if isinstance(each, WeightedStatistic):
                    others.setdefault(place, []).append(each.weighted(data[id(each.columns)], weights))
        parts = np.split(np.concatenate(sums), np.cumsum(widths)[:-1], axis=1) if sums else []
        of_block = dict(zip(sums_of, parts, strict=True))
        return [
            each.value(of_block[id(each.counts)]) if isinstance(each, Statistic) else np.concatenate(others[place])
            for place, each in enumerate(statistics)
        ]

    def _drawn_examples(self) -> Iterator[Array]:
        """Yield how often each example is drawn, [some resamples, examples], until all resamples are drawn."""
        generator = np.random.default_rng(self.seed)
        for size in _sizes(self.resamples, self.examples):
            weights = np.empty((size, self.examples))
            for row in weights:
                row[:] = np.bincount(generator.integers(self.examples, size=self.examples), minlength=self.examples)
            yield weights

    def _drawn_kinds(self, counts: NDArray[np.int64]) -> Iterator[Array]:
        """Yield how often examples of each kind are drawn, [some resamples, kinds], until all resamples are drawn."""
        generator = np.random.default_rng(self.seed)
        for size in _sizes(self.resamples, len(counts)):
            yield generator.multinomial(self.examples, counts / self.examples, size=size).astype(np.float64)


@dataclass(frozen=True)
class Kinds:
    """Examples that add the same to all sums, taken together."""

    rows: Sequence[Array]
    """For each array of counts what an example of each kind adds, [kinds, k]."""
    counts: NDArray[np.int64]
    """[kinds]: how many examples are of it."""
    is_rounded: bool
    """Whether examples of a kind are alike but for rounding."""


def kinds_of(arrays: Sequence[Array]) -> Kinds:
    """Return the kinds of example that differ in `arrays`, [examples, k] each.

    Where they are very many, continuous columns are rounded to cells; a kind then has the mean of its examples, so that
    sums over all examples stay what they are. Of several systems it is their differences that are rounded, which are
    smaller than what they are of.
    """
    arrays_apart = [arrays[0], *(each - arrays[0] if each.shape == arrays[0].shape else each for each in arrays[1:])]
    kind, counts = _distinct([_hashed(array) for array in arrays_apart])
    is_rounded = len(counts) > _MOST_KINDS
    for cells in _CELLS_A_DEVIATION if is_rounded else ():
        kind, counts = _distinct([_hashed(_in_cells(array, cells)) for array in arrays_apart])
        if len(counts) <= _MOST_KINDS:
            break
    rows = [np.stack([np.bincount(kind, column) for column in array.T], axis=1) / counts[:, None] for array in arrays]
    return Kinds(rows, counts, is_rounded)


def interval(scores: Array, level: float = LEVEL, examples: int | None = None) -> Interval | None:
    """Return the percentile interval of resamples' scores, [resamples]; None where too few are defined.

    `examples`: how many were drawn. Percentile intervals of few examples are too narrow, as a standard deviation with
    divisor n and a normal distribution would be; they are widened to percentiles that make up for both (Hesterberg 2015,
    "What teachers should know about the bootstrap", section 5.3). Fewer than `FEWEST_EXAMPLES` have none.
    """
    defined = scores[~np.isnan(scores)]
    if 2 * len(defined) < len(scores) or (examples is not None and examples < FEWEST_EXAMPLES):
        return None
    tail = (1 - level) / 2
    if examples is not None:
        tail = float(ndtr(np.sqrt(examples / (examples - 1)) * stdtrit(examples - 1, tail)))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(round(float(low), _DECIMALS), round(float(high), _DECIMALS))


def wilson_interval(right: float, examples: int, level: float = LEVEL) -> Interval | None:
    """Return Wilson's interval (1927) of a share of independent examples; None with fewer than `FEWEST_EXAMPLES`.

    It covers for few examples and for shares near 0 and 1, where the bootstrap does not: of 30 texts that are all right, each
    resample is all right.
    """
    if examples < FEWEST_EXAMPLES:
        return None
    z2 = float(ndtri((1 + level) / 2)) ** 2
    centre = (right + z2 / 2) / (examples + z2)
    share = right / examples
    reach = np.sqrt(z2) * np.sqrt(share * (1 - share) * examples + z2 / 4) / (examples + z2)
    low, high = round(float(centre - reach), _DECIMALS), round(float(centre + reach), _DECIMALS)
    return Interval(max(0.0, low), min(1.0, high))


def _data(statistic: AnyStatistic) -> Array:
    return statistic.counts if isinstance(statistic, Statistic) else statistic.columns


def _sizes(resamples: int, columns: int) -> Iterator[int]:
    at_once = max(1, _WEIGHTS_AT_ONCE // columns)
    for start in range(0, resamples, at_once):
        yield min(at_once, resamples - start)


def _hashed(array: Array) -> Array:
    """Hash rows [examples, k] to numbers [examples]. Rows that differ almost never share one."""
    hashed: Array = array @ np.random.default_rng(0).random(array.shape[1])
    return hashed


def _distinct(columns: Sequence[Array]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the kind of each example, [examples], and the number of examples of each kind, [kinds]."""
    kind = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, place = np.unique(column, return_inverse=True)
        kind = np.unique(kind * len(values) + place, return_inverse=True)[1]
    return kind, np.bincount(kind)


def _in_cells(array: Array, cells: int) -> Array:
    """Round continuous columns to so many cells per standard deviation. Leave others as they are."""
    is_continuous = np.array([len(np.unique(column)) > _MOST_VALUES for column in array.T])
    width = np.where(is_continuous, array.std(axis=0) / cells, 1.0)
    rounded: Array = np.where(is_continuous, np.floor(array / width), array)
    return rounded


def _rounding(statistic: AnyStatistic, rows: Array, counts: NDArray[np.int64]) -> float:
    """Return what rounding takes from the score of all examples. It is added to all resamples; 0 for functions of sums."""
    if isinstance(statistic, Statistic):
        return 0.0
    return statistic.observed() - float(statistic.weighted(rows, counts[None].astype(np.float64))[0])
