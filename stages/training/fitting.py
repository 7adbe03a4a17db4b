"""`auto` in the settings of batches: the number that fits into this machine's memory, found before training begins."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.schema import TrainStage
from stages.modeling.load import new_model
from stages.modeling.packing import compute_without_padding
from stages.modeling.padding import padding_id
from stages.modeling.precision import resolved
from stages.pipeline.arrow import load_split
from stages.pipeline.errors import TrainingError
from stages.pipeline.paths import BASE_TOKENIZER, BASE_WEIGHTS, TOKENIZED_DATA
from stages.pipeline.ranks import is_main_process
from stages.tasks.columns.arrays import lengths
from stages.tasks.columns.names import INPUT_IDS, label_names
from stages.training.batching import Batching, token_batches
from stages.training.memory_trial import Fits, fits_into_memory
from stages.training.processes import Agreement, world_size
from stages.training.recipe import training_arguments
from stages.training.token_batches import TokenBatches, parted

log = logging.getLogger("stages.train")

FEWEST_STEPS = 100
"""Steps that an epoch keeps when the batch size is found: into a large memory a whole data set fits."""

_Lengths: TypeAlias = NDArray[np.int64]


def without_auto(config: TrainStage) -> TrainStage:
    """The configuration with numbers in place of `auto`, which the log tells. Raises TrainingError if no row fits."""
    train = config.train
    if "auto" not in (train.batch_size, train.gradient_accumulation):
        return config
    split = load_split(TOKENIZED_DATA, "train")
    processes = _joined(config)
    fits = _fits(config, split)
    if train.batch_size == "auto":
        size = -processes.largest(-largest_batch(config, split, fits))[0]  # what fits in all processes
        _tell("batch_size", size)
        return replace(config, train=replace(train, batch_size=size))
    parts = processes.largest(fewest_parts(config, split, fits))[0]
    _tell("gradient_accumulation", parts)
    return replace(config, train=replace(train, gradient_accumulation=parts))


def largest_batch(config: TrainStage, split: Dataset, fits: Fits) -> int:
    """The most rows, a power of two for each process and part, that fit if they are the longest."""
    parts = config.train.gradient_accumulation
    assert parts != "auto", "a contradiction"
    longest, rows, shares = _from_long_to_short(split), 1, world_size() * parts
    if not fits(longest[:1].tolist()):
        raise _too_little(longest)
    while 2 * rows * shares * FEWEST_STEPS <= len(longest) and fits(longest[: 2 * rows].tolist()):
        rows *= 2
    return rows * shares


def fewest_parts(config: TrainStage, split: Dataset, fits: Fits) -> int:
    """The fewest parts of each process's share of a batch such that the heaviest part fits."""
    for parts, heaviest in _heaviest_parts(config, split):
        if fits(heaviest.tolist()):
            return parts
    raise _too_little(_from_long_to_short(split))


def _heaviest_parts(config: TrainStage, split: Dataset) -> Iterator[tuple[int, _Lengths]]:
    """Numbers of parts that a batch can have, and the lengths in the part that takes the most memory."""
    budget, size = config.train.batch_tokens, config.train.batch_size
    if budget is None:
        assert size != "auto", "a contradiction"
        longest, share = _from_long_to_short(split), size // world_size()
        yield from ((parts, longest[: share // parts]) for parts in range(1, share + 1) if share % parts == 0)
        return
    parts, heaviest = 1, np.empty(0, np.int64)
    while len(heaviest) != 1 and parts * world_size() <= split.num_rows:
        heaviest = _heaviest(token_batches(config, split, budget, parts), parts * world_size())
        yield parts, heaviest
        parts *= 2


def _heaviest(batches: TokenBatches, shares: int) -> _Lengths:
    """Of all epochs, the part with the most sub-words when padded."""
    epochs = (batches.of_epoch(epoch) for epoch in range(batches.epochs_planned))
    parts = (batches.lengths[part] for epoch in epochs for batch in epoch for part in parted(batch, shares))
    return max(parts, key=lambda part: len(part) * part.max())


def _from_long_to_short(split: Dataset) -> _Lengths:
    return -np.sort(-lengths(split, INPUT_IDS))


def _too_little(longest: _Lengths) -> TrainingError:
    return TrainingError(
        f"train: memory does not suffice for a single row of {longest[0]} sub-words; lower tokenize.max_length, or "
        "choose a smaller model"
    )


def _joined(config: TrainStage) -> Agreement:
    """The processes, once they have found each other and their devices, which the Trainer's arguments see to."""
    arguments = training_arguments(config.train, Batching(world_size(), 1), config.task, config.seed, Path())
    assert arguments.device is not None
    return Agreement()


def _fits(config: TrainStage, split: Dataset) -> Fits:
    names, padding = label_names(split.features), padding_id(BASE_TOKENIZER)
    model = new_model(config.task.kind, BASE_WEIGHTS, names, config.task.target, padding=padding)
    return fits_into_memory(compute_without_padding(model), resolved(config.train.precision))


def _tell(key: str, found: int) -> None:
    if is_main_process():
        log.info(
            "train.%s=auto: %d fits into memory; set train.%s=%d to have the same elsewhere", key, found, key, found
        )
