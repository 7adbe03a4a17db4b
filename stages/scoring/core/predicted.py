"""Predictions beside their gold, in the forms that texts have; those of entities are in `stages.scoring.core.entities`.

An *example* is a text or a whole sentence; a *unit* is what is labelled: a text or a word. Each form has, for the bases of
`stages.scoring.core.metrics`, an array with a row an example; what it does not know it does not have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import SchemeChoice, ScoringMode
from stages.scoring.core.bases import (
    BINS,
    Bases,
    basis_of,
    calibration_bins,
    example_of_unit,
    flat_counts,
    loss_of_units,
    pooled_counts,
    right_units,
    units_in,
)
from stages.scoring.core.formulas import Array, tally
from stages.scoring.core.metrics import Basis, Form
from stages.tags.spans import Integers


@dataclass(frozen=True)
class ScoringRules:
    """How predictions are scored: `task.metric`, `evaluate.mode` and `evaluate.scheme`, alike for all who score them."""

    metric: str | None = None
    """The headline metric, which is shown whether or not it usually is."""
    mode: ScoringMode = "conll"
    scheme: SchemeChoice = "auto"


RULES = {"metric": "task.metric", "mode": "evaluate.mode", "scheme": "evaluate.scheme"}
"""The parameters that say how predictions are scored."""


def rules_of(params: Mapping[str, object]) -> ScoringRules:
    """Return how a run is scored, from its parameters by their dotted keys; as usual where they are not known."""
    known = {name: params[key] for name, key in RULES.items() if isinstance(params.get(key), str)}
    return replace(ScoringRules(), **known)  # type: ignore[arg-type]


class Predictions(Protocol):
    """What a system predicted for the examples of a split, beside what is true."""

    @property
    def form(self) -> Form:
        """What is predicted."""

    @property
    def examples(self) -> int:
        """How many examples there are."""

    @property
    def labels(self) -> Sequence[str]:
        """The labels or entity types that are counted, in the order of `label_counts`; empty where there are none."""

    @property
    def errors(self) -> Array:
        """[examples]: how much of each is wrong: labels, tags, entities missed and spurious, or the absolute error."""

    @property
    def is_independent(self) -> bool:
        """Whether each example is a single unit, so that its accuracy is a share of independent examples."""

    def basis(self, name: Basis) -> Array | None:
        """Return what metrics are computed from, [examples, k]; None where it is not known."""


@dataclass(frozen=True)
class LabelPredictions:
    """One label a unit: texts, or words with plain tags such as parts of speech."""

    gold: Integers
    """[units]: indices in `names`."""
    predicted: Integers
    """[units]."""
    names: Sequence[str]
    lengths: Integers | None = None
    """[examples]: units in each, one example after the other; None where each example is a unit."""
    losses: Array | None = None
    """[units]: the negative log-probability of the gold label, in nats."""
    probabilities: Array | None = None
    """[units, labels]."""
    confidence: Array | None = None
    """[units]: the probability of the predicted label."""
    form: ClassVar[Form] = "label"

    @property
    def examples(self) -> int:
        """How many texts or sentences there are."""
        return len(self.gold) if self.lengths is None else len(self.lengths)

    @property
    def labels(self) -> Sequence[str]:
        """All labels."""
        return self.names

    @property
    def errors(self) -> Array:
        """[examples]: how many labels are wrong."""
        return np.diff(right_units(self), axis=1)[:, 0]

    @property
    def is_independent(self) -> bool:
        """Whether each example is one unit."""
        return self.lengths is None

    @cached_property
    def label_counts(self) -> Array:
        """[examples, labels, 3]: how often each label is predicted rightly, predicted, and gold."""
        right, example = self.gold == self.predicted, example_of_unit(self)
        occurrences = (example[right], self.gold[right]), (example, self.predicted), (example, self.gold)
        counts = np.empty((self.examples, len(self.names), 3))
        for place, (examples, codes) in enumerate(occurrences):
            counts[..., place] = tally(examples, codes, self.examples, len(self.names))
        return counts

    def basis(self, name: Basis) -> Array | None:
        """Return what metrics are computed from."""
        return basis_of(self, _LABEL_BASES, name)


@dataclass(frozen=True)
class LabelSetPredictions:
    """Any number of labels a text."""

    gold: NDArray[np.bool_]
    """[texts, labels]: which labels each text has."""
    predicted: NDArray[np.bool_]
    """[texts, labels]."""
    names: Sequence[str]
    losses: Array | None = None
    """[texts]: the mean binary cross-entropy over labels, in nats."""
    probabilities: Array | None = None
    """[texts, labels]."""
    threshold: float | None = None
    """The probability from which on a text is said to have a label, where it is known."""
    form: ClassVar[Form] = "labels"
    is_independent: ClassVar[bool] = True

    @property
    def examples(self) -> int:
        """How many texts there are."""
        return len(self.gold)

    @property
    def labels(self) -> Sequence[str]:
        """All labels."""
        return self.names

    @property
    def errors(self) -> Array:
        """[texts]: how many labels are missed or spurious."""
        wrong: Array = (self.gold != self.predicted).sum(axis=1).astype(np.float64)
        return wrong

    @cached_property
    def label_counts(self) -> Array:
        """[texts, labels, 3]: whether each label is predicted rightly, predicted, and gold."""
        return np.stack([self.predicted & self.gold, self.predicted, self.gold], axis=-1).astype(np.float64)

    def basis(self, name: Basis) -> Array | None:
        """Return what metrics are computed from."""
        return basis_of(self, _LABEL_SET_BASES, name)


class Scale(NamedTuple):
    """The middle and the range of numbers."""

    middle: float
    spread: float

    @classmethod
    def of(cls, values: Array) -> "Scale":
        """Take the median, so that most numbers come to lie near 0, where floats are dense, even if one is far off."""
        return cls(float(np.median(values)), float(np.ptp(values)) or 1.0)

    def __call__(self, values: Array) -> Array:
        """Scale to a range of 1 around 0, so that no square overflows and none cancels."""
        scaled: Array = (values - self.middle) / self.spread
        return scaled


@dataclass(frozen=True)
class NumberPredictions:
    """A number a text."""

    gold: Array
    """[texts]."""
    predicted: Array
    """[texts]."""
    scale: Scale | None = None
    """How predicted numbers are scaled before they are summed. Runs whose numbers are exchanged share it (`on_one_scale`)."""
    form: ClassVar[Form] = "number"
    labels: ClassVar[Sequence[str]] = ()
    is_independent: ClassVar[bool] = False

    @property
    def examples(self) -> int:
        """How many texts there are."""
        return len(self.gold)

    @property
    def errors(self) -> Array:
        """[texts]: the absolute error."""
        return np.abs(self.predicted - self.gold)

    def basis(self, name: Basis) -> Array | None:
        """Return what metrics are computed from."""
        return basis_of(self, _NUMBER_BASES, name)


def on_one_scale(runs: Sequence[Predictions]) -> list[Predictions]:
    """Let the numbers of several runs be summed on one scale: without it, a number can't stand in another run's place."""
    numbers = [run.predicted for run in runs if isinstance(run, NumberPredictions)]
    scale = Scale.of(np.concatenate(numbers)) if numbers else None
    return [replace(run, scale=scale) if isinstance(run, NumberPredictions) else run for run in runs]


def _all_right(texts: LabelSetPredictions) -> Array:
    """Return whether all labels of each text are right, and 1, [texts, 2]."""
    right = (texts.predicted == texts.gold).all(axis=1)
    return np.stack([right, np.ones_like(right)], axis=1).astype(np.float64)


def _loss_of_texts(texts: LabelSetPredictions) -> Array | None:
    return None if texts.losses is None else np.stack([texts.losses, np.ones(texts.examples)], axis=1)


def _ranked(predictions: LabelPredictions) -> Array | None:
    """Return the probability of each label, and whether it is gold, [texts, labels * 2]; of two labels only the second."""
    if predictions.probabilities is None or predictions.lengths is not None or len(predictions.names) < 2:
        return None
    is_gold = predictions.gold[:, None] == np.arange(len(predictions.names))
    shown = slice(1, None) if len(predictions.names) == 2 else slice(None)
    return np.concatenate([predictions.probabilities[:, shown], is_gold[:, shown]], axis=1).astype(np.float64)


def _ranked_sets(texts: LabelSetPredictions) -> Array | None:
    """Return the probability of each label, and whether it is gold, [texts, labels * 2]."""
    if texts.probabilities is None:
        return None
    return np.concatenate([texts.probabilities, texts.gold], axis=1).astype(np.float64)


def _calibration(units: LabelPredictions) -> Array | None:
    """Return confidence minus right predictions for each bin, and the number of units, [examples, bins + 1]."""
    if units.confidence is None:
        return None
    gaps = np.bincount(
        example_of_unit(units) * BINS + calibration_bins(units.confidence),
        weights=units.confidence - (units.gold == units.predicted),
        minlength=units.examples * BINS,
    )
    return np.concatenate([gaps.reshape(units.examples, BINS), units_in(units)[:, None]], axis=1)


def _errors_of_numbers(texts: NumberPredictions) -> Array:
    """Return the squared and the absolute error, and 1, [texts, 3]."""
    errors = texts.predicted - texts.gold
    return np.stack([np.square(errors), np.abs(errors), np.ones(texts.examples)], axis=1)


def _moments(texts: NumberPredictions) -> Array:
    """Return 1, x, y, x², y² and xy, [texts, 6], of the scaled predicted (x) and gold (y) numbers."""
    x, y = (texts.scale or Scale.of(texts.predicted))(texts.predicted), Scale.of(texts.gold)(texts.gold)
    return np.stack([np.ones(texts.examples), x, y, x * x, y * y, x * y], axis=1)


def _numbers(texts: NumberPredictions) -> Array:
    """Return predicted and gold numbers, [texts, 2]."""
    return np.stack([texts.predicted, texts.gold], axis=1)


_LABEL_BASES: Bases = {
    "right": right_units,
    "loss": loss_of_units,
    "label_counts": flat_counts,
    "pooled_counts": pooled_counts,
    "probabilities": _ranked,
    "calibration": _calibration,
}
_LABEL_SET_BASES: Bases = {
    "right": _all_right,
    "loss": _loss_of_texts,
    "label_counts": flat_counts,
    "pooled_counts": pooled_counts,
    "probabilities": _ranked_sets,
}
_NUMBER_BASES: Bases = {"errors": _errors_of_numbers, "moments": _moments, "numbers": _numbers}
