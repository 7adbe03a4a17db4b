"""Text classification and regression: one label, any number of labels, or a number for a text or a pair of texts."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, List, Value
from numpy.typing import NDArray

from stages.columns.arrays import as_lists, flat, floats, integers, is_null, lengths
from stages.columns.names import EXAMPLE, LABEL, LABELS, TEXT, label_names
from stages.scoring.core.predicted import LabelPredictions, LabelSetPredictions, NumberPredictions
from stages.scoring.core.scores import Scores
from stages.scoring.core.threshold import DEFAULT_THRESHOLD, best_threshold, read_threshold, write_threshold
from stages.tasks.task import UNLEARNED, Answers, Gold, OneLabelTask, Task, Units, balanced_weights, split_of

if TYPE_CHECKING:
    from torch import Tensor


class TextTask(Task):
    """A unit is a text, or a pair of texts. The logits of a long one's windows become one by `task.pooling`."""

    pipeline = "text-classification"

    def model_class(self) -> Any:
        """Return the class with a head on the first sub-word or on a pooled state, depending on the family."""
        from transformers import AutoModelForSequenceClassification  # imports PyTorch: see stages.tasks.objective

        return AutoModelForSequenceClassification

    @abstractmethod
    def labels_in(self, split: Dataset, column: str) -> NDArray[Any]:
        """Read the truth of each row of a raw or tokenized split, [rows, ...]."""

    def stitched(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Pool the logits of each text's windows: their mean, their maximum, or those of the first window."""
        example, row_of_first, rows = np.unique(integers(tokenized, EXAMPLE), return_index=True, return_counts=True)
        assert len(readings) == rows.sum() and bool(np.all(np.diff(row_of_first) > 0))
        return Units(example, np.zeros_like(example), self._pooled(readings, row_of_first, rows))

    def _pooled(
        self, readings: NDArray[np.float32], row_of_first: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return [texts, labels] from [rows, labels], the index of each text's first row and its number of rows, [texts]."""
        pooled: NDArray[np.float32]
        match self.config.pooling:
            case "first":
                pooled = readings[row_of_first]
            case "max":
                pooled = np.maximum.reduceat(readings, row_of_first, axis=0)
            case "mean":
                sums = np.add.reduceat(readings, row_of_first, axis=0)
                pooled = (sums / rows[:, None]).astype(np.float32)
        return pooled

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """Read it off the first row of each text."""
        example, row_of_first = np.unique(integers(tokenized, EXAMPLE), return_index=True)
        return Gold(example, self.labels_in(tokenized, LABELS)[row_of_first])

    def raw_gold(self, raw: Dataset) -> Gold:
        """Read it off each row: a row is a text."""
        gold = self.labels_in(raw, LABEL)
        return Gold(np.arange(len(gold)), gold)

    def unlabelled(self, inputs: Mapping[str, pa.Array], names: Sequence[str]) -> Dataset:
        """Return texts, or pairs of texts, with an unknown label each."""
        feature, unknown = self.unknown_labels(len(inputs[TEXT]), names)
        return split_of({**inputs, LABEL: unknown}, {LABEL: feature})

    @abstractmethod
    def unknown_labels(self, rows: int, names: Sequence[str]) -> tuple[Any, pa.Array]:
        """Return the feature of a raw split's labels, and so many that are not known."""


class TextLabelTask(TextTask, OneLabelTask):
    """One label a text."""

    problem_type = "single_label_classification"

    def class_weights(self, train: Dataset, names: Sequence[str]) -> NDArray[np.float32]:
        """Weigh each label by its inverse frequency among rows."""
        return balanced_weights(self.labels_in(train, LABELS), len(names))

    def labels_in(self, split: Dataset, column: str) -> NDArray[np.int64]:
        """Return the code of each row's label, [rows]."""
        return integers(split, column)

    def unknown_labels(self, rows: int, names: Sequence[str]) -> tuple[Any, pa.Array]:
        """Return codes of -1."""
        return ClassLabel(names=list(names)), pa.array(np.full(rows, -1))

    def predictions(self, units: Units, gold: Gold, names: Sequence[str]) -> LabelPredictions:
        """Return the label with the largest logit, and the probabilities of all."""
        probabilities = np.exp(units.log_probabilities)
        return LabelPredictions(
            gold.label,
            units.predicted,
            names,
            losses=units.losses(gold.label),
            probabilities=probabilities,
            confidence=probabilities.max(axis=1),
        )

    def card_code(self, threshold: float | None) -> str:
        """Print one label for each text."""
        return "print([labels[code] for code in logits.argmax(axis=-1)])"


class TextLabelsTask(TextTask):
    """Any number of labels a text: each whose probability (the sigmoid of its logit) is at least `threshold`.

    Gold: [texts, labels] of 1 where a text has a label and 0 elsewhere; a row of -1 where its labels are not known
    (null, whereas an empty list says that it has none). Columns hold lists of codes: their type carries the names,
    and their size does not grow with the number of labels.

    Without a threshold, what gives the best micro F1 is chosen whenever predictions are scored, as on validation.
    """

    problem_type = "multi_label_classification"

    def label_tensor(self, rows: Sequence[object], labels: int) -> "Tensor":
        """Return [rows, labels], float32: 1 for each label that a row has, else 0."""
        from stages.tasks.objective import label_sets

        return label_sets(rows, labels)

    def unlearned_logit(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what the sigmoid makes `UNLEARNED` of."""
        return np.full(len(logits), np.log(UNLEARNED) - np.log1p(-UNLEARNED))

    def loss(self, logits: "Tensor", labels: "Tensor", *, weights: "Tensor | None", label_smoothing: float) -> "Tensor":
        """Sum the binary cross-entropy over rows and labels."""
        from stages.tasks.objective import binary_cross_entropy

        return binary_cross_entropy(logits, labels, weights)

    def class_weights(self, train: Dataset, names: Sequence[str]) -> NDArray[np.float32]:
        """Weigh having a label, relative to not having it, by the number of rows without it / rows with it.

        A label that all rows or none have gets 1.
        """
        having = self.labels_in(train, LABELS).sum(axis=0)
        lacking = train.num_rows - having
        weights = np.where((having > 0) & (lacking > 0), lacking / np.maximum(having, 1), 1.0)
        balanced: NDArray[np.float32] = weights.astype(np.float32)
        return balanced

    def unknown_labels(self, rows: int, names: Sequence[str]) -> tuple[Any, pa.Array]:
        """Return null for each list of labels."""
        return List(ClassLabel(names=list(names))), pa.nulls(rows, pa.list_(pa.int64()))

    def labels_in(self, split: Dataset, column: str) -> NDArray[np.int64]:
        """Return which labels each row has, [rows, labels]."""
        length = lengths(split, column)
        gold = np.zeros((len(length), len(label_names(split.features))), np.int64)
        gold[np.repeat(np.arange(len(length)), length), flat(split, column)] = 1
        gold[is_null(split, column)] = -1
        return gold

    def labelled(self, gold: Gold) -> NDArray[np.bool_]:
        """Return where the row does not hold -1."""
        known: NDArray[np.bool_] = np.all(gold.label >= 0, axis=1)
        return known

    def predictions(self, units: Units, gold: Gold, names: Sequence[str]) -> LabelSetPredictions:
        """Return the labels whose probability is at least the threshold."""
        probabilities, has_label = _sigmoid(units), gold.label == 1
        threshold = best_threshold(probabilities, has_label) if self.threshold is None else self.threshold
        losses = _cross_entropies(units, gold.label)
        return LabelSetPredictions(has_label, probabilities >= threshold, names, losses, probabilities, threshold)

    def write(self, folder: Path) -> None:
        """Write the threshold."""
        assert self.threshold is not None, "validation chose one"
        write_threshold(folder, self.threshold)

    def trained(self, folder: Path) -> Self:
        """Read the threshold that was best on validation."""
        return replace(self, threshold=read_threshold(folder))

    def chosen_threshold(self, scores: Scores) -> float | None:
        """Return the threshold that was best on these predictions."""
        return scores.threshold

    def answers(self, units: Units, gold: Gold, known: NDArray[np.bool_], names: Sequence[str]) -> Answers:
        """Return lists of names in the order of the labels. `score` is the probability of every label."""
        probabilities = _sigmoid(units)
        threshold = DEFAULT_THRESHOLD if self.threshold is None else self.threshold
        return Answers(
            gold=_named(gold.label == 1, names, known=known),
            predicted=_named(probabilities >= threshold, names, known=np.ones_like(known)),
            score=probabilities,
            loss=_cross_entropies(units, gold.label),
        )

    def card_code(self, threshold: float | None) -> str:
        """Print the labels of each text."""
        limit = DEFAULT_THRESHOLD if threshold is None else threshold
        return (
            f"print([[labels[code] for code in np.flatnonzero(row >= {limit:.6g})] "
            "for row in 1 / (1 + np.exp(-logits))])"
        )


class TextNumberTask(TextTask):
    """A number a text: its only logit. Gold: the number, NaN (null in columns) where it is not known."""

    problem_type = "regression"
    has_labels: ClassVar[bool] = False

    def label_tensor(self, rows: Sequence[object], labels: int) -> "Tensor":
        """Return the numbers, [rows], float32."""
        from stages.tasks.objective import numbers

        return numbers(rows)

    def loss(self, logits: "Tensor", labels: "Tensor", *, weights: "Tensor | None", label_smoothing: float) -> "Tensor":
        """Sum the squared errors."""
        from stages.tasks.objective import squared_error

        return squared_error(logits, labels)

    def unknown_labels(self, rows: int, names: Sequence[str]) -> tuple[Any, pa.Array]:
        """Return null for each number."""
        return Value("float64"), pa.nulls(rows, pa.float64())

    def labels_in(self, split: Dataset, column: str) -> NDArray[np.float64]:
        """Return the number of each row, [rows]."""
        return floats(split, column)

    def labelled(self, gold: Gold) -> NDArray[np.bool_]:
        """Return where the number is not NaN."""
        known: NDArray[np.bool_] = ~np.isnan(gold.label)
        return known

    def predictions(self, units: Units, gold: Gold, names: Sequence[str]) -> NumberPredictions:
        """Return the only logit of each text."""
        return NumberPredictions(gold.label, _only_logit(units))

    def answers(self, units: Units, gold: Gold, known: NDArray[np.bool_], names: Sequence[str]) -> Answers:
        """Return the numbers as they are, not rounded: their unit is not known. A model gives them no probability."""
        return Answers(
            gold=pa.array(gold.label, pa.float64(), mask=~known), predicted=pa.array(_only_logit(units), pa.float64())
        )

    def card_code(self, threshold: float | None) -> str:
        """Print one number for each text."""
        return "print(logits[:, 0])"


def _sigmoid(units: Units) -> NDArray[np.float64]:
    """Return the sigmoid of the logits, [texts, labels], in a form that does not overflow."""
    probabilities: NDArray[np.float64] = 0.5 * (1 + np.tanh(units.logits.astype(np.float64) / 2))
    return probabilities


def _cross_entropies(units: Units, gold: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean over labels of -log p where a text has the label, of -log(1 - p) elsewhere, [texts], in nats."""
    logits = units.logits.astype(np.float64)
    losses: NDArray[np.float64] = (np.logaddexp(0, logits) - logits * gold).mean(axis=1)
    return losses


def _only_logit(units: Units) -> NDArray[np.float64]:
    """Return the predicted number, [texts]."""
    return units.logits[:, 0].astype(np.float64)


def _named(has: NDArray[np.bool_], names: Sequence[str], *, known: NDArray[np.bool_]) -> pa.Array:
    """Return the list of names for each row of `has`, [texts, labels]; null where `known`, [texts], is False."""
    _, code = np.nonzero(has)
    labels = pa.array(np.array(names, dtype=object)[code], pa.string())
    return as_lists(labels, has.sum(axis=1), ~known)
