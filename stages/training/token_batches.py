"""Batches of about equal sub-word count, as an alternative to batches of equal row count.

Rows come in shuffled order, never sorted by length: a batch ends where the next row would exceed the budget. Every epoch
has the same number of batches, known before the first one, so that the schedule of the learning rate and the place at
which a checkpoint resumes are known too.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler

RowNumbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenBatches:
    """The optimizer steps' batches, epoch by epoch. They follow from these fields alone."""

    lengths: NDArray[np.int64]
    """[rows]: sub-words."""
    budget: int
    """Sub-words in a batch at most, unless so few rows as it must have are more."""
    fewest: int
    """Rows in a batch at least: each of the processes and parts that share it has one."""
    seed: int
    epochs: float
    max_steps: int | None
    """Optimizer steps; overrides `epochs` where given."""

    @cached_property
    def steps(self) -> int:
        """Batches in each epoch: as many as the epoch needs whose order is the least fortunate."""
        most, epoch = 1, 0
        while epoch * most < self.max_steps if self.max_steps else epoch < self.epochs:
            most = max(most, len(self._fullest_ends(self.shuffled(epoch))))
            epoch += 1
        return most

    @property
    def epochs_planned(self) -> int:
        """How many epochs are begun."""
        return math.ceil(self.max_steps / self.steps if self.max_steps else self.epochs)

    def of_epoch(self, epoch: int) -> list[RowNumbers]:
        """The batches, each with the numbers of its rows: all rows once, in the epoch's order, evenly spread."""
        order = self.shuffled(epoch)
        upto, soonest, ends = self._upto(order), self._soonest_ends(order), [0]
        for later in range(self.steps - 1, 0, -1):
            start = ends[-1]
            even = np.searchsorted(upto, upto[start] + (upto[-1] - upto[start]) // (later + 1))
            most = min(self._fullest(upto, start), len(order) - later * self.fewest)
            ends.append(min(max(int(even), soonest[later], start + self.fewest), most))
        return np.split(order, ends[1:])

    def shuffled(self, epoch: int) -> RowNumbers:
        """All rows, in the order in which batches of equal row count take them too."""
        generator = torch.Generator().manual_seed(self.seed + epoch)
        order: RowNumbers = torch.randperm(len(self.lengths), generator=generator).numpy()
        return order

    def _soonest_ends(self, order: RowNumbers) -> list[int]:
        """By the number of batches that are to come: where a batch must not end before, or they can't hold the rest."""
        ends = [len(order) - end for end in self._fullest_ends(order[::-1])]
        return [len(order), *ends, *[0] * (self.steps - len(ends))]

    def _fullest_ends(self, order: RowNumbers) -> list[int]:
        """Where batches end that are as full as can be; a rest of too few rows joins the last one."""
        upto, ends = self._upto(order), [0]
        while ends[-1] < len(order):
            end = self._fullest(upto, ends[-1])
            ends.append(end if len(order) - end >= self.fewest else len(order))
        return ends[1:]

    def _fullest(self, upto: NDArray[np.int64], start: int) -> int:
        """Where a batch ends that begins at `start` and takes as many rows as the budget allows."""
        within = int(np.searchsorted(upto, upto[start] + self.budget, side="right")) - 1
        return max(within, start + self.fewest)

    def _upto(self, order: RowNumbers) -> NDArray[np.int64]:
        """[rows + 1]: the sub-words before each row, and all of them."""
        return np.concatenate([[0], np.cumsum(self.lengths[order])])


class PartsOfBatches(Sampler[list[int]]):
    """The rows that one process computes at once, one part of a batch after the other."""

    def __init__(self, batches: TokenBatches, parts: int, process: int, processes: int) -> None:
        """`parts`: those of a batch that each process computes, one after the other. Processes have parts in turn."""
        self._batches = batches
        self._parts = parts
        self._process = process
        self._processes = processes
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The Trainer says which epoch comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._batches.steps * self._parts

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches.of_epoch(self._epoch):
            for part in parted(batch, self._parts * self._processes)[self._process :: self._processes]:
                yield part.tolist()


class EpochLoader(DataLoader[Any]):
    """A loader that passes the epoch on to what makes its batches, as accelerate's loaders do."""

    def set_epoch(self, epoch: int) -> None:
        """The Trainer says which epoch comes next."""
        assert isinstance(self.batch_sampler, PartsOfBatches)
        self.batch_sampler.set_epoch(epoch)


def parted(batch: RowNumbers, parts: int) -> Sequence[RowNumbers]:
    """A batch's rows in parts of equal row count, give or take one."""
    return np.array_split(batch, parts)
