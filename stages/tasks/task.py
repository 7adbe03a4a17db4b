"""A task: everything that depends on what is learned, after examples have been tokenized.

Encoding is kept apart, in `stages.tasks.encoding`, because DVC runs a stage again when its code has changed: a change in how
logits are decoded should not run tokenize again.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, Value
from numpy.typing import NDArray

from stages.columns.names import IGNORED, label_names
from stages.configuration.schema import TaskConfig
from stages.scoring.core.predicted import Predictions, ScoringRules
from stages.scoring.core.scores import Scores, scores_of

if TYPE_CHECKING:
    from torch import Tensor

UNLEARNED = float(np.finfo(np.float32).eps)
"""The probability of a label that the model does not have: what scikit-learn's `log_loss` replaces 0 by in float32."""


@dataclass(frozen=True)
class Units:
    """What is scored, one row each: an example (text) or a word (tokens). Sorted by example and word."""

    example: NDArray[np.int64]
    """[units]: the example's row in its raw split."""
    word: NDArray[np.int64]
    """[units]: the word's place in its example; 0 for text."""
    logits: NDArray[np.float32]
    """[units, labels]."""
    decoded: NDArray[np.int64] | None = None
    """[units]: the codes of labels that were chosen together, as by Viterbi; None if each unit has its most probable label."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """[units]: the code of the predicted label, if there is one label a unit."""
        return self.most_probable if self.decoded is None else self.decoded

    @property
    def most_probable(self) -> NDArray[np.int64]:
        """[units]: the code of the most probable label."""
        codes: NDArray[np.int64] = self.logits.argmax(axis=1).astype(np.int64)
        return codes

    @property
    def log_probabilities(self) -> NDArray[np.float64]:
        """[units, labels]: log-softmax of the logits, in float64."""
        logits = self.logits.astype(np.float64)
        shifted = logits - logits.max(axis=1, keepdims=True)
        normalized: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return normalized

    @property
    def score(self) -> NDArray[np.float64]:
        """[units]: the probability of the predicted label, which need not be the most probable one."""
        score: NDArray[np.float64] = np.exp(self.log_probabilities[np.arange(len(self.logits)), self.predicted])
        return score

    def losses(self, gold: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the negative log-probability of each gold label, [units] from [units], in nats."""
        losses: NDArray[np.float64] = -self.log_probabilities[np.arange(len(gold)), gold]
        return losses

    def loss(self, gold: NDArray[np.int64]) -> float:
        """Return the mean negative log-probability of the gold labels."""
        return float(self.losses(gold).mean())


@dataclass(frozen=True)
class Gold:
    """The truth for each unit, sorted as `Units` are."""

    example: NDArray[np.int64]
    """[units]: the example's row in its raw split."""
    label: NDArray[Any]
    """[units, ...]: the truth in the form of the task, most often the code of the unit's label."""


@dataclass(frozen=True)
class Answers:
    """What is gold and what is predicted for each unit, as in the predictions file."""

    gold: pa.Array
    """[units]: names, lists of names, or numbers; null where the truth is not known."""
    predicted: pa.Array
    """[units]: likewise, and never null."""
    score: NDArray[np.float64] | None = None
    """[units]: the probability of what is predicted; or [units, labels] where each label has its own."""
    loss: NDArray[np.float64] | None = None
    """[units]: the loss of each; any value where the truth is not known."""
    probabilities: NDArray[np.float64] | None = None
    """[units, labels]: the probability of every label, if `score` has only that of one."""
    argmax: pa.Array | None = None
    """[units]: the most probable labels, if `predicted` has others."""


