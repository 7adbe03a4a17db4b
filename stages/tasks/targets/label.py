"""One label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset
from numpy.typing import NDArray

from stages.configuration.schema import Target
from stages.scoring.predictions import GOLD, LOSS, LOSS_DECIMALS, PREDICTED, PROBABILITIES, SCORE, probability_structs
from stages.scoring.scores import Scores
from stages.tasks.base import Units
from stages.tasks.columns import integers

Codes = NDArray[np.int64]


class LabelTarget:
    """One label a unit: the one with the largest logit. Gold: its code, -1 where it is not known."""

    name: Target = "label"

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
        from stages.scoring.metric_modules import LabelMetric  # importing `evaluate` takes seconds

        result = LabelMetric(keep_in_memory=True).compute(
            predictions=units.predicted, references=gold, names=names, loss=units.loss(gold)
        )
        scores: Scores = result["scores"]
        return scores

    def columns(self, units: Units, gold: Codes, names: Sequence[str]) -> Mapping[str, pa.Array]:
        """The names of the labels; `score` is the probability of the predicted one, `probabilities` has all of them."""
        labels, unknown = np.array(names, dtype=object), ~self.labelled(gold)
        return {
            GOLD: pa.array(labels[gold], pa.string(), mask=unknown),
            PREDICTED: pa.array(labels[units.predicted], pa.string()),
            SCORE: pa.array(units.score.round(6), pa.float64()),
            PROBABILITIES: probability_structs(np.exp(units.log_probabilities), names),
            LOSS: pa.array(units.losses(gold).round(LOSS_DECIMALS), pa.float64(), mask=unknown),
        }
