"""Batches of training rows: the rows of an optimizer step, and how many of them are computed at once.

Batches have an equal number of rows, or with `train.batch_tokens` a number of sub-words up to a budget. Then too, rows come in
shuffled order and are never sorted by length. Every epoch has the same number of batches, which is known before the first one:
the schedule of the learning rate and the position of a checkpoint depend on it.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from stages.columns.arrays import lengths
from stages.columns.names import EXAMPLE, INPUT_IDS
from stages.configuration.schema import TrainStage
from stages.modeling.batches import MASK, PaddingCollator, Row, collated, first_failing, unreadable
from stages.pipeline.arrow import rows
from stages.pipeline.errors import ConfigError
from stages.pipeline.torchrun import is_main_process, world_size

log = logging.getLogger("stages.train")

RowNumbers: TypeAlias = NDArray[np.int64]
Batch: TypeAlias = dict[str, Any]
"""The inputs of the model, and under `example` a list with the example of each row."""

HOST_MASK = "host_mask"
"""The key of a batch's `HostMask`."""
_TRAIN = "train"


@dataclass(frozen=True, eq=False)
class TokenBatches:
    """Batches of at most `budget` sub-words, epoch by epoch. They depend only on these fields."""

    lengths: NDArray[np.int64]
    """[rows]: the sub-words of each row."""
    budget: int
    """The most sub-words of a batch, unless its `fewest` rows have more."""
    fewest: int
    """The fewest rows of a batch: each part of it, in each process, needs one."""
    seed: int
    epochs: float
    max_steps: int | None
    """Optimizer steps; overrides `epochs` where given."""

    @cached_property
    def steps(self) -> int:
        """The number of batches in each epoch: that of the epoch whose order of rows needs the most."""
        most, epoch = 1, 0
        while (epoch * most < self.max_steps) if self.max_steps else (epoch < self.epochs):
            most = max(most, len(self._fullest_ends(self.shuffled(epoch))))
            epoch += 1
        return most

    @property
    def epochs_planned(self) -> int:
        """The number of epochs that training begins."""
        return math.ceil(self.max_steps / self.steps if self.max_steps else self.epochs)

    def of_epoch(self, epoch: int) -> list[RowNumbers]:
        """Return the row numbers of each batch of an epoch: every row once, in the epoch's order, about equal in sub-words.

        A batch ends as near as it can to an even share of the sub-words that are left. It must not exceed the budget, and has to
        leave enough rows, and not too many sub-words, for the batches after it.
        """
        order = self.shuffled(epoch)
        upto, soonest, ends = self._upto(order), self._soonest_ends(order), [0]
        for later in range(self.steps - 1, 0, -1):
            start = ends[-1]
            even = np.searchsorted(upto, upto[start] + (upto[-1] - upto[start]) // (later + 1))
            most = min(self._fullest(upto, start), len(order) - later * self.fewest)
            ends.append(min(max(int(even), soonest[later], start + self.fewest), most))
        return np.split(order, ends[1:])

    def shuffled(self, epoch: int) -> RowNumbers:
        """Return all row numbers in the epoch's order. It is the order of batches of equal row count too."""
        generator = torch.Generator().manual_seed(self.seed + epoch)
        order: RowNumbers = torch.randperm(len(self.lengths), generator=generator).numpy()
        return order

    def _soonest_ends(self, order: RowNumbers) -> list[int]:
        """Return the earliest end of a batch after which the rest fits into the batches that follow, by their number."""
        ends = [len(order) - end for end in self._fullest_ends(order[::-1])]
        return [len(order), *ends, *[0] * (self.steps - len(ends))]

    def _fullest_ends(self, order: RowNumbers) -> list[int]:
        """Return where batches end if each is as full as possible. Too few rows at the end join the last batch."""
        upto, ends = self._upto(order), [0]
        while ends[-1] < len(order):
            end = self._fullest(upto, ends[-1])
            ends.append(end if len(order) - end >= self.fewest else len(order))
        return ends[1:]

    def _fullest(self, upto: NDArray[np.int64], start: int) -> int:
        """Return the end of a batch that begins at `start` and takes as many rows as the budget allows."""
        within = int(np.searchsorted(upto, upto[start] + self.budget, side="right")) - 1
        return max(within, start + self.fewest)

    def _upto(self, order: RowNumbers) -> NDArray[np.int64]:
        """Return the cumulative sub-word counts, [rows + 1]: those before each row, and the total."""
        return np.concatenate([[0], np.cumsum(self.lengths[order])])


class PartsOfBatches(Sampler[list[int]]):
    """Samples the parts of batches that one process computes, one after another."""

    def __init__(self, batches: TokenBatches, parts: int, process: int, processes: int) -> None:
        """`parts`: the parts of a batch for each process (gradient accumulation). Parts go to the processes in turn."""
        self._batches = batches
        self._parts = parts
        self._process = process
        self._processes = processes
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that is sampled next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._batches.steps * self._parts

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches.of_epoch(self._epoch):
            for part in parted(batch, self._parts * self._processes)[self._process :: self._processes]:
                yield part.tolist()


class EpochLoader(DataLoader[Any]):
    """A DataLoader that passes the epoch on to its batch sampler, as accelerate's loaders do."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that is loaded next."""
        assert isinstance(self.batch_sampler, PartsOfBatches)
        self.batch_sampler.set_epoch(epoch)


def parted(batch: RowNumbers, parts: int) -> Sequence[RowNumbers]:
    """Split the rows of a batch into parts whose row counts differ by at most one."""
    return np.array_split(batch, parts)


@dataclass(frozen=True)
class Batching:
    """The batch of an optimizer step."""

    rows: float
    """Rows over all processes and parts; the mean number if `tokens` makes the batches."""
    parts: int
    """How many parts of a batch each process computes, one after another (gradient accumulation)."""
    tokens: TokenBatches | None = None
    """The batches, if they are made by sub-words; else None."""

    @property
    def rows_at_once(self) -> int:
        """The rows that one process computes at once; approximate if `tokens` makes the batches."""
        return max(1, int(self.rows / (world_size() * self.parts)))


def batching(config: TrainStage, train: Dataset) -> Batching:
    """Return the configured batches of `train`. Raises ConfigError if the processes can't share them evenly."""
    size, parts = config.train.batch_size, config.train.gradient_accumulation
    assert size != "auto" and parts != "auto", "numbers have been found for them"
    if config.train.batch_tokens is None:
        if size % (world_size() * parts):
            raise ConfigError(
                f"train.batch_size={size} is not divisible by {world_size()} processes x "
                f"train.gradient_accumulation={parts}; change one of them"
            )
        return Batching(size, parts)
    tokens = token_batches(config, train, config.train.batch_tokens, parts)
    found = Batching(train.num_rows / tokens.steps, parts, tokens)
    if is_main_process():
        log.info(
            "train.batch_tokens=%d: an epoch has %d steps, each of %.1f rows and %.0f sub-words on average",
            tokens.budget, tokens.steps, found.rows, tokens.lengths.sum() / tokens.steps,
        )  # fmt: skip
    return found


def token_batches(config: TrainStage, train: Dataset, budget: int, parts: int) -> TokenBatches:
    """Return batches of at most `budget` sub-words. Each process computes `parts` parts of each.

    Raises ConfigError if there are fewer rows than parts.
    """
    fewest = parts * world_size()
    if train.num_rows < fewest:
        raise ConfigError(
            f"train.gradient_accumulation={parts} x {world_size()} processes are more than the {train.num_rows} rows of "
            "train; lower one of them"
        )
    epochs, max_steps = config.train.epochs, config.train.max_steps
    return TokenBatches(lengths(train, INPUT_IDS), budget, fewest, config.seed, epochs, max_steps)


class TrainingRows(TorchDataset[Row]):
    """The rows of a tokenized train split, with their examples, so that an error can name the example."""

    def __init__(self, split: Dataset, columns: Sequence[str]) -> None:
        """`columns`: the columns that batches are collated from."""
        self._split = split.select_columns([*columns, EXAMPLE])

    def __len__(self) -> int:
        return rows(self._split)

    def __getitem__(self, number: int) -> Row:
        """Return one row. Raises DataError naming it if it can't be read."""
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Row]:
        """Return several rows at once, for PyTorch's loader. Raises DataError naming the one that can't be read."""
        try:
            return self._read(numbers)
        except Exception as error:
            raise unreadable(_TRAIN, first_failing(self._read, numbers), error) from error

    def _read(self, numbers: Sequence[int]) -> list[Row]:
        found: list[Row] = self._split.__getitems__(list(numbers))
        return found


@dataclass(frozen=True)
class HostMask:
    """The attention mask of a batch, [rows, length], which stays on the host when the batch is copied to a GPU."""

    mask: torch.Tensor


class TrainingCollator:
    """Collates training rows into batches that hold their examples too."""

    def __init__(self, collate: PaddingCollator, *, keeps_mask: bool = False) -> None:
        """`collate`: makes the tensors. `keeps_mask`: whether batches have a `HostMask`, which a GPU needs."""
        self._collate = collate
        self._keeps_mask = keeps_mask

    def __call__(self, batch: Sequence[Row]) -> Batch:
        """Collate rows. Raises DataError naming the example that can't be collated."""
        tensors = collated(batch, self._collate, _TRAIN)
        kept = {HOST_MASK: HostMask(tensors[MASK])} if self._keeps_mask else {}
        return {**tensors, **kept, EXAMPLE: [row[EXAMPLE] for row in batch]}
