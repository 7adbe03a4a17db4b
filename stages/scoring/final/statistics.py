"""Headline scores as functions of sums over examples, so that they can be resampled."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from stages.scoring.final.resampling import Statistic
from stages.scoring.headline.rates import Array, balanced_accuracy, matthews_correlation

AverageOf: TypeAlias = Callable[[Array], Array]
"""[..., labels, 3] sums to [..., 3]: precision, recall and F1."""


def mean_statistic(name: str, total: Array, count: Array) -> Statistic:
    """A mean over units, from each example's total and its number of units, [examples] each."""
    return Statistic(name, np.stack([total, count], axis=1), _mean)


def average_statistics(average: AverageOf, sums: Array) -> list[Statistic]:
    """`precision`, `recall` and `f1`, averaged over labels, from [examples, labels, 3] sums."""
    flat = _flat(sums)
    return [Statistic(name, flat, partial(_rate, average, place)) for place, name in enumerate(_RATES)]


def agreement_statistics(sums: Array) -> list[Statistic]:
    """`balanced_accuracy` and `mcc`, from [examples, labels, 3] sums."""
    scores = {"balanced_accuracy": balanced_accuracy, "mcc": matthews_correlation}
    flat = _flat(sums)
    return [Statistic(name, flat, partial(_of_labels, score)) for name, score in scores.items()]


_RATES = ("precision", "recall", "f1")


def _flat(sums: Array) -> Array:
    return sums.reshape(len(sums), -1)


def _of_labels(score: Callable[[Array], Array], flat: Array) -> Array:
    return score(flat.reshape(*flat.shape[:-1], -1, 3))


def _rate(average: AverageOf, place: int, flat: Array) -> Array:
    rate: Array = _of_labels(average, flat)[..., place]
    return rate


def _mean(sums: Array) -> Array:
    count = sums[..., 1]
    mean: Array = np.divide(sums[..., 0], count, out=np.full(np.shape(count), np.nan), where=count > 0)
    return mean
