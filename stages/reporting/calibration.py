"""The reliability diagram's numbers, from predictions and their probabilities."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.reporting.content import Calibration, CalibrationBin

BINS = 15
"""Bins of equal width, as Guo et al. (2017) have them."""


def calibration_of(predictions: pa.Table) -> Calibration | None:
    """The calibration of a predictions file of texts; None where there is not one label and one probability a text."""
    columns = set(predictions.column_names)
    if not {"gold", "predicted", "score"} <= columns or not pa.types.is_floating(predictions["score"].type):
        return None
    if predictions.num_rows == 0 or predictions["gold"].null_count or predictions["score"].null_count:
        return None
    right = pc.equal(predictions["gold"], predictions["predicted"]).to_numpy()
    return calibration(predictions["score"].to_numpy(), right.astype(bool))


def calibration(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    """From the probability of each predicted label and whether it is right, both [texts]."""
    place = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    confidence, accuracy = (
        np.bincount(place, weights, minlength=BINS) / np.maximum(counts, 1) for weights in (scores, right)
    )
    return Calibration(
        tuple(
            CalibrationBin(k / BINS, (k + 1) / BINS, int(counts[k]), float(confidence[k]), float(accuracy[k]))
            for k in range(BINS)
        )
    )