@dataclass(frozen=True)
class Task(ABC):
    """What a model is trained for. `stages.tasks.registry.task_for` makes it."""

    config: TaskConfig
    rules: ScoringRules = field(default_factory=ScoringRules)
    """How predictions are scored, on validation as on test."""
    threshold: float | None = None
    """The least probability at which a unit is given a label, for tasks that choose it on validation."""

    pipeline: ClassVar[str]
    """The task's name at the Hub and in `transformers.pipeline`."""
    unit: ClassVar[str] = "example"
    """What is scored, in a word."""
    problem_type: ClassVar[str | None] = None
    """transformers' name for the target, from which its pipelines choose softmax, sigmoid or neither; None if it has none."""
    has_labels: ClassVar[bool] = True
    """Whether each logit is that of a label."""

    # The model and its loss

    @abstractmethod
    def model_class(self) -> Any:
        """Return the class whose `from_pretrained` makes the encoder with this task's head."""

    @abstractmethod
    def label_tensor(self, rows: Sequence[object], labels: int) -> "Tensor":
        """Turn the label column of rows into a tensor. `labels`: how many labels the model has.

        The loss is divided by the number of elements that are not `IGNORED`.
        """

    @abstractmethod
    def loss(self, logits: "Tensor", labels: "Tensor", *, weights: "Tensor | None", label_smoothing: float) -> "Tensor":
        """Sum the loss of a part of a batch over its labels, from fp32 logits. `weights`: [labels]; None weighs all alike."""

    def class_weights(self, train: Dataset, names: Sequence[str]) -> NDArray[np.float32]:
        """Return weights that balance the labels of the tokenized train split in the loss, [labels]."""
        raise NotImplementedError(f"{type(self).__name__} has no labels to weigh")

    # From logits to scores

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Turn the logits of readings, [readings, labels] in row order (`stages.modeling.prediction.predict`), into units.

        Labels of the split that the model does not have, since train lacks them, come after those of the model. Each has the
        probability `UNLEARNED`, so that it is never predicted, and its loss is finite.
        """
        units = self.stitched(tokenized, readings)
        unlearned = len(label_names(tokenized.features)) - readings.shape[1]
        if unlearned <= 0:
            return units
        logits = np.repeat(self.unlearned_logit(units.logits)[:, None], unlearned, axis=1)
        return replace(units, logits=np.concatenate([units.logits, logits.astype(np.float32)], axis=1))

    @abstractmethod
    def stitched(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Turn the logits of readings into units, for the labels that the model has."""

    def unlearned_logit(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the logit, [units], whose probability beside `logits`, [units, labels], is `UNLEARNED`."""
        raise NotImplementedError(f"{type(self).__name__} has no labels")

    @abstractmethod
    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """Return the truth of a tokenized split, for scores while training."""

    @abstractmethod
    def raw_gold(self, raw: Dataset) -> Gold:
        """Return the truth of a raw split, for final scores."""

    @abstractmethod
    def labelled(self, gold: Gold) -> NDArray[np.bool_]:
        """Return whether the truth is known, [units]."""

    @abstractmethod
    def predictions(self, units: Units, gold: Gold, names: Sequence[str]) -> Predictions:
        """Return predictions and truth in the form that scores are computed from. All units must be labelled."""

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """Compute the headline scores, for validation while training.

        They equal those of `stages.scoring.evaluation.scoring.score_predictions`, which tells more.
        """
        return scores_of(self.predictions(units, gold, names), self.rules.metric)

    def require_metric(self, names: Sequence[str]) -> None:
        """Raise DataError if `task.metric` can't be computed for data with these labels. It is called before training."""
        return  # if it does not depend on the labels, the configuration has been checked

    @abstractmethod
    def unlabelled(self, inputs: Mapping[str, pa.Array], names: Sequence[str]) -> Dataset:
        """Return inputs, such as a column of texts, as a raw split whose labels are not known."""

    # What is learned besides the weights

    def fitted_to(self, train: Dataset) -> Self:
        """Return the task with what it learns from the labels of the tokenized train split, besides the weights.

        Raises DataError if they lack what the task needs.
        """
        return self

    def write(self, folder: Path) -> None:
        """Write what was learned besides the weights into `folder`, the model's."""
        return  # most learn nothing

    def trained(self, folder: Path) -> Self:
        """Return the task with what `write` wrote into `folder`, the model's."""
        return self

    def chosen_threshold(self, scores: Scores) -> float | None:
        """Return the threshold of validation scores, if the task keeps one."""
        return None

    # What people see

    @abstractmethod
    def answers(self, units: Units, gold: Gold, known: NDArray[np.bool_], names: Sequence[str]) -> Answers:
        """Return gold and predicted labels by name. `known`: as `labelled` returns it."""

    def unit_columns(self, raw: Dataset, units: Units) -> dict[str, pa.Array]:
        """Return the columns that identify the example, and the part of it, of each unit."""
        return {"id": pa.array(raw["id"][:], pa.string())}

    @abstractmethod
    def card_code(self, threshold: float | None) -> str:
        """Return Python code for the model card that prints the predictions for a batch.

        The code reads `logits`, a NumPy array, `labels`, the label names by code, and `rows`, the tokenizer's output.
        `threshold`: as `Task.threshold`.
        """


class OneLabelTask(Task):
    """A task that gives each unit one label. Gold: its code, -1 where it is not known."""

    def label_tensor(self, rows: Sequence[object], labels: int) -> "Tensor":
        """Return the codes of labels."""
        from stages.tasks.objective import codes

        return codes(rows)

    def unlearned_logit(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what softmax makes `UNLEARNED` of."""
        found: NDArray[np.float64] = np.logaddexp.reduce(logits.astype(np.float64), axis=1) + np.log(UNLEARNED)
        return found

    def loss(self, logits: "Tensor", labels: "Tensor", *, weights: "Tensor | None", label_smoothing: float) -> "Tensor":
        """Sum the cross-entropy."""
        from stages.tasks.objective import cross_entropy

        return cross_entropy(logits, labels, weights, label_smoothing)

    def labelled(self, gold: Gold) -> NDArray[np.bool_]:
        """Return where the code is not -1."""
        known: NDArray[np.bool_] = gold.label >= 0
        return known

    def answers(self, units: Units, gold: Gold, known: NDArray[np.bool_], names: Sequence[str]) -> Answers:
        """Return the names of the labels. `score` is the probability of the predicted one."""
        labels = np.array(names, dtype=object)
        return Answers(
            gold=pa.array(labels[gold.label], pa.string(), mask=~known),
            predicted=pa.array(labels[units.predicted], pa.string()),
            score=units.score,
            loss=units.losses(gold.label),
            probabilities=np.exp(units.log_probabilities),
            argmax=None if units.decoded is None else pa.array(labels[units.most_probable], pa.string()),
        )


def split_of(columns: Mapping[str, pa.Array], features: Mapping[str, Any]) -> Dataset:
    """Return columns as a raw split with an `id` for each row. Columns without a feature of their own are strings."""
    rows = len(next(iter(columns.values())))
    whole = {"id": pa.array(map(str, range(rows)), pa.string()), **columns}
    described = Features({name: Value("string") for name in whole} | dict(features))
    return Dataset(pa.table(whole, schema=described.arrow_schema), fingerprint="unlabelled")


def balanced_weights(codes: NDArray[np.int64], labels: int) -> NDArray[np.float32]:
    """Weigh labels by inverse frequency, [labels]: n / (labels x count), as scikit-learn's `balanced`. An absent label gets 0.

    `codes`: one for each occurrence; those that are `IGNORED` do not count.
    """
    counts = np.bincount(codes[codes != IGNORED], minlength=labels)
    present = counts > 0
    weights = np.zeros(labels)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype(np.float32)
