"""Precision, recall, F1 and their kin as functions of three sums for each label, of one system or of many resamples at once."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

RIGHT, PREDICTED, GOLD = 0, 1, 2
"""The sums of a label, in this order: how often it is predicted rightly, predicted, and gold."""


def tally(example: NDArray[np.int64], label: NDArray[np.int64], examples: int, labels: int) -> Array:
    """Count how often each label occurs in each example, [examples, labels], from [occurrences] codes."""
    counts = np.bincount(example * labels + label, minlength=examples * labels)
    return counts.reshape(examples, labels).astype(np.float64)


def rates(sums: Array) -> Array:
    """Compute precision, recall and F1, [..., 3], of [..., 3] sums. What has no denominator counts as 0."""
    right = sums[..., RIGHT]
    precision, recall = share(right, sums[..., PREDICTED]), share(right, sums[..., GOLD])
    return np.stack([precision, recall, share(2 * precision * recall, precision + recall)], axis=-1)


def micro(sums: Array) -> Array:
    """Average [..., labels, 3] sums to [..., 3] rates of all labels together."""
    return rates(sums.sum(axis=-2))


def macro(sums: Array) -> Array:
    """Average to the mean over the labels that are predicted or gold; 0 where there are none.

    These are the labels that scikit-learn finds in one label an example, and seqeval in tags.
    """
    return _averaged(rates(sums), (sums[..., PREDICTED] + sums[..., GOLD] > 0).astype(np.float64))


def macro_of_all(sums: Array) -> Array:
    """Average to the mean over all labels: one that is neither predicted nor gold counts as 0, as in scikit-learn's matrices."""
    mean: Array = rates(sums).mean(axis=-2)
    return mean


def weighted(sums: Array) -> Array:
    """Average to the mean over the labels, weighted by how often they are gold."""
    return _averaged(rates(sums), sums[..., GOLD])


def balanced_accuracy(sums: Array) -> Array:
    """Compute the mean recall of the labels that are gold, [..., labels, 3] to [...] (Brodersen et al. 2010)."""
    is_gold = (sums[..., GOLD] > 0).astype(np.float64)
    return share((rates(sums)[..., 1] * is_gold).sum(axis=-1), is_gold.sum(axis=-1))


def matthews_correlation(sums: Array) -> Array:
    """Compute Matthews' correlation for any number of labels, [..., labels, 3] to [...] (Gorodkin 2004); 0 without variance."""
    right, units = sums[..., RIGHT].sum(axis=-1), sums[..., GOLD].sum(axis=-1)
    predicted, gold = sums[..., PREDICTED], sums[..., GOLD]
    covariance = right * units - (predicted * gold).sum(axis=-1)
    spread = [units**2 - (counts**2).sum(axis=-1) for counts in (predicted, gold)]
    return share(covariance, np.sqrt(spread[0] * spread[1]))


def label_f1(sums: Array) -> Array:
    """Compute F1 of one label, [..., 3] to [...]; NaN where it is neither predicted nor gold."""
    return ratio(np.stack([2 * sums[..., RIGHT], sums[..., PREDICTED] + sums[..., GOLD]], axis=-1))


def share(part: Array, whole: Array) -> Array:
    """Divide; 0 where the whole is 0."""
    whole = np.broadcast_to(whole, np.shape(part))
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)


def ratio(sums: Array) -> Array:
    """Divide the first of [..., 2] sums by the second; NaN where there is nothing to divide by."""
    undefined = np.full(np.shape(sums)[:-1], np.nan)
    found: Array = np.divide(sums[..., 0], sums[..., 1], out=undefined, where=sums[..., 1] > 0)
    return found


def _averaged(scores: Array, weights: Array) -> Array:
    """The mean of [..., labels, 3] by weights [..., labels]."""
    total = weights.sum(axis=-1)
    return share((scores * weights[..., None]).sum(axis=-2), np.repeat(total[..., None], 3, axis=-1))
