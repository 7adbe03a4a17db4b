"""A number."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Value
from numpy.typing import NDArray

from stages.configuration.schema import Target
from stages.scoring.predictions import GOLD, PREDICTED
from stages.scoring.scores import Scores
from stages.tasks.base import Units
from stages.tasks.columns import floats

Numbers = NDArray[np.float64]

_NAME = "number"


class NumberTarget:
    """A number a text: its only logit. Gold: the number, NaN (null in columns) where it is not known."""

    name: Target = "number"

    def feature(self, names: Sequence[str]) -> Value:
        """A float32, as the model computes."""
        return Value("float32")

    def names(self, feature: Any) -> list[str]:
        """What the model calls its only logit."""
        return [_NAME]

    def gold(self, split: Dataset, column: str) -> Numbers:
        """The number of each row, [rows]."""
        return floats(split, column)

    def labelled(self, gold: Numbers) -> NDArray[np.bool_]:
        """Where the number is one."""
        return ~np.isnan(gold)

    def score(self, units: Units, gold: Numbers, names: Sequence[str]) -> Scores:
        """Errors and correlations."""
        from stages.scoring.numbers import score_numbers

        return score_numbers(_predicted(units), gold)

    def columns(self, units: Units, gold: Numbers, names: Sequence[str]) -> Mapping[str, pa.Array]:
        """The numbers as they are, for their unit is not ours to know; a model gives no probability of them."""
        return {
            GOLD: pa.array(gold, pa.float64(), mask=~self.labelled(gold)),
            PREDICTED: pa.array(_predicted(units), pa.float64()),
        }


def _predicted(units: Units) -> Numbers:
    return units.logits[:, 0].astype(np.float64)
