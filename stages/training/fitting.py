"""Resolve `auto` batch settings: find the largest batch, or the fewest parts of it, that fit into memory."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.columns.arrays import flat, lengths
from stages.columns.names import INPUT_IDS
from stages.configuration.schema import TrainStage
from stages.modeling.precision import resolved
from stages.pipeline.arrow import load_splits
from stages.pipeline.errors import TrainingError
from stages.pipeline.paths import TOKENIZED_DATA
from stages.pipeline.torchrun import is_main_process, world_size
from stages.training.batching import TokenBatches, parted, token_batches
from stages.training.building import training_model
from stages.training.memory import Fits, fits_into_memory
from stages.training.processes import Agreement
from stages.training.recipe import join_processes

log = logging.getLogger("stages.train")

FEWEST_STEPS = 100
"""`train.batch_size=auto` leaves an epoch at least so many steps, even if a larger batch would fit into memory."""

_Lengths: TypeAlias = NDArray[np.int64]


def resolve_auto(config: TrainStage) -> TrainStage:
    """Replace `auto` by a number that fits into memory, and log it. Raise TrainingError if not even one row fits."""
    train = config.train
    if "auto" not in (train.batch_size, train.gradient_accumulation):
        return config
    splits = load_splits(TOKENIZED_DATA)
    join_processes(config)
    split, processes = splits["train"], Agreement()
    subword = int(flat(split, INPUT_IDS)[0])
    fits = fits_into_memory(training_model(config, splits), resolved(train.precision), subword)
    if train.batch_size == "auto":
        size = -processes.largest(-largest_batch(config, split, fits))[0]  # the smallest of all processes
        _log_found("batch_size", size)
        return replace(config, train=replace(train, batch_size=size))
    parts = processes.largest(fewest_parts(config, split, fits))[0]
    _log_found("gradient_accumulation", parts)
    return replace(config, train=replace(train, gradient_accumulation=parts))


def largest_batch(config: TrainStage, split: Dataset, fits: Fits) -> int:
    """Return the largest batch size at which a batch of the longest rows fits.

    Each part in each process has a power of two of rows. Raises TrainingError if not even one row fits.
    """
    parts = config.train.gradient_accumulation
    assert parts != "auto", "a contradiction"
    longest, rows, shares = _longest_first(split), 1, world_size() * parts
    if not fits(longest[:1].tolist()):
        raise _not_enough_memory(longest)
    while 2 * rows * shares * FEWEST_STEPS <= len(longest) and fits(longest[: 2 * rows].tolist()):
        rows *= 2
    return rows * shares


def fewest_parts(config: TrainStage, split: Dataset, fits: Fits) -> int:
    """Return the smallest `train.gradient_accumulation` at which the part that needs the most memory fits.

    Raises TrainingError if not even one row fits.
    """
    for parts, heaviest in _heaviest_parts(config, split):
        if fits(heaviest.tolist()):
            return parts
    raise _not_enough_memory(_longest_first(split))


def _heaviest_parts(config: TrainStage, split: Dataset) -> Iterator[tuple[int, _Lengths]]:
    """Yield each possible number of parts, with the row lengths of the part that needs the most memory."""
    budget, size = config.train.batch_tokens, config.train.batch_size
    if budget is None:
        assert size != "auto", "a contradiction"
        longest, share = _longest_first(split), size // world_size()
        yield from ((parts, longest[: share // parts]) for parts in range(1, share + 1) if share % parts == 0)
        return
    parts, heaviest = 1, np.empty(0, np.int64)
    while len(heaviest) != 1 and parts * world_size() <= split.num_rows:
        heaviest = _heaviest(token_batches(config, split, budget, parts), parts * world_size())
        yield parts, heaviest
        parts *= 2


def _heaviest(batches: TokenBatches, shares: int) -> _Lengths:
    """Return the row lengths of the part with the most sub-words including padding, in all epochs."""
    epochs = (batches.of_epoch(epoch) for epoch in range(batches.epochs_planned))
    parts = (batches.lengths[part] for epoch in epochs for batch in epoch for part in parted(batch, shares))
    return max(parts, key=lambda part: len(part) * part.max())


def _longest_first(split: Dataset) -> _Lengths:
    return -np.sort(-lengths(split, INPUT_IDS))


def _not_enough_memory(longest: _Lengths) -> TrainingError:
    return TrainingError(
        f"train: there is not enough memory for a single row of {longest[0]} sub-words; lower tokenize.max_length, or "
        "choose a smaller model"
    )


def _log_found(key: str, found: int) -> None:
    if is_main_process():
        log.info(
            "train.%s=auto: %d fits into memory; set train.%s=%d to have the same elsewhere", key, found, key, found
        )
