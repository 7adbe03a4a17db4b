"""Text classification and regression: one label, several, or a number for a text or a pair of texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.schema import Kind, Pooling
from stages.scoring.headline.scores import Scores
from stages.tasks.columns.arrays import integers
from stages.tasks.columns.names import EXAMPLE, LABEL, LABELS
from stages.tasks.decoding.base import Gold, Units
from stages.tasks.decoding.label import LabelTarget
from stages.tasks.decoding.target import TextTarget


@dataclass(frozen=True)
class TextDecoding:
    """What `target` says for a text; the logits of a long text's windows become one by `pooling`."""

    target: TextTarget = field(default_factory=LabelTarget)
    pooling: Pooling = "mean"
    kind: Kind = "text"

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """One row of logits a text: the mean or the largest of its windows', or those of the first."""
        example, row_of_first, rows = np.unique(integers(tokenized, EXAMPLE), return_index=True, return_counts=True)
        assert len(readings) == rows.sum() and bool(np.all(np.diff(row_of_first) > 0))
        logits = _pooled(readings, row_of_first, rows, self.pooling)
        return Units(example, np.zeros_like(example), logits)

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """The truth of each text's first row."""
        example, row_of_first = np.unique(integers(tokenized, EXAMPLE), return_index=True)
        return Gold(example, self.target.gold(tokenized, LABELS)[row_of_first])

    def raw_gold(self, raw: Dataset) -> Gold:
        """The truth of each text."""
        gold = self.target.gold(raw, LABEL)
        return Gold(np.arange(len(gold)), gold)

    def labelled(self, gold: Gold) -> NDArray[np.bool_]:
        """[texts]: whether the truth is known."""
        return self.target.labelled(gold.label)

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """The target's scores."""
        return self.target.score(units, gold.label, names)


def _pooled(
    readings: NDArray[np.float32], row_of_first: NDArray[np.int64], rows: NDArray[np.int64], pooling: Pooling
) -> NDArray[np.float32]:
    """[texts, labels], from [rows, labels] and where each text's rows begin and how many there are, [texts]."""
    if pooling == "first":
        return readings[row_of_first]
    if pooling == "max":
        largest: NDArray[np.float32] = np.maximum.reduceat(readings, row_of_first, axis=0)
        return largest
    sums = np.add.reduceat(readings, row_of_first, axis=0)
    mean: NDArray[np.float32] = (sums / rows[:, None]).astype(np.float32)
    return mean
