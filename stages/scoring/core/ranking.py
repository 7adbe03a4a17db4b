"""Scores of rankings, as functions of examples and how often each counts.

All functions take `columns`, [examples, k], and `weights`, [resamples, examples], and return [resamples] scores; NaN where one
is not defined. With weights of 1 they are the scores of the examples as they are.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.scoring.core.rates import Array

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
    return _mean_over_labels(_area, columns, weights)


def average_precision(columns: Array, weights: Array) -> Array:
    """Sum precision over the steps of recall, one a distinct probability, without interpolation; columns as for `roc_auc`."""
    return _mean_over_labels(_average_precision, columns, weights)


def _area(without: Array, having: Array) -> Array:
    below = np.cumsum(without, axis=1) - without / 2
    found: Array = (having * below).sum(axis=1) / (having.sum(axis=1) * without.sum(axis=1))
    return found


def _average_precision(without: Array, having: Array) -> Array:
    right, wrong = (np.cumsum(each[:, ::-1], axis=1)[:, ::-1] for each in (having, without))
    precision = np.divide(right, right + wrong, out=np.zeros_like(right), where=right + wrong > 0)
    found: Array = (having * precision).sum(axis=1) / having.sum(axis=1)
    return found


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
    """The rank of each example in each resample, as a share of all; [resamples, examples]. Those of one group are equal."""
    order = np.argsort(group, kind="stable")
    drawn = np.add.reduceat(weights[:, order], _starts(group[order]), axis=1)
    ranks: Array = ((np.cumsum(drawn, axis=1) - (drawn - 1) / 2) / weights.sum(axis=1, keepdims=True))[:, group]
    return ranks


def _starts(ordered: NDArray[np.generic]) -> NDArray[np.int64]:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _in_parts(score: Callable[[Array], Array], weights: Array) -> Array:
    parts = np.array_split(weights, 1 + weights.size // _AT_ONCE)
    return np.concatenate([score(part) for part in parts if len(part)])
