"""The training loss: cross-entropy over labels that count."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from transformers.utils.generic import ModelOutput

from stages.tasks.base import IGNORED, LABELS, WORDS
from stages.tasks.columns import flat, integers

Loss: TypeAlias = Callable[[ModelOutput, torch.Tensor, torch.Tensor | None], torch.Tensor]


def loss_function(label_smoothing: float, weights: torch.Tensor | None) -> Loss:
    """Cross-entropy in fp32, averaged over the whole batch's labels, however many parts the batch is computed in.

    `weights`: [labels], how much each label weighs; None weighs all alike. The denominator stays the number of
    labels, so that weights shift emphasis and not, from batch to batch, the step size.
    """

    def loss(
        outputs: ModelOutput, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        logits = outputs["logits"].float()
        total = cross_entropy(
            logits.flatten(0, -2),
            labels.flatten(),
            weight=None if weights is None else weights.to(logits.device),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        items = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return total / items

    return loss


def balanced_weights(train: Dataset, names: Sequence[str]) -> torch.Tensor:
    """Weights by inverse frequency, [labels]: n / (labels x count), as scikit-learn's `balanced`. An absent label gets 0."""
    is_list = WORDS in train.column_names
    labels = flat(train, LABELS) if is_list else integers(train, LABELS)
    counts = np.bincount(labels[labels != IGNORED], minlength=len(names))
    present = counts > 0
    weights = np.zeros(len(names))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return torch.tensor(weights, dtype=torch.float32)
