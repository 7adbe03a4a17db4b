"""Parts of the test split: by length, and by the columns that came along with the data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.comparison.predictions import Integers, Predictions
from stages.comparison.runs import Text
from stages.scoring.final.slices import MOST_VALUES, by_value

_PARTS = 4
LENGTH = "length"


@dataclass(frozen=True)
class Slice:
    """Some of the examples."""

    by: str
    """`length`, or the column."""
    name: str
    examples: NDArray[np.bool_]
    """[examples]: whether each is one of them."""


def slices(run: Predictions, texts: Mapping[str, Text]) -> list[Slice]:
    """All that is known."""
    return [*by_length(run, texts), *by_columns(run)]


def by_columns(run: Predictions) -> Iterator[Slice]:
    """The examples with each value of a column; not of one that has a single value, or very many."""
    for column, values in run.columns.items():
        if 1 < len(set(values)) <= MOST_VALUES:
            for name, examples in by_value(values, column).items():
                yield Slice(column, name, examples)


def by_length(run: Predictions, texts: Mapping[str, Text]) -> Sequence[Slice]:
    """The examples in quartiles of their lengths in words; those of equal length stay together.

    A text's words are what white space separates. None where lengths are not known, or are all the same.
    """
    lengths = _lengths(run, texts)
    if lengths is None:
        return []
    shares = np.arange(1, _PARTS) / _PARTS
    upper = np.unique([*np.quantile(lengths, shares, method="lower"), lengths.max()])
    part = np.searchsorted(upper, lengths)
    if len(upper) == 1:
        return []
    return [_named(lengths, part == place) for place in range(len(upper))]


def _named(lengths: Integers, examples: NDArray[np.bool_]) -> Slice:
    shortest, longest = int(lengths[examples].min()), int(lengths[examples].max())
    span = str(longest) if shortest == longest else f"{shortest} to {longest}"
    return Slice(LENGTH, f"{span} word{'s' if longest != 1 else ''}", examples)


def _lengths(run: Predictions, texts: Mapping[str, Text]) -> Integers | None:
    if run.kind == "tokens":
        return np.diff(run.start)
    if not texts or not all(id_ in texts for id_ in run.ids):
        return None
    return np.array([_words(texts[id_]) for id_ in run.ids], np.int64)


def _words(text: Text) -> int:
    return len(text.first.split()) + len((text.second or "").split())
