"""The logits of a tokenized split: the loop that validation while training, evaluate, export and predict share."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.columns.arrays import flat, lengths, ranges
from stages.columns.names import EXAMPLE, INPUT_IDS, WORDS
from stages.modeling.batch_format import BatchFormat, read_batch_format
from stages.modeling.batches import (
    MASK,
    Batch,
    PaddingCollator,
    batches_by_length,
    collated,
    eos_errors,
    padded,
)
from stages.modeling.compute import each_in_a_thread
from stages.modeling.cpu.bf16_linear import weights_cast_once
from stages.modeling.cpu.packing import is_packed
from stages.modeling.gpu.proof import use_packing
from stages.modeling.load import trained_model
from stages.modeling.precision import Precision, usable_precision
from stages.modeling.preparation import Use, prepare
from stages.modeling.sharding import is_sharded
from stages.modeling.transfer import fetched, on_device, use_host_mask
from stages.tasks.task import Task, Units

_MAX_SUBWORDS = 4096
"""The sub-words of a batch on a CPU. The output of a layer for more does not fit into a core's caches, and for fewer the overhead
of calling a matrix product outweighs it."""


_ROWS_TO_TRY = 8
"""How many rows packing is tried on, on a GPU."""


@dataclass(frozen=True)
class PredictedSplits:
    """What a trained model predicts for several splits, and how it was computed."""

    units: Mapping[str, Units]
    """By split: one row of logits for each unit."""
    precision: Precision
    """What the model was computed in."""
    packing: str | None
    """On a GPU, what the trial of packed rows has found."""


def predict_splits(
    task: Task,
    folder: Path,
    splits: Mapping[str, Dataset],
    *,
    batch_size: int,
    precision: Literal["auto", "fp32", "bf16"],
) -> PredictedSplits:
    """Predict tokenized splits with the trained model in `folder`."""
    model = prepare(trained_model(task, folder), Use("prediction"))
    collate = PaddingCollator(read_batch_format(folder))
    hardest = max(splits.values(), key=lambda split: lengths(split, INPUT_IDS).max(initial=0))
    usable = usable_precision(precision, model, longest_rows(hardest, collate), training=False)
    packing = use_packing(model, rows_to_try(hardest, collate), usable, training=False)
    units = {
        name: task.decode(split, predict(model, split, collate, batch_size=batch_size, precision=usable))
        for name, split in splits.items()
    }
    return PredictedSplits(units, usable, packing)


def longest_rows(split: Dataset, collate: PaddingCollator) -> Batch:
    """Return the two longest rows of a tokenized split as a batch without labels; an empty one if the split has none."""
    rows = _rows(split, collate, np.argsort(-lengths(split, INPUT_IDS), kind="stable")[:2])
    return collated(rows, collate, str(split.split)) if rows else {}


def rows_to_try(split: Dataset, collate: PaddingCollator) -> Callable[[], Batch]:
    """Return a function that makes a batch without labels, of rows from the longest to the shortest; an empty one for no rows.

    The first half and the first third of the longest row are in it too, so that even a split of one row gives several lengths.
    """

    def batch() -> Batch:
        order = np.argsort(-lengths(split, INPUT_IDS), kind="stable")
        places = np.linspace(0, len(order) - 1, min(_ROWS_TO_TRY, len(order))).round().astype(np.int64)
        rows = _rows(split, collate, order[places])
        for part in (2, 3) if rows else ():
            shorter = {
                name: rows[0][name][: -(-len(rows[0][INPUT_IDS]) // part)] for name in collate.format.columns(split)
            }
            rows.append({**rows[0], **shorter})
        return collated(rows, collate, str(split.split)) if rows else {}

    return batch


def _rows(split: Dataset, collate: PaddingCollator, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
    columns = split.select_columns([*collate.format.columns(split), EXAMPLE])
    found: list[dict[str, Any]] = columns.__getitems__(numbers.tolist()) if len(numbers) else []
    return found


def predict(
    model: PreTrainedModel,
    split: Dataset,
    collate: PaddingCollator,
    *,
    batch_size: int,
    precision: Precision,
    forwards: Callable[[int], int] | None = None,
) -> NDArray[np.float32]:
    """Return logits [readings, labels] in row order. A reading is a row (text), or the sub-word that a word is read at (tokens).

    Rows of similar length share a batch. The model predicts in evaluation mode, and is left in the mode it was in. `forwards`:
    only for a sharded model; returns how many forward passes all processes have to make, from how many this one needs. This
    process repeats its last batch to make as many.
    """
    counts = _readings_of_rows(split)
    starts = np.cumsum(counts) - counts
    readings = np.zeros((int(counts.sum()), len(model.config.id2label or {})), np.float32)
    columns = split.select_columns([*collate.format.columns(split), EXAMPLE])
    words = split.select_columns(WORDS) if WORDS in split.column_names else None
    max_subwords = _MAX_SUBWORDS if model.device.type == "cpu" else None
    is_equal = collate.format.equal_lengths
    batches = list(batches_by_length(lengths(split, INPUT_IDS), batch_size, max_subwords, equal=is_equal))

    def read_off(batch: NDArray[np.int64]) -> torch.Tensor:
        with _predicting(model, precision):
            inputs = collated(columns.__getitems__(batch.tolist()), collate, str(split.split))
            there = {name: on_device(tensor, model.device) for name, tensor in inputs.items()}
            told = eos_errors(str(split.split), lambda: split[batch.tolist()][EXAMPLE])
            with told, use_host_mask(inputs[MASK]):
                logits = model(**there).logits
            read: torch.Tensor = (
                logits if words is None else logits[_places(words, batch, collate.format, logits.device)]
            )
            return read.float()

    was_training = model.training
    model.eval()
    if forwards is not None:
        batches += batches[-1:] * (forwards(len(batches)) - len(batches))
    with _predicting(model, precision), nullcontext() if is_sharded(model) else weights_cast_once(model):
        each = each_in_a_thread if is_packed(model) and not is_sharded(model) else map
        for batch, found in zip(batches, fetched(each(read_off, batches)), strict=True):
            readings[ranges(starts[batch], counts[batch])] = found.numpy()
    model.train(was_training)
    return readings


@contextmanager
def _predicting(model: PreTrainedModel, precision: Precision) -> Iterator[None]:
    """Enter inference mode and autocast in this thread. Autocast caches cast weights until the outermost block ends."""
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def _readings_of_rows(split: Dataset) -> NDArray[np.int64]:
    """Return the number of readings of each row, [rows]."""
    if WORDS not in split.column_names:
        return np.ones(split.num_rows, np.int64)
    ends = np.cumsum(lengths(split, WORDS))
    read = np.concatenate([[0], np.cumsum(flat(split, WORDS) >= 0)])
    counts: NDArray[np.int64] = np.diff(read[np.concatenate([[0], ends])])
    return counts


def _places(
    words: Dataset, batch: NDArray[np.int64], format: BatchFormat, device: torch.device
) -> tuple[torch.Tensor, ...]:
    """Return the row and position of each reading. They are computed on the host, which need not wait for the device then."""
    rows = [torch.as_tensor(row, dtype=torch.long) for row in words[batch][WORDS]]
    return tuple(on_device(numbers, device) for numbers in (padded(format, rows, -1) >= 0).nonzero(as_tuple=True))
