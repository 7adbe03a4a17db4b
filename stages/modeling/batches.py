"""Batches of the rows of a tokenized split: what a model takes of them, padding, and the faults of single rows."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.columns.names import EXAMPLE, INPUT_IDS, LABELS, TOKEN_TYPES
from stages.pipeline.errors import DataError, ModelError
from stages.pipeline.json_files import read_json
from stages.pipeline.paths import TOKENIZED_DATA
from stages.tasks.task import code_tensor

Row: TypeAlias = Mapping[str, object]
Batch: TypeAlias = dict[str, torch.Tensor]
LabelTensor: TypeAlias = Callable[[Sequence[object]], torch.Tensor]
"""What turns the label column of rows into a tensor."""
Item = TypeVar("Item")


def input_columns(model: PreTrainedModel, split: Dataset) -> list[str]:
    """Return the columns that the model takes: sub-words and, where the split has them and the model uses them, token types."""
    has_types = TOKEN_TYPES in split.column_names and takes_token_types(model)
    return [INPUT_IDS, TOKEN_TYPES] if has_types else [INPUT_IDS]


def takes_token_types(model: PreTrainedModel) -> bool:
    """Return whether the model tells token types apart: DistilBERT has none, and RoBERTa's weights know one, 0."""
    is_taken = TOKEN_TYPES in inspect.signature(model.forward).parameters
    return is_taken and getattr(model.config, "type_vocab_size", 2) > 1


def padding_id(folder: Path) -> int:
    """Return the code of the padding sub-word in a tokenizer folder. Raise ModelError if it has none."""
    token = read_json(folder / "tokenizer_config.json").get("pad_token")
    for added in read_json(folder / "tokenizer.json")["added_tokens"]:
        if added["content"] == token:
            return int(added["id"])
    raise ModelError(f"{folder}: the tokenizer has no padding token; choose a model whose tokenizer has one")


class PaddingCollator:
    """Collate rows into tensors, padded to the longest row of the batch.

    A batch has `input_ids`, `attention_mask` and, where rows have them, `token_type_ids`, all [rows, length], and `labels`.
    """

    def __init__(self, pad_id: int, labels: LabelTensor = code_tensor) -> None:
        """`pad_id`: the code of the padding sub-word. `labels`: what turns the labels of rows into a tensor."""
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


def batches_by_length(lengths: NDArray[np.int64], size: int, max_subwords: int | None) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of the rows of each batch, the longest rows first, so that too large a batch fails at once.

    A batch has as many sub-words, with padding, as `size` of the longest rows: of short rows it takes more. A batch of several
    rows has at most `max_subwords`, if that is given.
    """
    order = np.argsort(-lengths, kind="stable")
    most = size * int(lengths.max(initial=1))
    most = most if max_subwords is None else min(most, max_subwords)
    start = 0
    while start < len(order):
        end = start + max(1, most // max(1, int(lengths[order[start]])))
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
    """Return the error for row number `row` of the split, which can't be read."""
    return _row_error(split, f"row {row}", "read", error)


def first_failing(function: Callable[[Sequence[Item]], object], items: Sequence[Item]) -> Item:
    """Return the first item for which the function fails when called with it alone; the first item if there is none."""
    for item in items:
        try:
            function([item])
        except Exception:
            return item
    return items[0]


def _row_error(split: str, place: str, attempt: str, error: Exception) -> DataError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return DataError(
        f"{TOKENIZED_DATA}: {split}, {place} can't be {attempt} ({reason}); run `dvc repro --force tokenize`, "
        "and look at the example if that does not help"
    )
