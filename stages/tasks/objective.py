"""The part of tasks that needs PyTorch: labels as tensors, and losses summed over a batch.

Tasks import this module only in the methods that compute with it. Importing PyTorch takes seconds, which a command that runs
no model is spared.
"""

from collections.abc import Sequence

import numpy as np
import torch

from stages.columns.names import IGNORED


def codes(rows: Sequence[object]) -> torch.Tensor:
    """Return label codes as int64: [rows], or [rows, length] padded with `IGNORED` if each row is a list."""
    tensors = [torch.as_tensor(row, dtype=torch.long) for row in rows]
    if tensors[0].dim() == 0:
        return torch.stack(tensors)
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=IGNORED)


def label_sets(rows: Sequence[object], labels: int) -> torch.Tensor:
    """Return [rows, labels], float32: 1 for the codes in each row's list, 0 elsewhere."""
    lists = [np.asarray(row, np.int64) for row in rows]
    tensor = torch.zeros(len(lists), labels)
    tensor[np.repeat(np.arange(len(lists)), [len(row) for row in lists]), np.concatenate(lists)] = 1.0
    return tensor


def numbers(rows: Sequence[object]) -> torch.Tensor:
    """Return [rows], float32.

    A number that equals `IGNORED` is replaced by its neighbour in float32, so that it counts.
    """
    tensor = torch.as_tensor(np.asarray(rows, np.float32))
    is_mistaken = tensor == IGNORED
    return torch.where(is_mistaken, torch.nextafter(tensor, torch.zeros(())), tensor)


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None, label_smoothing: float
) -> torch.Tensor:
    """Sum the cross-entropy of [..., labels] logits over the codes [...] that are not `IGNORED`."""
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, -2),
        labels.flatten(),
        weight=weights,
        ignore_index=IGNORED,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


def binary_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Sum the binary cross-entropy over rows and labels, [rows, labels] both."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights, reduction="sum")


def squared_error(logits: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Sum the squared errors of logits [rows, 1]."""
    return torch.nn.functional.mse_loss(logits.squeeze(-1), numbers, reduction="sum")
