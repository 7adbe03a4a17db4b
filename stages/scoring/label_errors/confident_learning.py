"""Confident learning: how many gold labels are wrong, and which ones, from out-of-sample probabilities.

The method and its names are those of Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70 (2021). In all functions `given` holds the codes of the gold labels,
[units], and `probabilities` those of every label, [units, labels], from a model that was not trained on these units.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

TOLERANCE = 1e-6
"""Probabilities may be rounded to 6 decimals. One that is so little below a threshold has reached it."""


def thresholds(given: Codes, probabilities: Array) -> Array:
    """Return each label's mean self-confidence, [labels]: its mean probability where it is given; infinite where it never is.

    This is the paper's t_j. A model that is less sure of a label than of others has a lower threshold for it.
    """
    counts = np.bincount(given, minlength=probabilities.shape[1])
    sums = np.bincount(given, _of_given(given, probabilities), minlength=probabilities.shape[1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def confident_joint(given: Codes, probabilities: Array) -> Codes:
    """Count units by given label and by the label that the model is confident of, [labels, labels].

    This is the paper's C. The model is confident of a label whose probability reaches its threshold; of several the most
    probable one counts, and units without any are left out.
    """
    reached = probabilities >= thresholds(given, probabilities) - TOLERANCE
    confident = np.where(reached, probabilities, -1.0).argmax(axis=1)
    labels, counted = probabilities.shape[1], reached.any(axis=1)
    pairs = given[counted] * labels + confident[counted]
    return np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)


def expected_counts(given: Codes, probabilities: Array) -> Array:
    """Estimate how many units there are of each given label (rows) and each true one (columns), [labels, labels].

    This is the paper's joint distribution Q, times the number of units: the confident joint, each row of it stretched to as
    many units as are given its label. A label with no unit that the model is confident of has a row of zeros.
    """
    joint = confident_joint(given, probabilities).astype(np.float64)
    counts = np.bincount(given, minlength=len(joint))
    expected: Array = joint * (counts / np.maximum(joint.sum(axis=1), 1))[:, None]
    return expected


def label_errors(given: Codes, probabilities: Array) -> NDArray[np.bool_]:
    """Return which given labels are probably wrong, [units]: the paper's "prune by noise rate".

    For every two labels, as many units as are expected to be given the one and to be the other: those with the largest
    probability of the other less that of the one. A given label that is the most probable one is never named.
    """
    expected = np.rint(expected_counts(given, probabilities)).astype(np.int64)
    named = np.zeros(len(given), bool)
    for label in np.flatnonzero(expected.any(axis=1)):
        units = np.flatnonzero(given == label)
        for other in np.flatnonzero(expected[label]):
            if other != label:
                margins = probabilities[units, other] - probabilities[units, label]
                named[units[np.argsort(-margins, kind="stable")[: expected[label, other]]]] = True
    return named & (margins_of(given, probabilities) < 0)


def margins_of(given: Codes, probabilities: Array) -> Array:
    """Return the normalized margins, [units]: the given label's probability less that of the most probable other one.

    They lie between -1 and 1, and below 0 where the model contradicts the label.
    """
    units = np.arange(len(given))
    return _of_given(given, probabilities) - probabilities[units, most_probable_others(given, probabilities)]


def most_probable_others(given: Codes, probabilities: Array) -> Codes:
    """Return the most probable label of each unit besides the given one, [units]."""
    others = probabilities.copy()
    others[np.arange(len(given)), given] = -1.0
    codes: Codes = others.argmax(axis=1)
    return codes


def _of_given(given: Codes, probabilities: Array) -> Array:
    return probabilities[np.arange(len(given)), given]
