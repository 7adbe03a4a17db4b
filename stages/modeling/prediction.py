"""Logits of a tokenized split: the one loop that validation while training and the evaluate stage share."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.modeling.batches import PaddingCollator
from stages.modeling.compute import each_in_a_thread
from stages.modeling.inputs import input_columns
from stages.modeling.packing import is_packed
from stages.modeling.precision import Precision
from stages.modeling.products import casts_kept
from stages.modeling.row_faults import collated
from stages.tasks.columns.arrays import flat, lengths, ranges
from stages.tasks.columns.names import EXAMPLE, INPUT_IDS, WORDS

_AT_ONCE = 4096
"""Sub-words that a thread of a CPU computes at once. What a layer makes of more does not fit into a core's caches; of fewer,
products have less to do than it takes to start them."""


def predict(
    model: PreTrainedModel, split: Dataset, collate: PaddingCollator, *, batch_size: int, precision: Precision
) -> NDArray[np.float32]:
    """The logits read off each row, [readings, labels] in row order: one a row (text), or one a word that begins there (tokens).

    Rows of like length share a batch. The model is put into evaluation mode and left in the mode it was in.
    """
    counts = _readings_of_rows(split)
    starts = np.cumsum(counts) - counts
    readings = np.zeros((int(counts.sum()), len(model.config.id2label or {})), np.float32)
    columns = split.select_columns([*input_columns(model, split), EXAMPLE])
    words = split.select_columns(WORDS) if WORDS in split.column_names else None
    at_once = _AT_ONCE if model.device.type == "cpu" else None
    todo = list(batches(lengths(split, INPUT_IDS), batch_size, at_once))

    def read_off(batch: NDArray[np.int64]) -> NDArray[np.float32]:
        with _predicting(model, precision):
            inputs = collated(columns.__getitems__(batch.tolist()), collate, str(split.split))
            logits = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}).logits
            read = logits if words is None else logits[_begins(words, batch).to(logits.device)]
            found: NDArray[np.float32] = read.float().cpu().numpy()
            return found

    was_training = model.training
    model.eval()
    with _predicting(model, precision), casts_kept(model):
        each = each_in_a_thread if is_packed(model) else map
        for batch, found in zip(todo, each(read_off, todo), strict=True):
            readings[ranges(starts[batch], counts[batch])] = found
    model.train(was_training)
    return readings


@contextmanager
def _predicting(model: PreTrainedModel, precision: Precision) -> Iterator[None]:
    """A thread's modes. Autocast keeps what it has cast until the outermost of these ends."""
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def _readings_of_rows(split: Dataset) -> NDArray[np.int64]:
    """[rows]: how many there will be of each row."""
    if WORDS not in split.column_names:
        return np.ones(split.num_rows, np.int64)
    ends = np.cumsum(lengths(split, WORDS))
    read = np.concatenate([[0], np.cumsum(flat(split, WORDS) >= 0)])
    counts: NDArray[np.int64] = np.diff(read[np.concatenate([[0], ends])])
    return counts


def batches(row_lengths: NDArray[np.int64], size: int, at_once: int | None) -> Iterator[NDArray[np.int64]]:
    """The indices of rows, the longest first: what is too large for the memory is so at once.

    A batch has as many sub-words, padded, as `size` of the longest rows: short rows are more. If it has several rows, it has
    no more than `at_once` where that is given.
    """
    order = np.argsort(-row_lengths, kind="stable")
    most = size * int(row_lengths.max(initial=1))
    most = most if at_once is None else min(most, at_once)
    start = 0
    while start < len(order):
        end = start + max(1, most // max(1, int(row_lengths[order[start]])))
        yield order[start:end]
        start = end


def _begins(words: Dataset, batch: NDArray[np.int64]) -> torch.Tensor:
    """[rows, longest]: whether a word begins there."""
    rows = [torch.as_tensor(row, dtype=torch.long) for row in words[batch][WORDS]]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1) >= 0
