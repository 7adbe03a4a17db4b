"""The predictions file: which text or word each row is, what is gold, what is predicted, and how sure the model is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.schema import CANONICAL_COLUMNS
from stages.scoring.final.predictions import (
    GOLD,
    LOSS,
    LOSS_DECIMALS,
    PREDICTED,
    PROBABILITIES,
    SCORE,
    TOKEN,
    Description,
    described,
    probability_structs,
)
from stages.scoring.headline.multilabel import DEFAULT_THRESHOLD
from stages.tasks.columns.arrays import flat_strings
from stages.tasks.columns.names import TOKENS
from stages.tasks.decoding.base import Gold, Units
from stages.tasks.decoding.labels import cross_entropies, sigmoid
from stages.tasks.decoding.number import predicted_numbers

Columns = Mapping[str, pa.Array]


@dataclass(frozen=True)
class Predicted:
    """What a model gives for the units of a raw split, beside what is true of them."""

    units: Units
    gold: Gold
    known: NDArray[np.bool_]
    """[units]: whether the gold is known; it is null in the file where not."""
    threshold: float | None = None
    """Where texts have several labels: the probability from which on a text has one."""


def predictions(raw: Dataset, predicted: Predicted, description: Description) -> pa.Table:
    """One row a unit: `id` (and `word`, `token`), `gold`, `predicted`, and what else is known of it and its example.

    Its schema says what it holds, so that `stages.scoring.final.scoring.score_predictions` needs nothing else.
    """
    columns = _words(raw, predicted) if description.kind == "tokens" else {"id": pa.array(raw["id"][:], pa.string())}
    of_target = {"label": _label, "labels": _labels, "number": _number}[description.target]
    columns = {**columns, **of_target(predicted, description.names)}
    if description.kind == "text" and description.target == "label":
        columns[PROBABILITIES] = probability_structs(np.exp(predicted.units.log_probabilities), description.names)
    return described(pa.table({**columns, **_kept(raw, predicted)}), description)


def _words(raw: Dataset, predicted: Predicted) -> dict[str, pa.Array]:
    ids = np.array(raw["id"][:], dtype=object)
    return {
        "id": pa.array(ids[predicted.gold.example], pa.string()),
        "word": pa.array(predicted.units.word, pa.int32()),
        TOKEN: flat_strings(raw, TOKENS),
    }


def _kept(raw: Dataset, predicted: Predicted) -> dict[str, pa.Array]:
    """Of each unit's example, the columns of the data that have no meaning of their own."""
    example = pa.array(predicted.units.example)
    kept = [name for name in raw.column_names if name not in CANONICAL_COLUMNS]
    return {name: pa.array(raw[name][:], pa.string()).dictionary_encode().take(example) for name in kept}


def _label(predicted: Predicted, names: Sequence[str]) -> Columns:
    """The names of the labels; `score` is the probability of the predicted one."""
    units, gold, labels = predicted.units, predicted.gold.label, np.array(names, dtype=object)
    return {
        GOLD: pa.array(labels[gold], pa.string(), mask=~predicted.known),
        PREDICTED: pa.array(labels[units.predicted], pa.string()),
        SCORE: pa.array(units.score.round(6), pa.float64()),
        LOSS: pa.array(units.losses(gold).round(LOSS_DECIMALS), pa.float64(), mask=~predicted.known),
    }


def _labels(predicted: Predicted, names: Sequence[str]) -> Columns:
    """Lists of names in the order of the labels; `score` is a struct of every label's probability."""
    units, gold, probabilities = predicted.units, predicted.gold.label, sigmoid(predicted.units)
    threshold = DEFAULT_THRESHOLD if predicted.threshold is None else predicted.threshold
    return {
        GOLD: _named(gold == 1, names, known=predicted.known),
        PREDICTED: _named(probabilities >= threshold, names, known=np.ones(len(gold), bool)),
        SCORE: probability_structs(probabilities, names),
        LOSS: pa.array(cross_entropies(units, gold).round(LOSS_DECIMALS), pa.float64(), mask=~predicted.known),
    }


def _number(predicted: Predicted, names: Sequence[str]) -> Columns:
    """The numbers as they are, for their unit is not ours to know; a model gives no probability of them."""
    return {
        GOLD: pa.array(predicted.gold.label, pa.float64(), mask=~predicted.known),
        PREDICTED: pa.array(predicted_numbers(predicted.units), pa.float64()),
    }


def _named(has: NDArray[np.bool_], names: Sequence[str], *, known: NDArray[np.bool_]) -> pa.Array:
    """A list of names for each row of `has`, [texts, labels]; null where `known`, [texts], is False."""
    _, code = np.nonzero(has)
    offsets = np.concatenate([[0], np.cumsum(has.sum(axis=1))])
    labels = pa.array(np.array(names, dtype=object)[code], pa.string())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), labels, mask=pa.array(~known))
