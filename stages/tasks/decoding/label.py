"""One label."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.scoring.headline.classification import score_labels
from stages.scoring.headline.scores import Scores
from stages.tasks.columns.arrays import integers
from stages.tasks.decoding.base import Units

Codes = NDArray[np.int64]


class LabelTarget:
    """One label a text: the one with the largest logit. Gold: its code, -1 where it is not known."""

    def gold(self, split: Dataset, column: str) -> Codes:
        """The code of each row's label, [rows]."""
        return integers(split, column)

    def labelled(self, gold: Codes) -> NDArray[np.bool_]:
        """Where the code is not -1."""
        return gold >= 0

    def score(self, units: Units, gold: Codes, names: Sequence[str]) -> Scores:
        """Accuracy, and precision, recall and F1: macro averages in the headline."""
        return score_labels(units.predicted, gold, names, loss=units.loss(gold))
