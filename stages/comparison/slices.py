"""Parts of the test split by length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.comparison.predictions import Integers, Predictions
from stages.comparison.runs import Text

_PARTS = 4


@dataclass(frozen=True)
class Slice:
    """Some of the examples."""

    name: str
    examples: NDArray[np.bool_]
    """[examples]: whether each is one of them."""


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
    return Slice(f"{span} word{'s' if longest != 1 else ''}", examples)


def _lengths(run: Predictions, texts: Mapping[str, Text]) -> Integers | None:
    if run.kind == "tokens":
        return np.diff(run.start)
    if not texts or not all(id_ in texts for id_ in run.ids):
        return None
    return np.array([_words(texts[id_]) for id_ in run.ids], np.int64)


def _words(text: Text) -> int:
    return len(text.first.split()) + len((text.second or "").split())
