"""The training loss, in fp32: the mean over the labels of the whole batch, however many parts the batch is computed in."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils.generic import ModelOutput

from stages.columns.names import IGNORED
from stages.tasks.task import Task

Loss: TypeAlias = Callable[[ModelOutput, torch.Tensor, torch.Tensor | None], torch.Tensor]


def loss_function(task: Task, label_smoothing: float, weights: NDArray[np.float32] | None) -> Loss:
    """Return the task's loss as the Trainer takes it.

    `weights`: [labels], as `Task.class_weights` gives them; None weighs all alike. The denominator stays the number of
    labels, so that weights shift emphasis and not, from batch to batch, the step size.
    """
    balancing = None if weights is None else torch.from_numpy(weights)

    def loss(
        outputs: ModelOutput, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        items = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        logits = outputs["logits"].float()
        moved = None if balancing is None else balancing.to(logits.device)
        return task.loss(logits, labels, weights=moved, label_smoothing=label_smoothing) / items

    return loss
