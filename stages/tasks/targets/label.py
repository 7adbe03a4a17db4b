"""One label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset
from numpy.typing import NDArray

from stages.scoring.scores import Scores
from stages.tasks.base import Units
from stages.tasks.columns import integers

Codes = NDArray[np.int64]


class LabelTarget:
    """One label a unit: the one with the largest logit. Gold: its code, -1 where it is not known."""

    def feature(self, names: Sequence[str]) -> ClassLabel:
        """A ClassLabel."""
        return ClassLabel(names=list(names))

    def names(self, feature: Any) -> list[str]:
        """The names of a ClassLabel."""
        return list(feature.names)

    def gold(self, split: Dataset, column: str) -> Codes:
        """The code of each row's label, [rows]."""
        return integers(split, column)

    def labelled(self, gold: Codes) -> NDArray[np.bool_]:
        """Where the code is not -1."""
        return gold >= 0

    def score(self, units: Units, gold: Codes, names: Sequence[str]) -> Scores:
        """Accuracy, and precision, recall and F1: macro averages in the headline."""
        from stages.scoring.classification import score_labels

        return score_labels(units.predicted, gold, names, loss=units.loss(gold))

    def columns(self, units: Units, gold: Codes, names: Sequence[str]) -> Mapping[str, pa.Array]:
        """The names of the labels; `score` is the probability of the predicted one."""
        labels = np.array(names, dtype=object)
        return {
            "gold": pa.array(labels[gold], pa.string(), mask=~self.labelled(gold)),
            "predicted": pa.array(labels[units.predicted], pa.string()),
            "score": pa.array(units.score.round(6), pa.float64()),
        }
