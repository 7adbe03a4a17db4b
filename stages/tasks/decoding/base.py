"""What train and evaluate ask of a task, whichever kind it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.schema import Kind
from stages.scoring.headline.scores import Scores


@dataclass(frozen=True)
class Units:
    """What is scored, one row each: an example (text) or a word (tokens). Sorted by example and word."""

    example: NDArray[np.int64]
    """[units]: the example's row in its raw split."""
    word: NDArray[np.int64]
    """[units]: the word's place in its example; 0 for text."""
    logits: NDArray[np.float32]
    """[units, labels]."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """[units]: the code of the most probable label, where there is one label a unit."""
        predicted: NDArray[np.int64] = self.logits.argmax(axis=1).astype(np.int64)
        return predicted

    @property
    def log_probabilities(self) -> NDArray[np.float64]:
        """[units, labels]: log-softmax of the logits, in float64."""
        logits = self.logits.astype(np.float64)
        shifted = logits - logits.max(axis=1, keepdims=True)
        normalized: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return normalized

    @property
    def score(self) -> NDArray[np.float64]:
        """[units]: the probability of the predicted label."""
        score: NDArray[np.float64] = np.exp(self.log_probabilities.max(axis=1))
        return score

    def losses(self, gold: NDArray[np.int64]) -> NDArray[np.float64]:
        """[units]: the negative log-probability of each gold label (shape [units]), in nats."""
        losses: NDArray[np.float64] = -self.log_probabilities[np.arange(len(gold)), gold]
        return losses

    def loss(self, gold: NDArray[np.int64]) -> float:
        """The mean negative log-probability of the gold labels."""
        return float(self.losses(gold).mean())


@dataclass(frozen=True)
class Gold:
    """The truth for each unit, sorted as `Units` are."""

    example: NDArray[np.int64]
    """[units]: the example's row in its raw split."""
    label: NDArray[Any]
    """[units]: the code of its label. For texts that have several, or a number: as `UnitTarget.gold` says."""


class Decoding(Protocol):
    """How one kind of task reads logits. Chosen once, by `stages.tasks.decoding.dispatch.decoding_for`."""

    @property
    def kind(self) -> Kind:
        """The configuration's name of this kind."""

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Stitch the logits read off each row, [readings, labels] in row order, into one row a unit."""

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """The truth as the tokenized split holds it, for scores while training."""

    def raw_gold(self, raw: Dataset) -> Gold:
        """The truth as the raw split holds it: what final scores are measured against."""

    def labelled(self, gold: Gold) -> NDArray[np.bool_]:
        """[units]: whether the truth is known."""

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """The headline scores of predictions of the same units as `gold`, for validation while training.

        They equal those of `stages.scoring.final.scoring.score_predictions`, which tells more.
        """
