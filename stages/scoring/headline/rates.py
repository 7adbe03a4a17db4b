"""Precision, recall and F1 as functions of three sums for each label, of one system or of many resamples at once."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

RIGHT, PREDICTED, GOLD = 0, 1, 2
"""The sums of a label, in this order: how often it is predicted rightly, predicted, and gold."""


def tally(example: NDArray[np.int64], label: NDArray[np.int64], examples: int, labels: int) -> Array:
    """How often each label occurs in each example, [examples, labels], from [occurrences] codes."""
    counts = np.bincount(example * labels + label, minlength=examples * labels)
    return counts.reshape(examples, labels).astype(np.float64)


def rates(sums: Array) -> Array:
    """[..., 3] sums to [..., 3]: precision, recall and F1. What has no denominator counts as 0."""
    right = sums[..., RIGHT]
    precision, recall = share(right, sums[..., PREDICTED]), share(right, sums[..., GOLD])
    return np.stack([precision, recall, share(2 * precision * recall, precision + recall)], axis=-1)


def micro(sums: Array) -> Array:
    """[..., labels, 3] to [..., 3]: of all labels together."""
    return rates(sums.sum(axis=-2))


def macro(sums: Array) -> Array:
    """[..., labels, 3] to [..., 3]: the mean over the labels that are predicted or gold; 0 where there are none."""
    return _averaged(rates(sums), (sums[..., PREDICTED] + sums[..., GOLD] > 0).astype(np.float64))


def weighted(sums: Array) -> Array:
    """[..., labels, 3] to [..., 3]: the mean over the labels, by how often they are gold."""
    return _averaged(rates(sums), sums[..., GOLD])


def balanced_accuracy(sums: Array) -> Array:
    """[..., labels, 3] to [...]: the mean recall of the labels that are gold (Brodersen et al. 2010)."""
    is_gold = (sums[..., GOLD] > 0).astype(np.float64)
    return share((rates(sums)[..., 1] * is_gold).sum(axis=-1), is_gold.sum(axis=-1))


def matthews_correlation(sums: Array) -> Array:
    """[..., labels, 3] to [...]: Matthews' correlation for any number of labels (Gorodkin 2004); 0 without variance."""
    right, units = sums[..., RIGHT].sum(axis=-1), sums[..., GOLD].sum(axis=-1)
    predicted, gold = sums[..., PREDICTED], sums[..., GOLD]
    covariance = right * units - (predicted * gold).sum(axis=-1)
    spread = [units**2 - (counts**2).sum(axis=-1) for counts in (predicted, gold)]
    return share(covariance, np.sqrt(spread[0] * spread[1]))


def share(part: Array, whole: Array) -> Array:
    """`part / whole`, 0 where the whole is 0."""
    whole = np.broadcast_to(whole, np.shape(part))
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)


def _averaged(scores: Array, weights: Array) -> Array:
    """The mean of [..., labels, 3] by weights [..., labels]."""
    total = weights.sum(axis=-1)
    return share((scores * weights[..., None]).sum(axis=-2), np.repeat(total[..., None], 3, axis=-1))
