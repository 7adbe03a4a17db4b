"""Subset accuracy, and precision, recall and F1 of texts with any number of labels, as scikit-learn defines them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.scoring.headline.averages import label_scores, macro_average, micro_average, weighted_average
from stages.scoring.headline.rates import Array
from stages.scoring.headline.scores import MultiLabelScores

DEFAULT_THRESHOLD = 0.5
"""The threshold where validation has no label to choose one by."""


def score_label_sets(
    predicted: NDArray[np.bool_],
    gold: NDArray[np.bool_],
    names: Sequence[str],
    *,
    loss: float | None,
    threshold: float | None = None,
) -> MultiLabelScores:
    """Score which labels each text has; both arrays have shape [texts, labels].

    Averages are over the labels that occur in either; a score without a denominator counts as 0. Counted here,
    because scikit-learn takes a matrix of one column for another kind of problem.
    """
    sums = label_set_sums(predicted, gold).sum(axis=0)
    return MultiLabelScores(
        accuracy=float((predicted == gold).all(axis=1).mean()),
        loss=loss,
        micro=micro_average(sums),
        macro=macro_average(sums),
        weighted=weighted_average(sums),
        per_label=label_scores(sums, names),
        threshold=threshold,
    )


def label_set_sums(predicted: NDArray[np.bool_], gold: NDArray[np.bool_]) -> Array:
    """[texts, labels, 3]: whether each label is predicted rightly, predicted, and gold."""
    return np.stack([predicted & gold, predicted, gold], axis=-1).astype(np.float64)


def best_threshold(probabilities: Array, gold: NDArray[np.bool_]) -> float:
    """The probability from which on saying a label gives the best micro F1; arrays are [texts, labels].

    It lies midway between two probabilities that occur. Of equally good ones it is the one nearest to 0.5.
    """
    order = np.argsort(-probabilities, axis=None, kind="stable")
    ranked, right = probabilities.ravel()[order], np.cumsum(gold.ravel()[order])
    if len(right) == 0 or right[-1] == 0:
        return DEFAULT_THRESHOLD
    is_cut = np.append(np.diff(ranked) < 0, True)  # equal probabilities are on one side
    f1 = 2 * right / (np.arange(1, len(right) + 1) + right[-1])
    thresholds = (ranked + np.append(ranked[1:], 0.0)) / 2
    best = is_cut & (f1 == f1[is_cut].max())
    candidates = thresholds[best]
    return float(candidates[np.argmin(np.abs(candidates - DEFAULT_THRESHOLD))])
