"""Files that `dvc plots` draws: the confusion matrix and the scores per label."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.pipeline.escaping import cell
from stages.pipeline.json_files import DECIMALS
from stages.pipeline.outputs import whole_file
from stages.scoring.core.scores import LabelScore

_LABELS = ("gold", "predicted", "label")
"""The columns that hold labels."""
_BINS = 10
"""Into how many parts of equal width numbers are sorted for their confusion."""


def write_plots(
    table: pa.Table, per_label: Mapping[str, LabelScore] | None, names: Sequence[str], paths: tuple[Path, Path]
) -> None:
    """Write the confusion of a predictions file and the scores per label to `paths`; None: the test split is not scored."""
    write_confusion(
        no_confusion() if per_label is None else confusion(table["gold"], table["predicted"], names), paths[0]
    )
    write_per_label(per_label or {}, paths[1])


def write_confusion(table: pd.DataFrame, path: Path) -> None:
    """Write a row for each pair that occurs: `gold`, `predicted` and `count`."""
    _write(table, path)


def confusion(gold: pa.ChunkedArray, predicted: pa.ChunkedArray, names: Sequence[str]) -> pd.DataFrame:
    """Count what was predicted for what, from two columns of a predictions file: names, numbers or lists of names.

    Lists have none, for a label that is missed is not taken for a certain other one.
    """
    if pa.types.is_string(gold.type):
        return label_confusion(_codes(gold, names), _codes(predicted, names), names)
    if pa.types.is_floating(gold.type):
        return number_confusion(gold.to_numpy(), predicted.to_numpy())
    return no_confusion()


def label_confusion(gold: NDArray[np.int64], predicted: NDArray[np.int64], names: Sequence[str]) -> pd.DataFrame:
    """Count how often each label is predicted for each gold label. The codes have shape [units].

    Pairs that never occur are left out, but for the first row and column, which give the axes their order.
    """
    counts = confusion_counts(gold, predicted, len(names))
    shown = counts > 0
    shown[0], shown[:, 0] = True, True
    gold_codes, predicted_codes = (codes.tolist() for codes in np.nonzero(shown))
    return pd.DataFrame(
        {
            "gold": [names[code] for code in gold_codes],
            "predicted": [names[code] for code in predicted_codes],
            "count": counts[shown],
        }
    )


def confusion_counts(gold: NDArray[np.int64], predicted: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """Count how often each of `labels` codes is predicted for each gold one, [gold, predicted]. The codes have shape [units]."""
    counts: NDArray[np.int64] = np.bincount(gold * labels + predicted, minlength=labels**2).reshape(labels, labels)
    return counts


def number_confusion(gold: NDArray[np.float64], predicted: NDArray[np.float64]) -> pd.DataFrame:
    """Count how often numbers fall into each pair of bins of equal width; both arrays have shape [texts].

    A bin is named by its lower and upper edge. The bins run over all numbers, gold and predicted; the last one holds
    its upper edge as well.
    """
    lowest, highest = min(gold.min(), predicted.min()), max(gold.max(), predicted.max())
    edges = np.linspace(lowest, highest, _BINS + 1)
    names = [f"{lower:.4g} to {upper:.4g}" for lower, upper in pairwise(edges)]
    gold_bin, predicted_bin = (np.digitize(numbers, edges[1:-1]) for numbers in (gold, predicted))
    return label_confusion(gold_bin, predicted_bin, names)


def no_confusion() -> pd.DataFrame:
    """Return a confusion without rows, only with its header."""
    return pd.DataFrame(columns=["gold", "predicted", "count"])


def write_per_label(per_label: Mapping[str, LabelScore], path: Path) -> None:
    """Write a row for each label and score: `label`, `score` (precision, recall or f1) and `value`."""
    rows = [
        {"label": name, "score": score, "value": getattr(values, score)}
        for name, values in per_label.items()
        for score in ("precision", "recall", "f1")
    ]
    _write(pd.DataFrame(rows, columns=["label", "score", "value"]), path)


def _codes(column: pa.ChunkedArray, names: Sequence[str]) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = pc.index_in(column, pa.array(names)).to_numpy().astype(np.int64)
    return codes


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV file. Labels come from the data and are escaped: `dvc plots` and spreadsheets take cells as they are."""
    labels = {name: table[name].map(cell) for name in _LABELS if name in table}
    with whole_file(path) as partial:
        table.assign(**labels).round(DECIMALS).to_csv(partial, index=False, lineterminator="\n")
