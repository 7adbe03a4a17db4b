"""Arrays with a row an example that metrics are computed from, where several forms of predictions count examples alike."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.scoring.core.formulas import Array
from stages.scoring.core.metrics import Basis

Integers: TypeAlias = NDArray[np.int64]

Bases: TypeAlias = Mapping[Basis, Callable[..., Array | None]]
"""How each basis of a form is made of its predictions."""

BINS = 15
"""Bins of the calibration error, as in Guo et al. (2017)."""


class Units(Protocol):
    """Predictions of units with one label or tag each."""

    @property
    def gold(self) -> Integers:
        """[units]: the code of each unit's label."""

    @property
    def predicted(self) -> Integers:
        """[units]: likewise."""

    @property
    def lengths(self) -> Integers | None:
        """[examples]: units in each; None where each example is a unit."""

    @property
    def losses(self) -> Array | None:
        """[units]: the loss of each; None where it is not known."""

    @property
    def examples(self) -> int:
        """How many examples there are."""


class Counted(Protocol):
    """Predictions whose labels are counted."""

    @property
    def label_counts(self) -> Array:
        """[examples, labels, 3]: how often each label is predicted rightly, predicted, and gold."""

    @property
    def examples(self) -> int:
        """How many examples there are."""


def units_in(units: Units) -> Array:
    """Return the number of units in each example, [examples]."""
    return np.ones(units.examples) if units.lengths is None else units.lengths.astype(np.float64)


def example_of_unit(units: Units) -> Integers:
    """Return the example that each unit is of, [units]."""
    if units.lengths is None:
        return np.arange(units.examples)
    return np.repeat(np.arange(units.examples), units.lengths)


def right_units(units: Units) -> Array:
    """Count right units and all units, [examples, 2]."""
    return _sums_over_units(units, (units.gold == units.predicted).astype(np.float64))


def loss_of_units(units: Units) -> Array | None:
    """Sum losses, and count units, [examples, 2]."""
    return None if units.losses is None else _sums_over_units(units, units.losses)


def flat_counts(predictions: Counted) -> Array:
    """Return the counts of labels side by side, [examples, labels * 3]."""
    return predictions.label_counts.reshape(predictions.examples, -1)


def pooled_counts(predictions: Counted) -> Array:
    """Sum the counts over labels, [examples, 3]."""
    pooled: Array = predictions.label_counts.sum(axis=1)
    return pooled


def calibration_bins(confidence: Array) -> Integers:
    """Return the bin of each probability. A bin holds its upper edge, the first one 0 as well."""
    bins: Integers = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return bins


def basis_of(predictions: object, bases: Bases, name: Basis) -> Array | None:
    """Compute a basis once for all metrics that need it; it is kept with the predictions."""
    kept: dict[Basis, Array | None] = predictions.__dict__.setdefault("_bases", {})
    if name not in kept:
        kept[name] = bases[name](predictions) if name in bases else None
    return kept[name]


def _sums_over_units(units: Units, values: Array) -> Array:
    """Return the sum of `values`, [units], and the number of units in each example, [examples, 2]."""
    sums = np.bincount(example_of_unit(units), weights=values, minlength=units.examples)
    return np.stack([sums, units_in(units)], axis=1)
