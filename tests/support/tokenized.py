"""Tokenized splits and predictions files made by hand, with the columns that the stages write."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, List

from stages.columns.names import label_names
from stages.configuration.schema import Decode, Kind, Pooling, SchemeChoice, Target, TaskConfig
from stages.tasks.encoding.encodings import encoding_for
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.predictions_table import Predicted, predictions
from stages.tasks.registry import task_for
from stages.tasks.task import Task, Units


def task_of(
    kind: Kind = "text",
    target: Target = "label",
    pooling: Pooling = "mean",
    threshold: float | None = None,
    decode: Decode = "argmax",
    scheme: SchemeChoice = "auto",
) -> Task:
    """The task of this kind and target."""
    return replace(task_for(TaskConfig(kind, target, "loss", pooling, decode), scheme=scheme), threshold=threshold)


def tokenized_features(kind: Kind, names: Sequence[str], target: Target = "label") -> Features:
    """The columns of a tokenized split of these labels."""
    label = ClassLabel(names=list(names))
    raw = {"tags": List(label)} if kind == "tokens" else {"label": List(label) if target == "labels" else label}
    encoder = cast(SubwordEncoder, SimpleNamespace(template=SimpleNamespace(has_types=False)))
    return encoding_for(kind).features(Features(raw), encoder)


def tokenized_rows(kind: Kind, names: Sequence[str], columns: dict[str, Any], target: Target = "label") -> Dataset:
    """A tokenized split."""
    return Dataset(pa.table(columns, schema=tokenized_features(kind, names, target).arrow_schema))


def predictions_of(raw: Dataset, units: Units, target: Target = "label", threshold: float | None = None) -> pa.Table:
    """The predictions file of units of a raw split."""
    task = task_of("tokens" if "tokens" in raw.column_names else "text", target, threshold=threshold)
    gold = task.raw_gold(raw)
    return predictions(raw, task, Predicted(units, gold, task.labelled(gold)), label_names(raw.features))
