"""Files that `dvc plots` draws: the confusion matrix and the scores per label."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.pipeline.outputs import DECIMALS, whole_file
from stages.scoring.scores import Scores


def write_confusion(gold: NDArray[np.int64], predicted: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """One row a pair of labels that occurs: `gold`, `predicted` and `count`. The codes have shape [units]."""
    counts = np.bincount(gold * len(names) + predicted, minlength=len(names) ** 2)
    pairs: list[int] = np.flatnonzero(counts).tolist()
    table = pd.DataFrame(
        {
            "gold": [names[pair // len(names)] for pair in pairs],
            "predicted": [names[pair % len(names)] for pair in pairs],
            "count": counts[pairs],
        }
    )
    _write(table, path)


def write_per_label(scores: Scores, path: Path) -> None:
    """One row a label and score: `label`, `score` (precision, recall or f1) and `value`."""
    rows = [
        {"label": name, "score": score, "value": getattr(values, score)}
        for name, values in scores.per_label.items()
        for score in ("precision", "recall", "f1")
    ]
    _write(pd.DataFrame(rows, columns=["label", "score", "value"]), path)


def _write(table: pd.DataFrame, path: Path) -> None:
    with whole_file(path) as partial:
        table.round(DECIMALS).to_csv(partial, index=False, lineterminator="\n")
