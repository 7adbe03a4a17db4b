"""Rows of the training split and batches of them, which know their numbers, so that a fault can name its example."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from datasets import Dataset
from torch.utils.data import Dataset as TorchDataset

from stages.modeling.batches import PaddingCollator, Row
from stages.pipeline.arrow import rows
from stages.pipeline.errors import DataError
from stages.pipeline.paths import TOKENIZED_DATA
from stages.tasks.columns.names import EXAMPLE

ROW = "row"
"""The key of a row's number in the tokenized split."""

Batch: TypeAlias = dict[str, Any]
"""What the model takes, and the numbers of the rows and of their examples, each a list."""


class NumberedRows(TorchDataset[Row]):
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
            return [{**row, ROW: number} for row, number in zip(self._read(numbers), numbers, strict=True)]
        except Exception as error:
            raise _fault(f"row {self._first_unreadable(numbers)}", "read", error) from error

    def _read(self, numbers: Sequence[int]) -> list[Row]:
        found: list[Row] = self._split.__getitems__(list(numbers))
        return found

    def _first_unreadable(self, numbers: Sequence[int]) -> int:
        return next(number for number in numbers if not _succeeds(self._read, [number]))


class NumberedCollator:
    """Makes batches of numbered rows."""

    def __init__(self, collate: PaddingCollator) -> None:
        """`collate`: what makes the tensors."""
        self._collate = collate

    def __call__(self, batch: Sequence[Row]) -> Batch:
        """Collate rows. Raises DataError naming the example that can't be."""
        try:
            tensors = self._collate(batch)
        except Exception as error:
            odd = next((row for row in batch if not _succeeds(self._collate, [row])), batch[0])
            raise _fault(f"row {odd[ROW]} (example {odd[EXAMPLE]})", "put into a batch", error) from error
        return {**tensors, **{name: [row[name] for row in batch] for name in (ROW, EXAMPLE)}}


def _succeeds(function: Any, rows: Sequence[object]) -> bool:
    try:
        function(rows)
    except Exception:
        return False
    return True


def _fault(place: str, attempt: str, error: Exception) -> DataError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return DataError(
        f"{TOKENIZED_DATA}: train, {place} can't be {attempt} ({reason}); run `dvc repro --force tokenize`, "
        "and look at the example if that does not help"
    )
