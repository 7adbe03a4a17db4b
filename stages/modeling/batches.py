"""Rows of different lengths to tensors, padded to the longest of the batch and no further."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch

from stages.modeling.label_tensors import LabelTensor, codes
from stages.tasks.columns.names import INPUT_IDS, LABELS, TOKEN_TYPES

Row: TypeAlias = Mapping[str, object]
Batch: TypeAlias = dict[str, torch.Tensor]


class PaddingCollator:
    """Makes `input_ids`, `attention_mask` and, where rows have them, `token_type_ids`: [rows, longest]; and `labels`."""

    def __init__(self, pad_id: int, labels: LabelTensor = codes) -> None:
        """`pad_id`: the code of the padding sub-word. `labels`: what turns the rows' labels into a tensor."""
        self._pad_id = pad_id
        self._labels = labels

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Collate rows of a tokenized split."""
        ids = [_integers(row[INPUT_IDS]) for row in rows]
        batch = {
            INPUT_IDS: _padded(ids, self._pad_id),
            "attention_mask": _padded([torch.ones_like(row) for row in ids], 0),
        }
        if TOKEN_TYPES in rows[0]:
            batch[TOKEN_TYPES] = _padded([_integers(row[TOKEN_TYPES]) for row in rows], 0)
        if LABELS in rows[0]:
            batch[LABELS] = self._labels([row[LABELS] for row in rows])
        return batch


def _integers(values: object) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.long)


def _padded(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
