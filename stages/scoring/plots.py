"""Files that `dvc plots` draws: the confusion matrix and the scores per label."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.pipeline.outputs import DECIMALS, whole_file
from stages.scoring.scores import Scores


def write_confusion(gold: Sequence[str], predicted: Sequence[str], path: Path) -> None:
    """One row a unit: `gold` and `predicted`, which DVC's confusion template counts."""
    _write(pd.DataFrame({"gold": gold, "predicted": predicted}), path)


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
