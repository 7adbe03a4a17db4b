"""Logits of a tokenized split: the one loop that validation while training and the evaluate stage share."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.modeling.batches import PaddingCollator, Row
from stages.modeling.inputs import input_columns
from stages.modeling.precision import Precision
from stages.tasks.columns.arrays import flat, lengths, ranges
from stages.tasks.columns.names import INPUT_IDS, WORDS


def predict(
    model: PreTrainedModel, split: Dataset, collate: PaddingCollator, *, batch_size: int, precision: Precision
) -> NDArray[np.float32]:
    """The logits read off each row, [readings, labels] in row order: one a row (text), or one a word that begins there (tokens).

    Rows of like length share a batch. The model is put into evaluation mode and left in the mode it was in.
    """
    counts = _readings_of_rows(split)
    starts = np.cumsum(counts) - counts
    readings = np.zeros((int(counts.sum()), len(model.config.id2label or {})), np.float32)
    columns = [*(inputs := input_columns(model, split)), *({WORDS} & set(split.column_names))]
    was_training = model.training
    model.eval()
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        for batch in _batches(split, batch_size):
            rows = _rows(split, columns, batch)
            readings[ranges(starts[batch], counts[batch])] = _read(model, rows, inputs, collate)
    model.train(was_training)
    return readings


def _readings_of_rows(split: Dataset) -> NDArray[np.int64]:
    """[rows]: how many there will be of each row."""
    if WORDS not in split.column_names:
        return np.ones(split.num_rows, np.int64)
    ends = np.cumsum(lengths(split, WORDS))
    read = np.concatenate([[0], np.cumsum(flat(split, WORDS) >= 0)])
    counts: NDArray[np.int64] = np.diff(read[np.concatenate([[0], ends])])
    return counts


def _batches(split: Dataset, size: int) -> Iterator[NDArray[np.int64]]:
    """The indices of rows, the longest first: what is too large for the memory is so at once."""
    order = np.argsort(-lengths(split, INPUT_IDS), kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _rows(split: Dataset, columns: Sequence[str], batch: NDArray[np.int64]) -> list[Row]:
    values = split.select_columns(list(columns))[batch]
    return [dict(zip(columns, row, strict=True)) for row in zip(*(values[name] for name in columns), strict=True)]


def _read(
    model: PreTrainedModel, rows: Sequence[Row], inputs: Sequence[str], collate: PaddingCollator
) -> NDArray[np.float32]:
    batch = collate([{name: row[name] for name in inputs} for row in rows])
    logits = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
    if WORDS in rows[0]:
        words = [torch.as_tensor(row[WORDS], dtype=torch.long) for row in rows]
        begins = torch.nn.utils.rnn.pad_sequence(words, batch_first=True, padding_value=-1) >= 0
        logits = logits[begins.to(logits.device)]
    array: NDArray[np.float32] = logits.float().cpu().numpy()
    return array
