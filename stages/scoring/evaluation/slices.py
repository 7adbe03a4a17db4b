"""Parts of the examples that are scored by themselves: the long ones, or those that have a certain label."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import SLICES
from stages.pipeline.errors import DataError
from stages.scoring.core.formulas import GOLD
from stages.scoring.core.metrics import Form
from stages.scoring.core.predicted import Predictions
from stages.scoring.evaluation.predictions_file import PredictionsFile

LENGTH, LABEL = SLICES

SLICED: Mapping[Form, Sequence[str]] = {
    "label": ("accuracy",),
    "entities": ("precision", "recall", "f1"),
    "labels": ("accuracy", "micro_f1"),
    "number": ("mse", "mae", "pearson"),
}
"""The metrics that slices have; the last one has an interval."""

Mask = NDArray[np.bool_]

_QUARTILES = (0.25, 0.5, 0.75)

MOST_VALUES = 50
"""Values of a column that the test split is sliced by."""

NO_VALUE = "(none)"
"""What examples without a value are called."""


def word_counts(texts: Sequence[str], seconds: Sequence[str | None] | None = None) -> NDArray[np.int64]:
    """Count the words of each text or pair, separated by white space, [examples]."""
    counts = [len(text.split()) for text in texts]
    if seconds is not None:
        counts = [count + len((second or "").split()) for count, second in zip(counts, seconds, strict=True)]
    return np.array(counts, np.int64)


def by_length(words: NDArray[np.int64]) -> dict[str, Mask]:
    """Slice by length into four parts of about equal size, named by their lengths (`1-8 words`); fewer if many are equal.

    Lengths and masks have shape [examples]. The bounds are quartiles that occur.
    """
    upper = np.unique([*np.quantile(words, _QUARTILES, method="inverted_cdf"), words.max()])
    part = np.searchsorted(upper, words)
    return {_range(words[part == each]): part == each for each in range(len(upper))}


def by_label(has_label: Mask, names: Sequence[str]) -> dict[str, Mask]:
    """Slice by label: for each that occurs, the examples that have it. `has_label`: [examples, labels]."""
    return {name: column for name, column in zip(names, has_label.T, strict=True) if column.any()}


def by_value(values: Sequence[str | None], column: str) -> dict[str, Mask]:
    """Slice by the values of a column, [examples]: for each value, the examples that have it.

    Raises DataError if there are too many, since parts of a few examples tell nothing.
    """
    names = sorted({value for value in values if value is not None})
    if len(names) > MOST_VALUES:
        raise DataError(
            f"{column} has {len(names)} values in the test split, too many to slice by (at most {MOST_VALUES}); "
            "leave it out, or choose another column"
        )
    array = np.array(values, dtype=object)
    masks: dict[str, Mask] = {name: array == name for name in names}
    return masks | ({NO_VALUE: array == None} if None in values else {})  # noqa: E711 (element by element)


def masks_of(
    file: PredictionsFile, predictions: Predictions, by: Sequence[str], lengths: NDArray[np.int64] | None = None
) -> dict[str, dict[str, Mask]]:
    """Return for each of `by` the parts of the examples, as far as they are known, and which examples each part has.

    `lengths`: the words of each example; those of sentences are known without. Raises DataError for a column that there is
    not, or that has too many values.
    """
    masks: dict[str, dict[str, Mask]] = {}
    words = np.diff(file.starts) if file.has_words else lengths
    if LENGTH in by and words is not None:
        masks[LENGTH] = by_length(words)
    counts = predictions.basis("label_counts")
    if LABEL in by and counts is not None:
        masks[LABEL] = by_label(counts.reshape(len(counts), -1, 3)[..., GOLD] > 0, predictions.labels)
    columns = {name: by_value(file.of_examples(name), name) for name in by if name not in SLICES}
    return {**masks, **columns}


def _range(words: NDArray[np.int64]) -> str:
    low, high = int(words.min()), int(words.max())
    span = str(low) if low == high else f"{low}-{high}"
    return f"{span} word{'s' if high != 1 else ''}"
