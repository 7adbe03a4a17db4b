"""What the stages ask of a task, whichever kind it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features
from numpy.typing import NDArray

from stages.configuration.schema import Kind, TokenizeConfig
from stages.scoring.scores import Scores
from stages.tasks.subwords import SubwordEncoder

IGNORED = -100
"""The label of a sub-word that takes no part in loss or score; PyTorch's own `ignore_index`."""

EXAMPLE = "example"
INPUT_IDS = "input_ids"
LABELS = "labels"
WORDS = "words"
TOKEN_TYPES = "token_type_ids"
SUBWORDS = "subwords"
"""The column of how many sub-words a row's whole example has, special ones included: more than a row, if it was cut."""


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


class Task(Protocol):
    """One kind of task. Chosen once, by `stages.tasks.dispatch.task_for`.

    A tokenized split has one row a window: `example` (the raw split's row), `subwords` (of the whole example),
    `input_ids`, `labels` (for text as `UnitTarget.feature` says; for tokens one a sub-word, `IGNORED` where no word
    begins) and, for tokens, `words` (the word that begins at a sub-word, else -1). Pairs of texts whose models tell
    them apart have `token_type_ids`.
    """

    @property
    def kind(self) -> Kind:
        """The configuration's name of this kind."""

    def label_names(self, split: Dataset) -> list[str]:
        """The labels in the order of their codes, of a raw or a tokenized split."""

    def tokenized_features(self, names: Sequence[str]) -> Features:
        """The columns of a tokenized split, but for `token_type_ids`."""

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """The columns of the tokenized split that a part of a raw split becomes; its first row is `first_example`."""

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Stitch the logits read off each row, [readings, labels] in row order, into one row a unit."""

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """The truth as the tokenized split holds it, for scores while training."""

    def raw_gold(self, raw: Dataset) -> Gold:
        """The truth as the raw split holds it: what final scores are measured against."""

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """The headline scores of predictions of the same units as `gold`, for validation while training.

        They equal those of `stages.scoring.final.score_predictions`, which tells more.
        """

    def predictions(self, raw: Dataset, units: Units, names: Sequence[str]) -> pa.Table:
        """The predictions file: `id`, (`word`, `token`,) `gold`, `predicted`, and what else is known, one row a unit.

        Its schema says what it holds, so that `stages.scoring.final.score_predictions` needs nothing else.
        """
