"""Errors and correlations of predicted numbers."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.scoring.headline.scores import NumberScores

Numbers: TypeAlias = NDArray[np.float64]


def score_numbers(predicted: Numbers, gold: Numbers) -> NumberScores:
    """Score numbers against numbers, both of shape [texts]."""
    errors = predicted - gold
    return NumberScores(
        mse=float(np.square(errors).mean()),
        mae=float(np.abs(errors).mean()),
        pearson=_correlation(predicted, gold),
        spearman=_correlation(_ranks(predicted), _ranks(gold)),
    )


def _correlation(first: Numbers, second: Numbers) -> float | None:
    """Pearson's correlation; None where either is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    x, y = (_unit(values) for values in (first, second))
    return float(np.clip(x @ y, -1.0, 1.0))


def _unit(values: Numbers) -> Numbers:
    """`values` less their mean, scaled to length 1."""
    centred = scaled(values)
    unit: Numbers = centred / np.linalg.norm(centred)
    return unit


def scaled(values: Numbers) -> Numbers:
    """`values` scaled to a range of 1, so that no square overflows or vanishes, less their mean; 0 where constant."""
    spread = np.ptp(values)
    centred: Numbers = (values - values.min()) / (spread if spread > 0 else 1.0)
    centred -= centred.mean()
    return centred


def _ranks(values: Numbers) -> Numbers:
    """The rank of each value; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Numbers = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks
