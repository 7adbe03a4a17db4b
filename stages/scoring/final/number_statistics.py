"""Scores of numbers as functions of sums over texts, or of how often each text is drawn."""

import numpy as np
from numpy.typing import NDArray

from stages.scoring.final.resampling import Statistic, WeightedStatistic
from stages.scoring.headline.numbers import Numbers, scaled

_CONSTANT = 1e-12
"""Variance of numbers scaled to [0, 1] that counts as none: a resample may hold one number again and again."""

_AT_ONCE = 1 << 20
"""Ranks held in memory at once: several arrays of them are needed."""


def number_statistics(predicted: Numbers, gold: Numbers) -> list[Statistic]:
    """`mse`, `mae`, `pearson` and `loss` as functions of sums over texts."""
    errors, ones = predicted - gold, np.ones(len(gold))
    squares = np.stack([np.square(errors), ones], axis=1)
    x, y = scaled(predicted), scaled(gold)
    moments = np.stack([ones, x, y, x * x, y * y, x * y], axis=1)
    return [
        Statistic("mse", squares, _mean),
        Statistic("mae", np.stack([np.abs(errors), ones], axis=1), _mean),
        Statistic("pearson", moments, _correlation_of_moments),
        Statistic("loss", squares, _mean),
    ]


def spearman_statistic(predicted: Numbers, gold: Numbers) -> WeightedStatistic:
    """`spearman`: each resample is ranked anew, equal numbers sharing their mean rank."""
    rankings = [np.unique(values, return_inverse=True)[1] for values in (predicted, gold)]

    def of_some(weights: Numbers) -> Numbers:
        x, y = (_ranks_of_drawn(weights, groups) for groups in rankings)
        moments = [weights, weights * x, weights * y, weights * x * x, weights * y * y, weights * x * y]
        return _correlation_of_moments(np.stack([moment.sum(axis=1) for moment in moments], axis=-1))

    def value(weights: Numbers) -> Numbers:
        return np.concatenate([of_some(some) for some in np.array_split(weights, 1 + weights.size // _AT_ONCE)])

    return WeightedStatistic("spearman", value)


def _ranks_of_drawn(weights: Numbers, groups: NDArray[np.int64]) -> Numbers:
    """The rank of each text in each resample, scaled to about [-0.5, 0.5]; [resamples, texts].

    `weights` say how often each is drawn, [resamples, texts]; texts with equal numbers are in one of `groups`, [texts].
    """
    order = np.argsort(groups, kind="stable")
    drawn = np.add.reduceat(weights[:, order], np.flatnonzero(np.diff(groups[order], prepend=-1)), axis=1)
    ranks: Numbers = ((np.cumsum(drawn, axis=1) - (drawn - 1) / 2) / weights.shape[1] - 0.5)[:, groups]
    return ranks


def _mean(sums: Numbers) -> Numbers:
    mean: Numbers = sums[..., 0] / sums[..., 1]
    return mean


def _correlation_of_moments(sums: Numbers) -> Numbers:
    """[..., 6] sums of 1, x, y, x², y² and xy to the correlation [...]; NaN where x or y is constant."""
    x, y, xx, yy, xy = (sums[..., place] / sums[..., 0] for place in range(1, 6))
    variances = xx - x * x, yy - y * y
    defined = (variances[0] > _CONSTANT) & (variances[1] > _CONSTANT)
    scale = np.sqrt(np.where(defined, variances[0] * variances[1], 1.0))
    correlation: Numbers = np.where(defined, np.clip((xy - x * y) / scale, -1.0, 1.0), np.nan)
    return correlation
