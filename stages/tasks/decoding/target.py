"""What a text may be given, and what is asked of it, whichever it is."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.scoring.headline.scores import Scores
from stages.tasks.decoding.base import Units


class TextTarget(Protocol):
    """What each text is given. Chosen once, by `stages.tasks.decoding.dispatch.target_for`.

    `gold` arrays have a shape of the target's own: [units] codes, [units, labels] of 0 and 1, or [units] numbers.
    """

    def gold(self, split: Dataset, column: str) -> NDArray[Any]:
        """The truth of each row of a raw or tokenized split."""

    def labelled(self, gold: NDArray[Any]) -> NDArray[np.bool_]:
        """[units]: whether the truth is known."""

    def score(self, units: Units, gold: NDArray[Any], names: Sequence[str]) -> Scores:
        """Score predictions of units that are all labelled."""
