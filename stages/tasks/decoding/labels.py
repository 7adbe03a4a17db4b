"""Any number of labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.scoring.headline.multilabel import best_threshold, score_label_sets
from stages.scoring.headline.scores import Scores
from stages.tasks.columns.arrays import flat, is_null, lengths
from stages.tasks.columns.names import label_names
from stages.tasks.decoding.base import Units

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

    def gold(self, split: Dataset, column: str) -> Matrix:
        """Which labels each row has, [rows, labels]."""
        length = lengths(split, column)
        gold = np.zeros((len(length), len(label_names(split.features))), np.int64)
        gold[np.repeat(np.arange(len(length)), length), flat(split, column)] = 1
        gold[is_null(split, column)] = -1
        return gold

    def labelled(self, gold: Matrix) -> NDArray[np.bool_]:
        """Where the row is not of -1."""
        known: NDArray[np.bool_] = np.all(gold >= 0, axis=1)
        return known

    def score(self, units: Units, gold: Matrix, names: Sequence[str]) -> Scores:
        """Subset accuracy, and precision, recall and F1: macro averages in the headline."""
        probabilities, has_label = sigmoid(units), gold == 1
        threshold = best_threshold(probabilities, has_label) if self.threshold is None else self.threshold
        loss = float(cross_entropies(units, gold).mean())
        return score_label_sets(probabilities >= threshold, has_label, names, loss=loss, threshold=threshold)


def sigmoid(units: Units) -> NDArray[np.float64]:
    """[texts, labels]: the sigmoid of the logits, in a form that does not overflow."""
    probabilities: NDArray[np.float64] = 0.5 * (1 + np.tanh(units.logits.astype(np.float64) / 2))
    return probabilities


def cross_entropies(units: Units, gold: Matrix) -> NDArray[np.float64]:
    """[texts]: the mean over labels of -log p where a text has the label, of -log(1 - p) elsewhere, in nats."""
    logits = units.logits.astype(np.float64)
    losses: NDArray[np.float64] = (np.logaddexp(0, logits) - logits * gold).mean(axis=1)
    return losses
