"""Subset accuracy, and precision, recall and F1 of texts with any number of labels, as scikit-learn defines them."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.scoring.scores import Average, LabelScore, MultiLabelScores

Counts: TypeAlias = NDArray[np.int64]


def score_label_sets(
    predicted: NDArray[np.bool_], gold: NDArray[np.bool_], names: Sequence[str], *, loss: float
) -> MultiLabelScores:
    """Score which labels each text has; both arrays have shape [texts, labels].

    Averages are over the labels that occur in either; a score without a denominator counts as 0. Counted here,
    because scikit-learn takes a matrix of one column for another kind of problem.
    """
    true, found, support = (matrix.sum(axis=0) for matrix in (predicted & gold, predicted, gold))
    present = np.flatnonzero(found + support)
    per_label = _precision_recall_f1(true[present], found[present], support[present])
    return MultiLabelScores(
        accuracy=float((predicted == gold).all(axis=1).mean()),
        loss=loss,
        micro=_average(_precision_recall_f1(*(counts.sum(keepdims=True) for counts in (true, found, support)))),
        macro=_average(per_label),
        weighted=_average(per_label, support[present]),
        per_label={
            names[code]: LabelScore(precision, recall, f1, int(support[code]))
            for code, (precision, recall, f1) in zip(present.tolist(), per_label.tolist(), strict=True)
        },
    )


def _precision_recall_f1(true: Counts, found: Counts, support: Counts) -> NDArray[np.float64]:
    """[labels, 3], from how often each label is predicted rightly, predicted, and gold."""
    scores = [_share(true, found), _share(true, support), _share(2 * true, found + support)]
    return np.stack(scores, axis=1)


def _share(part: Counts, whole: Counts) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def _average(scores: NDArray[np.float64], weights: Counts | None = None) -> Average:
    """The average over labels, by `weights` where they are given; 0 where there is nothing to average."""
    if len(scores) == 0 or (weights is not None and weights.sum() == 0):
        return Average(0.0, 0.0, 0.0)
    return Average(*map(float, np.average(scores, axis=0, weights=weights)))
