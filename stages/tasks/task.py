"""A task: everything that depends on what is learned, once examples are tokenized.

Encoding examples is apart, in `stages.tasks.encoding`, because a stage runs again when its code changes: a change of how
logits are decoded must not tokenize again, nor one of how examples are encoded train again.
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
"""The probability of a label that the model has not: what scikit-learn's `log_loss` takes for 0 in float32."""


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
    """[units]: the codes of the labels that are chosen together with others; None where each is chosen by itself."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """[units]: the code of the label that is chosen, where there is one label a unit."""
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
    """[units, ...]: what is true, in the task's own form: most often the code of the unit's label."""


@dataclass(frozen=True)
class Answers:
    """What is gold and what is predicted for each unit, as the predictions file tells it."""

    gold: pa.Array
    """[units]: names, lists of names, or numbers; null where the truth is not known."""
    predicted: pa.Array
    """[units]: likewise, and never null."""
    score: NDArray[np.float64] | None = None
    """[units]: the probability of what is predicted; or [units, labels] where each label has its own."""
    loss: NDArray[np.float64] | None = None
    """[units]: the loss of each; what stands where the truth is not known does not matter."""
    probabilities: NDArray[np.float64] | None = None
    """[units, labels]: the probability of every label, where `score` is that of one."""
    argmax: pa.Array | None = None
    """[units]: the most probable labels, where `predicted` are chosen otherwise."""


@dataclass(frozen=True)
class Task(ABC):
    """What a model is trained for. Made by `stages.tasks.registry.task_for` and handed on."""

    config: TaskConfig
    rules: ScoringRules = field(default_factory=ScoringRules)
    """How predictions are scored, on validation as on test."""
    threshold: float | None = None
    """The probability from which on a unit has a label, for tasks that choose one on validation."""

    pipeline: ClassVar[str]
    """The task's name at the Hub and in `transformers.pipeline`."""
    unit: ClassVar[str] = "example"
    """What is scored, in a word."""
    problem_type: ClassVar[str | None] = None
    """What transformers calls the target: by this its pipelines apply softmax, sigmoid or neither. None: not noted."""
    has_labels: ClassVar[bool] = True
    """Whether a logit stands for a label."""

    # The model and its loss

    @abstractmethod
    def model_class(self) -> Any:
        """Return the class whose `from_pretrained` makes the encoder with this task's head."""

    @abstractmethod
    def label_tensor(self, rows: Sequence[object], labels: int) -> "Tensor":
        """Make the label column of some rows a tensor, for a model with so many `labels`.

        The Trainer counts as labels of a batch what is not `IGNORED`; the loss is divided by their number.
        """

    @abstractmethod
    def loss(self, logits: "Tensor", labels: "Tensor", *, weights: "Tensor | None", label_smoothing: float) -> "Tensor":
        """Sum the loss of a part of a batch over its labels, from fp32 logits. `weights`: [labels]; None weighs all alike."""

    def class_weights(self, train: Dataset, names: Sequence[str]) -> NDArray[np.float32]:
        """Compute what balances the labels of the tokenized train split in the loss, [labels]."""
        raise NotImplementedError(f"{type(self).__name__} has no labels to weigh")

    # From logits to scores

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Stitch the logits read off each row, [readings, labels] in row order, into one row a unit.

        Labels that the split has and the model has not, since train lacks them, come behind those of the model. Each has
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
        """Do so for the labels that the model has."""

    def unlearned_logit(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the logit, [units], whose probability beside `logits`, [units, labels], is `UNLEARNED`."""
        raise NotImplementedError(f"{type(self).__name__} has no labels")

    @abstractmethod
    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """Read the truth off a tokenized split, for scores while training."""

    @abstractmethod
    def raw_gold(self, raw: Dataset) -> Gold:
        """Read the truth off a raw split: what final scores are measured against."""

    @abstractmethod
    def labelled(self, gold: Gold) -> NDArray[np.bool_]:
        """Return whether the truth is known, [units]."""

    @abstractmethod
    def predictions(self, units: Units, gold: Gold, names: Sequence[str]) -> Predictions:
        """Put what is predicted for units that are all labelled beside what is true, as scores are computed of it."""

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """Compute the headline scores, for validation while training.

        They equal those of `stages.scoring.evaluation.scoring.score_predictions`, which tells more.
        """
        return scores_of(self.predictions(units, gold, names), self.rules.metric)

    def require_metric(self, names: Sequence[str]) -> None:
        """Raise DataError if `task.metric` can't be computed for data with these labels: before training, not behind it."""
        return  # the configuration's rules have told it, where the labels don't decide

    @abstractmethod
    def unlabelled(self, inputs: Mapping[str, pa.Array], names: Sequence[str]) -> Dataset:
        """Return inputs, such as a column of texts, as a raw split whose labels are not known."""

    # What is learned besides the weights

    def fitted_to(self, train: Dataset) -> Self:
        """Return the task with what the labels of the tokenized train split tell. Raise DataError if it can't do without."""
        return self

    def write(self, folder: Path) -> None:
        """Write what was learned beside the weights in `folder`."""
        return  # most learn nothing

    def trained(self, folder: Path) -> Self:
        """Return the task with what was learned, which stands beside the weights in `folder`."""
        return self

    def chosen_threshold(self, scores: Scores) -> float | None:
        """Return the threshold that validation scores were computed with, if it is to be kept."""
        return None

    # What people see

    @abstractmethod
    def answers(self, units: Units, gold: Gold, known: NDArray[np.bool_], names: Sequence[str]) -> Answers:
        """Return gold and predicted labels by name. `known`: as `labelled` returns it."""

    def unit_columns(self, raw: Dataset, units: Units) -> dict[str, pa.Array]:
        """Return the columns that tell which example, and which part of it, each unit is."""
        return {"id": pa.array(raw["id"][:], pa.string())}

    @abstractmethod
    def card_code(self, threshold: float | None) -> str:
        """Return the Python lines of the model card that print what `logits`, a NumPy array, say of a batch.

        `labels` names the labels by their codes, `rows` is what the tokenizer gave. `threshold`: as `Task.threshold`.
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
