"""Tokenized splits and predictions files made by hand, with the columns that the stages write."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, List

from stages.configuration.schema import Kind, Target
from stages.scoring.final.predictions import Description
from stages.tasks.columns.names import label_names
from stages.tasks.decoding.base import Units
from stages.tasks.decoding.dispatch import decoding_for
from stages.tasks.encoding.dispatch import encoding_for
from stages.tasks.predictions import Predicted, predictions


def tokenized_features(kind: Kind, names: Sequence[str], target: Target = "label") -> Features:
    """The columns of a tokenized split of these labels."""
    label = ClassLabel(names=list(names))
    raw = {"tags": List(label)} if kind == "tokens" else {"label": List(label) if target == "labels" else label}
    return encoding_for(kind).features(Features(raw))


def tokenized_rows(kind: Kind, names: Sequence[str], columns: dict[str, Any], target: Target = "label") -> Dataset:
    """A tokenized split."""
    return Dataset(pa.table(columns, schema=tokenized_features(kind, names, target).arrow_schema))


def predictions_of(raw: Dataset, units: Units, target: Target = "label", threshold: float | None = None) -> pa.Table:
    """The predictions file of units of a raw split."""
    kind: Kind = "tokens" if "tokens" in raw.column_names else "text"
    decoding = decoding_for(kind, target)
    gold = decoding.raw_gold(raw)
    predicted = Predicted(units, gold, decoding.labelled(gold), threshold)
    return predictions(raw, predicted, Description(kind, target, label_names(raw.features)))
