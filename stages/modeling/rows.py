"""Where the sub-words of a batch's rows stand: padded in the batch, and packed without padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

_GROUP = 10_000
"""What one more group of rows costs, in pairs of sub-words attended to."""


@dataclass(frozen=True)
class Group:
    """Rows of like length that follow each other in the pack."""

    rows: int
    longest: int
    slot: torch.Tensor | None
    """[sub-words]: their places in the group's padded rows; None where nothing is padded."""
    is_padding: torch.Tensor | None
    """[rows, longest]; None likewise."""

    @property
    def subwords(self) -> int:
        """How many there are."""
        return self.rows * self.longest if self.slot is None else len(self.slot)

    def pad(self, packed: torch.Tensor) -> torch.Tensor:
        """[sub-words, …] to [rows, longest, …], 0 where there is padding."""
        slots = self.rows * self.longest
        padded: torch.Tensor = packed if self.slot is None else _Spread.apply(packed, self.slot, slots)
        return padded.view(self.rows, self.longest, *padded.shape[1:])

    def unpad(self, padded: torch.Tensor) -> torch.Tensor:
        """[rows, longest, …] to [sub-words, …]."""
        flat = padded.flatten(0, 1)
        packed: torch.Tensor = flat if self.slot is None else _Taken.apply(flat, self.slot)
        return packed


@dataclass(frozen=True)
class Rows:
    """The rows of a padded batch, and their pack: row after row, the shortest first."""

    place: torch.Tensor
    """[sub-words]: their places in the flattened batch."""
    lengths: tuple[int, ...]
    """In the order of the pack."""
    longest: int

    @classmethod
    def of(cls, batch: torch.Tensor, mask: torch.Tensor | None) -> "Rows":
        """The layout of a batch [rows, longest, …], with 0 in `mask` [rows, longest] where there is padding; None: nowhere."""
        count, longest = batch.shape[:2]
        present = torch.ones(count, longest, dtype=torch.bool) if mask is None else mask.bool().cpu()
        lengths = present.sum(dim=1)
        order = lengths.argsort(stable=True)
        place = (torch.arange(count * longest).view(count, longest)[order])[present[order]]
        return cls(place.to(batch.device), tuple(lengths[order].tolist()), longest)

    @cached_property
    def positions(self) -> torch.Tensor:
        """[sub-words]: the place of each in its row."""
        return self.place % self.longest

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """[rows, longest, …] to [sub-words, …]."""
        packed: torch.Tensor = _Taken.apply(batch.flatten(0, 1), self.place)
        return packed

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[sub-words, …] to [rows, longest, …], 0 where there is padding."""
        rows = len(self.lengths)
        batch: torch.Tensor = _Spread.apply(packed, self.place, rows * self.longest)
        return batch.view(rows, self.longest, *batch.shape[1:])

    @cached_property
    def groups(self) -> Sequence[Group]:
        """All rows in groups, such that little is padded and there are few of them."""
        return [_group(self.lengths[first:end], self.place.device) for first, end in group_bounds(self.lengths)]


def group_bounds(lengths: Sequence[int], cost: int = _GROUP) -> list[tuple[int, int]]:
    """Where to part ascending lengths, so that the pairs attended to after padding, and `cost` a group, are fewest."""
    best, begins = [0], [0]
    for end in range(1, len(lengths) + 1):
        costs = [best[first] + (end - first) * lengths[end - 1] ** 2 + cost for first in range(end)]
        best.append(min(costs))
        begins.append(costs.index(best[-1]))
    bounds, end = list[tuple[int, int]](), len(lengths)
    while end:
        bounds.append((begins[end], end))
        end = begins[end]
    return bounds[::-1]


def _group(lengths: Sequence[int], device: torch.device) -> Group:
    longest = max(lengths)
    if min(lengths) == longest:
        return Group(len(lengths), longest, None, None)
    is_padding = torch.arange(longest) >= torch.tensor(lengths)[:, None]
    slot = (~is_padding).flatten().nonzero()[:, 0]
    return Group(len(lengths), longest, slot.to(device), is_padding.to(device))


class _Taken(torch.autograd.Function):
    """Some places of a sequence, none twice: the gradient need not be added up, as PyTorch's own does."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(places)
        context.length = len(values)
        return values.index_select(0, places)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (places,) = context.saved_tensors
        return _spread(gradient, places, context.length), None


class _Spread(torch.autograd.Function):
    """A sequence put into places of a longer one that is 0 elsewhere."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, places: torch.Tensor, length: int) -> torch.Tensor:
        context.save_for_backward(places)
        return _spread(values, places, length)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (places,) = context.saved_tensors
        return gradient.index_select(0, places), None, None


def _spread(values: torch.Tensor, places: torch.Tensor, length: int) -> torch.Tensor:
    return values.new_zeros((length, *values.shape[1:])).index_copy_(0, places, values)
