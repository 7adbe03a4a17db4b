"""A number."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.scoring.headline.numbers import score_numbers
from stages.scoring.headline.scores import Scores
from stages.tasks.columns.arrays import floats
from stages.tasks.decoding.base import Units

Numbers = NDArray[np.float64]


class NumberTarget:
    """A number a text: its only logit. Gold: the number, NaN (null in columns) where it is not known."""

    def gold(self, split: Dataset, column: str) -> Numbers:
        """The number of each row, [rows]."""
        return floats(split, column)

    def labelled(self, gold: Numbers) -> NDArray[np.bool_]:
        """Where the number is one."""
        return ~np.isnan(gold)

    def score(self, units: Units, gold: Numbers, names: Sequence[str]) -> Scores:
        """Errors and correlations."""
        return score_numbers(predicted_numbers(units), gold)


def predicted_numbers(units: Units) -> Numbers:
    """[texts]: the only logit of each."""
    return units.logits[:, 0].astype(np.float64)
