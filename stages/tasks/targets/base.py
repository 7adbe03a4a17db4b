"""What a task asks of its target, whichever it is."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.schema import Target
from stages.scoring.scores import Scores
from stages.tasks.base import Units


class UnitTarget(Protocol):
    """What each unit is given. Chosen once, by `stages.tasks.dispatch.target_for`.

    `gold` arrays have a shape of the target's own: [units] codes, [units, labels] of 0 and 1, or [units] numbers.
    """

    @property
    def name(self) -> Target:
        """The configuration's name of this target."""

    def feature(self, names: Sequence[str]) -> Any:
        """The type of a tokenized text split's label column."""

    def names(self, feature: Any) -> list[str]:
        """The labels in the order of their codes, one a logit, of a raw or tokenized text split's label column."""

    def gold(self, split: Dataset, column: str) -> NDArray[Any]:
        """The truth of each row of a raw or tokenized text split."""

    def labelled(self, gold: NDArray[Any]) -> NDArray[np.bool_]:
        """[units]: whether the truth is known."""

    def score(self, units: Units, gold: NDArray[Any], names: Sequence[str]) -> Scores:
        """Score predictions of units that are all labelled."""

    def columns(self, units: Units, gold: NDArray[Any], names: Sequence[str]) -> Mapping[str, pa.Array]:
        """What the predictions file says of each unit: `gold` (null where not known), `predicted`, maybe more."""
