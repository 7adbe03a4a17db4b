"""The labels of a batch's rows as the loss takes them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
import torch

from stages.configuration.schema import Target
from stages.tasks.columns.names import IGNORED

LabelTensor: TypeAlias = Callable[[Sequence[object]], torch.Tensor]


def label_tensor(target: Target, labels: int) -> LabelTensor:
    """What turns the label column of rows into a tensor, for a model with so many `labels`."""
    if target == "labels":
        return partial(multi_hot, labels=labels)
    return numbers if target == "number" else codes


def codes(rows: Sequence[object]) -> torch.Tensor:
    """Codes: [rows], or [rows, longest] where each row has a list, padded with `IGNORED`."""
    tensors = [torch.as_tensor(row, dtype=torch.long) for row in rows]
    if tensors[0].dim() == 0:
        return torch.stack(tensors)
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=IGNORED)


def multi_hot(rows: Sequence[object], labels: int) -> torch.Tensor:
    """[rows, labels], float32: 1 for the codes in each row's list, 0 elsewhere."""
    lists = [np.asarray(row, np.int64) for row in rows]
    tensor = torch.zeros(len(lists), labels)
    tensor[np.repeat(np.arange(len(lists)), [len(row) for row in lists]), np.concatenate(lists)] = 1.0
    return tensor


def numbers(rows: Sequence[object]) -> torch.Tensor:
    """[rows], float32.

    The Trainer counts a batch's labels as those that are not `IGNORED`. A number that happens to be that one is
    replaced by its neighbour in float32, so that it counts.
    """
    tensor = torch.as_tensor(np.asarray(rows, np.float32))
    is_mistaken = tensor == IGNORED
    return torch.where(is_mistaken, torch.nextafter(tensor, torch.zeros(())), tensor)
