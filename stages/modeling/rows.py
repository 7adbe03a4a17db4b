"""Where the sub-words of a batch's rows stand: padded in the batch, and packed without padding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch

from stages.modeling.slots import Group, Slots, group_bounds

_MULTIPLE = 8
"""Of so many sub-words, padding included, a pack is where it can be. oneDNN makes the code of each product's size anew, 0.3 ms
each time; for packs of any number it made a dozen in each step."""


@dataclass(frozen=True)
class Rows:
    """The rows of a padded batch, and their pack: row after row, the shortest first.

    Some of the batch's padding may be a row too, of which nobody reads what becomes.
    """

    place: torch.Tensor
    """[sub-words]: their places in the flattened batch."""
    lengths: tuple[int, ...]
    """In the order of the pack."""
    count: int
    """The batch's rows."""
    longest: int
    _slots: dict[int, Slots] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, batch: torch.Tensor, mask: torch.Tensor | None) -> "Rows":
        """The layout of a batch [rows, longest, …], with 0 in `mask` [rows, longest] where there is padding; None: nowhere."""
        count, longest = batch.shape[:2]
        present = torch.ones(count, longest, dtype=torch.bool) if mask is None else mask.bool().cpu()
        flat = present.flatten()
        of_rows, padding = flat.nonzero()[:, 0], (~flat).nonzero()[:, 0]
        places = list(of_rows.split(present.sum(dim=1).tolist()))
        wanted = -len(of_rows) % _MULTIPLE
        if 0 < wanted <= len(padding):
            places.append(padding[:wanted])
        places.sort(key=len)
        return cls(torch.cat(places).to(batch.device), tuple(map(len, places)), count, longest)

    @cached_property
    def positions(self) -> torch.Tensor:
        """[sub-words]: the place of each in its row."""
        return self.place % self.longest

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """[rows, longest, …] to [sub-words, …]."""
        packed: torch.Tensor = _Taken.apply(batch.flatten(0, 1), self.place)
        return packed

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[sub-words, …] to [rows, longest, …], 0 where there is padding that was not packed."""
        batch: torch.Tensor = _Spread.apply(packed, self.place, self.count * self.longest)
        return batch.view(self.count, self.longest, *batch.shape[1:])

    @cached_property
    def groups(self) -> Sequence[Group]:
        """All rows in groups, such that little is padded and there are few of them."""
        lengths = torch.tensor(self.lengths)
        starts = [0, *accumulate(self.lengths)]
        return [Group(lengths[first:end], starts[first]) for first, end in group_bounds(self.lengths)]

    def slots(self, heads: int) -> Slots:
        """Of this many heads; made once for all layers."""
        if heads not in self._slots:
            self._slots[heads] = Slots(self.groups, heads, self.place.device)
        return self._slots[heads]


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
