"""Parts of the examples that are scored by themselves: the long ones, or those that have a certain label."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import SLICES
from stages.pipeline.errors import DataError
from stages.scoring.final.resampling import Statistic

LENGTH, LABEL = SLICES

Mask = NDArray[np.bool_]

_QUARTILES = (0.25, 0.5, 0.75)

MOST_VALUES = 50
"""Values of a column that the test split is sliced by."""

NO_VALUE = "(none)"
"""What examples without a value are called."""


def word_counts(texts: Sequence[str], seconds: Sequence[str | None] | None = None) -> NDArray[np.int64]:
    """How many words each text, and the second one of a pair, has: what white space separates, [examples]."""
    counts = [len(text.split()) for text in texts]
    if seconds is not None:
        counts = [count + len((second or "").split()) for count, second in zip(counts, seconds, strict=True)]
    return np.array(counts, np.int64)


def by_length(words: NDArray[np.int64]) -> dict[str, Mask]:
    """Four parts of about equal size, named by the lengths they hold (`1-8 words`); fewer where many are equal.

    Lengths and masks have shape [examples]. The bounds are quartiles that occur.
    """
    upper = np.unique([*np.quantile(words, _QUARTILES, method="inverted_cdf"), words.max()])
    part = np.searchsorted(upper, words)
    return {_range(words[part == each]): part == each for each in range(len(upper))}


def by_label(has_label: Mask, names: Sequence[str]) -> dict[str, Mask]:
    """For each label that occurs the examples that have it; `has_label` has shape [examples, labels]."""
    return {name: column for name, column in zip(names, has_label.T, strict=True) if column.any()}


def by_value(values: Sequence[str | None], column: str) -> dict[str, Mask]:
    """For each value of a column, [examples], the examples that have it.

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


def sliced(statistics: Sequence[Statistic], masks: Mapping[str, Mask], by: str) -> Iterator[Statistic]:
    """The statistics of each part alone, named as `slice_name` does. All other examples add nothing to the sums."""
    for name, mask in masks.items():
        for statistic in statistics:
            counts = statistic.counts * mask[:, None]
            yield replace(statistic, name=slice_name(by, name, statistic.name), counts=counts)


def slice_name(by: str, part: str, score: str) -> str:
    """What a part's statistic is called among all others."""
    return f"{by}/{part}/{score}"


def _range(words: NDArray[np.int64]) -> str:
    low, high = int(words.min()), int(words.max())
    span = str(low) if low == high else f"{low}-{high}"
    return f"{span} word{'s' if high != 1 else ''}"
