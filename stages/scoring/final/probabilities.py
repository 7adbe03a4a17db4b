"""Scores of predicted probabilities: ranking, by scikit-learn, and calibration."""

import numpy as np
from numpy.typing import NDArray

from stages.scoring.final.scores import ProbabilityScores

Array = NDArray[np.float64]

BINS = 15
"""Bins of the calibration error, as in Guo et al. (2017)."""


def probability_scores(
    probabilities: Array | None, confidence: Array | None, gold: NDArray[np.int64], right: NDArray[np.bool_]
) -> ProbabilityScores:
    """Score probabilities, [units, labels], of gold codes, [units], and that of the predicted label, [units]."""
    error = None if confidence is None else calibration_error(confidence, right)
    if probabilities is None:
        return ProbabilityScores(calibration_error=error)
    return ProbabilityScores(*_ranking(probabilities, gold), error)


def calibration_error(confidence: Array, right: NDArray[np.bool_]) -> float:
    """The expected calibration error (Guo et al. 2017, equation 3).

    The mean over `BINS` bins of equal width, by their share of the units, of the distance between the mean probability
    of the predicted label and the share of right predictions. A bin holds its upper edge, the first one 0 as well.
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _ranking(probabilities: Array, gold: NDArray[np.int64]) -> tuple[float | None, float | None]:
    """ROC-AUC and average precision: of the second of two labels, else the mean over labels, each against the rest.

    None where a label has no example, or all of them, so that it can't be ranked.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # takes a second to import

    labels = probabilities.shape[1]
    if labels < 2 or len(np.unique(gold)) < labels:
        return None, None
    codes = [1] if labels == 2 else range(labels)
    each = [(gold == code, probabilities[:, code]) for code in codes]
    areas = [roc_auc_score(is_gold, scores) for is_gold, scores in each]
    precisions = [average_precision_score(is_gold, scores) for is_gold, scores in each]
    return float(np.mean(areas)), float(np.mean(precisions))
