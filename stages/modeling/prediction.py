"""The logits of a tokenized split: the loop that validation during training, evaluate and export share."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.columns.arrays import flat, lengths, ranges
from stages.columns.names import EXAMPLE, INPUT_IDS, WORDS
from stages.modeling.batch_format import BatchFormat, read_batch_format
from stages.modeling.batches import Batch, PaddingCollator, batches_by_length, collated, ends_of_texts_told, padded
from stages.modeling.compute import each_in_a_thread
from stages.modeling.cpu.bf16_linear import weights_cast_once
from stages.modeling.cpu.packing import is_packed
from stages.modeling.load import trained_model
from stages.modeling.precision import Precision, usable_precision
from stages.modeling.preparation import Use, prepare
from stages.modeling.sharding import is_sharded
from stages.tasks.task import Task, Units

_MAX_SUBWORDS = 4096
"""The sub-words of a batch on a CPU. The output of a layer for more does not fit into a core's caches, and for fewer the overhead
of calling a matrix product outweighs it."""


def predict_units(
    task: Task,
    folder: Path,
    splits: Mapping[str, Dataset],
    *,
    batch_size: int,
    precision: Literal["auto", "fp32", "bf16"],
) -> dict[str, Units]:
    """Predict tokenized splits with the trained model in `folder`, each stitched into one row of logits a unit."""
    model = prepare(trained_model(task, folder), Use("prediction"))
    collate = PaddingCollator(read_batch_format(folder))
    hardest = max(splits.values(), key=lambda split: lengths(split, INPUT_IDS).max(initial=0))
    usable = usable_precision(precision, model, longest_rows(hardest, collate), training=False)
    return {
        name: task.decode(split, predict(model, split, collate, batch_size=batch_size, precision=usable))
        for name, split in splits.items()
    }


def longest_rows(split: Dataset, collate: PaddingCollator) -> Batch:
    """Return the two longest rows of a tokenized split as a batch without labels; an empty one if the split has none."""
    longest = np.argsort(-lengths(split, INPUT_IDS), kind="stable")[:2]
    rows = split.select_columns([*collate.format.columns(split), EXAMPLE])
    return collated(rows.__getitems__(longest.tolist()), collate, str(split.split)) if len(longest) else {}


def predict(
    model: PreTrainedModel,
    split: Dataset,
    collate: PaddingCollator,
    *,
    batch_size: int,
    precision: Precision,
    forwards: Callable[[int], int] | None = None,
) -> NDArray[np.float32]:
    """Return the logits [readings, labels] in row order, read once a row (text) or at each word that begins in it (tokens).

    Rows of similar length share a batch. The model predicts in evaluation mode and is left in the mode it was in. `forwards`:
    of a sharded model, how many forward passes all processes make, by how many this one has rows for; it repeats the last.
    """
    counts = _readings_of_rows(split)
    starts = np.cumsum(counts) - counts
    readings = np.zeros((int(counts.sum()), len(model.config.id2label or {})), np.float32)
    columns = split.select_columns([*collate.format.columns(split), EXAMPLE])
    words = split.select_columns(WORDS) if WORDS in split.column_names else None
    max_subwords = _MAX_SUBWORDS if model.device.type == "cpu" else None
    is_equal = collate.format.equal_lengths
    batches = list(batches_by_length(lengths(split, INPUT_IDS), batch_size, max_subwords, equal=is_equal))

    def read_off(batch: NDArray[np.int64]) -> NDArray[np.float32]:
        with _predicting(model, precision):
            inputs = collated(columns.__getitems__(batch.tolist()), collate, str(split.split))
            with ends_of_texts_told(str(split.split), lambda: split[batch.tolist()][EXAMPLE]):
                logits = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}).logits
            read = logits if words is None else logits[_begins(words, batch, collate.format).to(logits.device)]
            found: NDArray[np.float32] = read.float().cpu().numpy()
            return found

    was_training = model.training
    model.eval()
    if forwards is not None:
        batches += batches[-1:] * (forwards(len(batches)) - len(batches))
    with _predicting(model, precision), nullcontext() if is_sharded(model) else weights_cast_once(model):
        each = each_in_a_thread if is_packed(model) and not is_sharded(model) else map
        for batch, found in zip(batches, each(read_off, batches), strict=True):
            readings[ranges(starts[batch], counts[batch])] = found
    model.train(was_training)
    return readings


@contextmanager
def _predicting(model: PreTrainedModel, precision: Precision) -> Iterator[None]:
    """Enter inference mode and autocast in this thread. Autocast caches its casts until the outermost block ends."""
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def _readings_of_rows(split: Dataset) -> NDArray[np.int64]:
    """[rows]: the number of readings of each row."""
    if WORDS not in split.column_names:
        return np.ones(split.num_rows, np.int64)
    ends = np.cumsum(lengths(split, WORDS))
    read = np.concatenate([[0], np.cumsum(flat(split, WORDS) >= 0)])
    counts: NDArray[np.int64] = np.diff(read[np.concatenate([[0], ends])])
    return counts


def _begins(words: Dataset, batch: NDArray[np.int64], format: BatchFormat) -> torch.Tensor:
    """[rows, length]: whether a word begins at each sub-word."""
    rows = [torch.as_tensor(row, dtype=torch.long) for row in words[batch][WORDS]]
    return padded(format, rows, -1) >= 0
