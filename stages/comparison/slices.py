"""Parts of the test split: by length, and by the columns that came along with the data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.comparison.predictions import Integers, Predictions
from stages.comparison.runs import Text
from stages.scoring.final import slices as scoring
from stages.scoring.final.slices import LENGTH, MOST_VALUES, by_value, word_counts


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


def by_length(run: Predictions, texts: Mapping[str, Text]) -> list[Slice]:
    """The examples in quarters of their lengths in words; none where lengths are not known, or are all the same."""
    words = _words(run, texts)
    parts = {} if words is None else scoring.by_length(words)
    return [Slice(LENGTH, name, examples) for name, examples in parts.items()] if len(parts) > 1 else []


def _words(run: Predictions, texts: Mapping[str, Text]) -> Integers | None:
    if run.kind == "tokens":
        return np.diff(run.start)
    if not texts or not all(id_ in texts for id_ in run.ids):
        return None
    found = [texts[id_] for id_ in run.ids]
    return word_counts([text.first for text in found], [text.second for text in found])
