"""The training loss, in fp32, averaged over the whole batch's labels, however many parts the batch is computed in."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from datasets import Dataset
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from transformers.utils.generic import ModelOutput

from stages.configuration.schema import Target
from stages.tasks.columns.arrays import flat, integers
from stages.tasks.columns.names import IGNORED, LABELS, WORDS
from stages.tasks.decoding.labels import LabelsTarget

Loss: TypeAlias = Callable[[ModelOutput, torch.Tensor, torch.Tensor | None], torch.Tensor]
Sum: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The loss of a part of a batch, summed over labels, from fp32 logits and labels."""


def loss_function(label_smoothing: float, weights: torch.Tensor | None, target: Target = "label") -> Loss:
    """One label: cross-entropy. Labels: binary cross-entropy, over rows and labels. Numbers: the squared error.

    `weights`: [labels], as `class_weights` gives them; None weighs all alike. The denominator stays the number of
    labels, so that weights shift emphasis and not, from batch to batch, the step size.
    """
    total = _sum(label_smoothing, weights, target)

    def loss(
        outputs: ModelOutput, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        items = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return total(outputs["logits"].float(), labels) / items

    return loss


def _sum(label_smoothing: float, weights: torch.Tensor | None, target: Target) -> Sum:
    def of_one_label(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return cross_entropy(
            logits.flatten(0, -2),
            labels.flatten(),
            weight=None if weights is None else weights.to(logits.device),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=label_smoothing,
        )

    def of_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        positive = None if weights is None else weights.to(logits.device)
        return binary_cross_entropy_with_logits(logits, labels, pos_weight=positive, reduction="sum")

    def of_numbers(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return mse_loss(logits.squeeze(-1), labels, reduction="sum")

    return {"label": of_one_label, "labels": of_labels, "number": of_numbers}[target]


def class_weights(train: Dataset, names: Sequence[str], target: Target) -> torch.Tensor:
    """What balances the labels of `train` in the loss, [labels]."""
    return positive_weights(train) if target == "labels" else balanced_weights(train, names)


def positive_weights(train: Dataset) -> torch.Tensor:
    """How much more having each label weighs than not having it, [labels]: texts without / texts with it.

    A label that all texts or none have gets 1.
    """
    having = LabelsTarget().gold(train, LABELS).sum(axis=0)
    lacking = train.num_rows - having
    weights = np.where((having > 0) & (lacking > 0), lacking / np.maximum(having, 1), 1.0)
    return torch.tensor(weights, dtype=torch.float32)


def balanced_weights(train: Dataset, names: Sequence[str]) -> torch.Tensor:
    """Weights by inverse frequency, [labels]: n / (labels x count), as scikit-learn's `balanced`. An absent label gets 0."""
    is_list = WORDS in train.column_names
    labels = flat(train, LABELS) if is_list else integers(train, LABELS)
    counts = np.bincount(labels[labels != IGNORED], minlength=len(names))
    present = counts > 0
    weights = np.zeros(len(names))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return torch.tensor(weights, dtype=torch.float32)
