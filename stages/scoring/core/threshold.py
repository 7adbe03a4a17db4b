"""Where texts have several labels: the probability, chosen on validation, from which on a text is said to have one."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.pipeline.json_files import read_json
from stages.scoring.core.formulas import Array

DEFAULT_THRESHOLD = 0.5
"""The threshold where validation has no label to choose one by."""

_FILE = "threshold.json"
_KEY = "threshold"


def best_threshold(probabilities: Array, gold: NDArray[np.bool_]) -> float:
    """Return the probability from which on saying a label gives the best micro F1; arrays are [texts, labels].

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


def write_threshold(folder: Path, threshold: float) -> None:
    """Write it beside a model."""
    (folder / _FILE).write_text(json.dumps({_KEY: threshold}) + "\n", encoding="utf-8")


def read_threshold(folder: Path) -> float:
    """Read that of a model. Raises DataError if the file is missing or damaged."""
    try:
        return float(read_json(folder / _FILE)[_KEY])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / _FILE}: names no threshold; run `dvc repro --force train`") from error
