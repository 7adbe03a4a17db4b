"""Files that `dvc plots` draws: the confusion matrix and the scores per label."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.pipeline.json_files import DECIMALS
from stages.pipeline.outputs import whole_file
from stages.scoring.scores import Scores


def write_confusion(gold: NDArray[np.int64], predicted: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """One row a pair of labels: `gold`, `predicted` and `count`. The codes have shape [units].

    Pairs that never occur are left out, but for the first row and column, which give the axes their order.
    """
    labels = len(names)
    counts = np.bincount(gold * labels + predicted, minlength=labels**2).reshape(labels, labels)
    shown = counts > 0
    shown[0], shown[:, 0] = True, True
    gold_codes, predicted_codes = (codes.tolist() for codes in np.nonzero(shown))
    table = pd.DataFrame(
        {
            "gold": [names[code] for code in gold_codes],
            "predicted": [names[code] for code in predicted_codes],
            "count": counts[shown],
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
