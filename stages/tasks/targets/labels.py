"""Any number of labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, List
from numpy.typing import NDArray

from stages.configuration.schema import Target
from stages.scoring.multilabel import DEFAULT_THRESHOLD, best_threshold
from stages.scoring.predictions import GOLD, LOSS, LOSS_DECIMALS, PREDICTED, SCORE, probability_structs
from stages.scoring.scores import Scores
from stages.tasks.base import Units
from stages.tasks.columns import flat, is_null, lengths

Matrix = NDArray[np.int64]


@dataclass(frozen=True)
class LabelsTarget:
    """Any number of labels a text: each whose probability (the sigmoid of its logit) is at least `threshold`.

    Gold: [texts, labels] of 1 where a text has a label and 0 elsewhere; a row of -1 where its labels are not known
    (null, whereas an empty list says that it has none). Columns hold lists of codes: their type carries the names,
    and their size does not grow with the number of labels.
    """

    threshold: float | None = None
    """None: what gives the best micro F1 is chosen whenever predictions are scored, as on validation."""
    name: Target = "labels"

    def feature(self, names: Sequence[str]) -> List:
        """A list of ClassLabels."""
        return List(ClassLabel(names=list(names)))

    def names(self, feature: Any) -> list[str]:
        """The names of a list of ClassLabels."""
        return list(feature.feature.names)

    def gold(self, split: Dataset, column: str) -> Matrix:
        """Which labels each row has, [rows, labels]."""
        length = lengths(split, column)
        gold = np.zeros((len(length), len(self.names(split.features[column]))), np.int64)
        gold[np.repeat(np.arange(len(length)), length), flat(split, column)] = 1
        gold[is_null(split, column)] = -1
        return gold

    def labelled(self, gold: Matrix) -> NDArray[np.bool_]:
        """Where the row is not of -1."""
        known: NDArray[np.bool_] = np.all(gold >= 0, axis=1)
        return known

    def score(self, units: Units, gold: Matrix, names: Sequence[str]) -> Scores:
        """Subset accuracy, and precision, recall and F1: macro averages in the headline."""
        from stages.scoring.multilabel import score_label_sets

        probabilities, has_label = _probabilities(units), gold == 1
        threshold = best_threshold(probabilities, has_label) if self.threshold is None else self.threshold
        loss = float(_losses(units, gold).mean())
        return score_label_sets(probabilities >= threshold, has_label, names, loss=loss, threshold=threshold)

    def columns(self, units: Units, gold: Matrix, names: Sequence[str]) -> Mapping[str, pa.Array]:
        """Lists of names in the order of the labels; `score` is a struct of every label's probability."""
        probabilities, known = _probabilities(units), self.labelled(gold)
        threshold = DEFAULT_THRESHOLD if self.threshold is None else self.threshold
        return {
            GOLD: _named(gold == 1, names, known=known),
            PREDICTED: _named(probabilities >= threshold, names, known=np.ones(len(gold), bool)),
            SCORE: probability_structs(probabilities, names),
            LOSS: pa.array(_losses(units, gold).round(LOSS_DECIMALS), pa.float64(), mask=~known),
        }


def _probabilities(units: Units) -> NDArray[np.float64]:
    """[texts, labels]: the sigmoid of the logits, in a form that does not overflow."""
    probabilities: NDArray[np.float64] = 0.5 * (1 + np.tanh(units.logits.astype(np.float64) / 2))
    return probabilities


def _losses(units: Units, gold: Matrix) -> NDArray[np.float64]:
    """[texts]: the mean over labels of -log p where a text has the label, of -log(1 - p) elsewhere, in nats."""
    logits = units.logits.astype(np.float64)
    losses: NDArray[np.float64] = (np.logaddexp(0, logits) - logits * gold).mean(axis=1)
    return losses


def _named(has: NDArray[np.bool_], names: Sequence[str], *, known: NDArray[np.bool_]) -> pa.Array:
    """A list of names for each row of `has`, [texts, labels]; null where `known`, [texts], is False."""
    _, code = np.nonzero(has)
    offsets = np.concatenate([[0], np.cumsum(has.sum(axis=1))])
    labels = pa.array(np.array(names, dtype=object)[code], pa.string())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), labels, mask=pa.array(~known))
