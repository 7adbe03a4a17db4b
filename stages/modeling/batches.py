"""Batches of the rows of a tokenized split: padding, and the faults of single rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from stages.columns.names import EXAMPLE, IGNORED, INPUT_IDS, LABELS, TOKEN_TYPES
from stages.modeling.batch_format import BatchFormat
from stages.pipeline.errors import DataError
from stages.pipeline.paths import TOKENIZED_DATA
from stages.tasks.objective import codes

Row: TypeAlias = Mapping[str, object]
Batch: TypeAlias = dict[str, torch.Tensor]
LabelTensor: TypeAlias = Callable[[Sequence[object]], torch.Tensor]
"""Turns the label column of rows into a tensor. Integers of shape [rows, length] are labels of sub-words."""
Item = TypeVar("Item")

MASK = "attention_mask"


def padded(format: BatchFormat, rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    """Pad rows of integers to one length, as the format says: [rows, length]."""
    longest = max(map(len, rows))
    wanted = max(longest, format.shortest)
    missing = wanted + -wanted % format.length_multiple - longest
    both = (missing, 0) if format.padding_side == "left" else (0, missing)
    together = torch.nn.utils.rnn.pad_sequence(
        list(rows), batch_first=True, padding_value=value, padding_side=format.padding_side
    )
    return torch.nn.functional.pad(together, both, value=value) if missing else together


class PaddingCollator:
    """Collate rows into tensors, padded to the longest row of the batch.

    A batch has `input_ids`, `attention_mask` and, where rows have them, `token_type_ids`, all [rows, length], and `labels`.
    """

    def __init__(self, format: BatchFormat, labels: LabelTensor = codes) -> None:
        """`labels`: what turns the labels of rows into a tensor."""
        self.format = format
        self._labels = labels

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Collate rows of a tokenized split."""
        ids = [_integers(row[INPUT_IDS]) for row in rows]
        pad = partial(padded, self.format)
        batch = {INPUT_IDS: pad(ids, self.format.padding_id), MASK: pad([torch.ones_like(row) for row in ids], 0)}
        if TOKEN_TYPES in rows[0]:
            batch[TOKEN_TYPES] = pad([_integers(row[TOKEN_TYPES]) for row in rows], 0)
        if LABELS in rows[0]:
            batch[LABELS] = self._placed(self._labels([row[LABELS] for row in rows]), ids)
        return batch

    def _placed(self, labels: torch.Tensor, ids: Sequence[torch.Tensor]) -> torch.Tensor:
        """Put labels of sub-words, which are padded on the right, where the sub-words stand."""
        if labels.dim() != 2 or labels.is_floating_point():
            return labels
        rows = [row[: len(of_row)] for row, of_row in zip(labels, ids, strict=True)]
        return padded(self.format, rows, IGNORED)


def _integers(values: object) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.long)


def batches_by_length(
    lengths: NDArray[np.int64], size: int, max_subwords: int | None, *, equal: bool = False
) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of the rows of each batch, the longest rows first, so that too large a batch fails at once.

    A batch has as many sub-words, with padding, as `size` of the longest rows: of short rows it takes more. A batch of several
    rows has at most `max_subwords`, if that is given. `equal`: all its rows have one length.
    """
    order = np.argsort(-lengths, kind="stable")
    most = size * int(lengths.max(initial=1))
    most = most if max_subwords is None else min(most, max_subwords)
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        end = start + max(1, most // max(1, longest))
        if equal:
            end = min(end, int(np.searchsorted(-lengths[order], -longest, side="right")))
        yield order[start:end]
        start = end


def collated(rows: Sequence[Row], collate: PaddingCollator, split: str) -> Batch:
    """Collate rows of the split. Raise DataError with the example of the first row that can't be collated."""
    try:
        return collate(rows)
    except Exception as error:
        example = first_failing(collate, rows)[EXAMPLE]
        raise _row_error(split, f"example {example}", "put into a batch", error) from error


def unreadable(split: str, row: int, error: Exception) -> DataError:
    """Return the error for row number `row` of the split, counted from 0, which can't be read."""
    return _row_error(split, f"row {row}", "read", error)


def first_failing(function: Callable[[Sequence[Item]], object], items: Sequence[Item]) -> Item:
    """Return the first item for which the function fails when called with it alone; the first item if there is none."""
    for item in items:
        try:
            function([item])
        except Exception:
            return item
    return items[0]


@contextmanager
def eos_errors(split: str, examples: Callable[[], Sequence[object]]) -> Iterator[None]:
    """Turn the error of a head that reads the last `<eos>` of each text (BART, T5) into DataError.

    Such a head refuses batches whose texts have different numbers of it. `examples`: returns the examples of the batch.
    """
    try:
        yield
    except ValueError as error:
        if "<eos>" not in str(error):
            raise
        told = ", ".join(map(str, examples()))
        raise DataError(
            f"{split}, one of the examples {told}: its text contains the sub-word that marks the end of a text for the "
            "model's head; remove it"
        ) from error


def _row_error(split: str, place: str, attempt: str, error: Exception) -> DataError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return DataError(
        f"{TOKENIZED_DATA}: {split}, {place} can't be {attempt} ({reason}); run `dvc repro --force tokenize`, "
        "and look at the example if that does not help"
    )
