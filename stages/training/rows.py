"""Rows of the training split and batches of them, which know their examples, so that a fault can name its example."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from datasets import Dataset
from torch.utils.data import Dataset as TorchDataset

from stages.modeling.batches import PaddingCollator, Row
from stages.modeling.row_faults import collated, first_failing, unreadable
from stages.pipeline.arrow import rows
from stages.tasks.columns.names import EXAMPLE

_TRAIN = "train"

Batch: TypeAlias = dict[str, Any]
"""What the model takes, and the numbers of the rows' examples, a list."""


class TrainingRows(TorchDataset[Row]):
    """The rows of a tokenized split, with some of its columns."""

    def __init__(self, split: Dataset, columns: Sequence[str]) -> None:
        """`columns`: those that batches are made of."""
        self._split = split.select_columns([*columns, EXAMPLE])

    def __len__(self) -> int:
        return rows(self._split)

    def __getitem__(self, number: int) -> Row:
        """One row. Raises DataError naming it if it can't be read."""
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Row]:
        """Several rows at once, as PyTorch's loader asks for them. Raises DataError naming the one that can't be read."""
        try:
            return self._read(numbers)
        except Exception as error:
            raise unreadable(_TRAIN, first_failing(self._read, numbers), error) from error

    def _read(self, numbers: Sequence[int]) -> list[Row]:
        found: list[Row] = self._split.__getitems__(list(numbers))
        return found


class TrainingCollator:
    """Makes batches of training rows."""

    def __init__(self, collate: PaddingCollator) -> None:
        """`collate`: what makes the tensors."""
        self._collate = collate

    def __call__(self, batch: Sequence[Row]) -> Batch:
        """Collate rows. Raises DataError naming the example that can't be."""
        return {**collated(batch, self._collate, _TRAIN), EXAMPLE: [row[EXAMPLE] for row in batch]}
