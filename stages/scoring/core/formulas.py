"""The formulas of scores, of one system or of many resamples at once.

Precision, recall, F1 and their kin are functions of three sums for each label. Scores of rankings are functions of
examples and how often each counts: they take `columns`, [examples, k], and `weights`, [resamples, examples], and
return [resamples] scores; NaN where one is not defined. With weights of 1 they are the scores of the examples as they are.
"""

from collections.abc import Callable
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
    """Return the mean of [..., labels, 3], weighted by [..., labels]."""
    total = weights.sum(axis=-1)
    return share((scores * weights[..., None]).sum(axis=-2), np.repeat(total[..., None], 3, axis=-1))


_AT_ONCE = 1 << 20
"""Weights worked on at once: several arrays of as many are needed."""

_OneLabel: TypeAlias = Callable[[Array, Array], Array]
"""From the weights of examples without and with a label, [some resamples, values] each by ascending probability."""


def spearman(columns: Array, weights: Array) -> Array:
    """Correlate the ranks of predicted and gold numbers, `columns` [examples, 2]; equal numbers share their mean rank."""
    groups = [np.unique(column, return_inverse=True)[1] for column in columns.T]

    def of_some(weights: Array) -> Array:
        x, y = (_ranks(weights, group) for group in groups)
        total = weights.sum(axis=1)
        mean_x, mean_y = ((weights * each).sum(axis=1) / total for each in (x, y))
        x, y = x - mean_x[:, None], y - mean_y[:, None]
        spread = (weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1)
        defined = spread > np.finfo(np.float64).eps * total
        correlation: Array = (weights * x * y).sum(axis=1) / np.sqrt(np.where(defined, spread, 1.0))
        return np.where(defined, np.clip(correlation, -1.0, 1.0), np.nan)

    return _in_parts(of_some, weights)


def roc_auc(columns: Array, weights: Array) -> Array:
    """Compute the area under the ROC curve: how often an example of a label is ranked above one of another, ties by half.

    `columns`, [examples, labels * 2]: the probability of each label, then whether each label is gold. Several labels:
    the mean, not defined where one has no example, or all.
    """

    def area(without: Array, having: Array) -> Array:
        below = np.cumsum(without, axis=1) - without / 2
        found: Array = (having * below).sum(axis=1) / (having.sum(axis=1) * without.sum(axis=1))
        return found

    return _mean_over_labels(area, columns, weights)


def average_precision(columns: Array, weights: Array) -> Array:
    """Sum precision over the steps of recall, one a distinct probability, without interpolation; columns as for `roc_auc`."""

    def of_one_label(without: Array, having: Array) -> Array:
        right, wrong = (np.cumsum(each[:, ::-1], axis=1)[:, ::-1] for each in (having, without))
        precision = np.divide(right, right + wrong, out=np.zeros_like(right), where=right + wrong > 0)
        found: Array = (having * precision).sum(axis=1) / having.sum(axis=1)
        return found

    return _mean_over_labels(of_one_label, columns, weights)


def _mean_over_labels(one_label: _OneLabel, columns: Array, weights: Array) -> Array:
    labels = columns.shape[1] // 2
    each = [
        _in_parts(_by_probability(one_label, columns[:, label], columns[:, labels + label]), weights)
        for label in range(labels)
    ]
    mean: Array = np.mean(each, axis=0)
    return mean


def _by_probability(one_label: _OneLabel, probability: Array, is_gold: Array) -> Callable[[Array], Array]:
    order = np.argsort(probability, kind="stable")
    starts = _starts(probability[order])
    gold = is_gold[order]

    def of_some(weights: Array) -> Array:
        sorted_weights = weights[:, order]
        having = np.add.reduceat(sorted_weights * gold, starts, axis=1)
        without = np.add.reduceat(sorted_weights * (1 - gold), starts, axis=1)
        defined = (having.sum(axis=1) > 0) & (without.sum(axis=1) > 0)
        found = np.full(len(weights), np.nan)
        found[defined] = one_label(without[defined], having[defined])
        return found

    return of_some


def _ranks(weights: Array, group: NDArray[np.int64]) -> Array:
    """Return the rank of each example in each resample, as a share of all, [resamples, examples]. A group shares its rank."""
    order = np.argsort(group, kind="stable")
    drawn = np.add.reduceat(weights[:, order], _starts(group[order]), axis=1)
    ranks: Array = ((np.cumsum(drawn, axis=1) - (drawn - 1) / 2) / weights.sum(axis=1, keepdims=True))[:, group]
    return ranks


def _starts(ordered: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return where each run of equal values begins."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _in_parts(score: Callable[[Array], Array], weights: Array) -> Array:
    parts = np.array_split(weights, 1 + weights.size // _AT_ONCE)
    return np.concatenate([score(part) for part in parts if len(part)])
