"""Where the sub-words of a batch's rows stand: padded in the batch, and packed without padding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch

from stages.modeling.slots import Group, Slots, group_bounds, padded_length

_FEWEST, _PARTS = 5, 6
"""A pack is filled up to a multiple of a power of two: of 2^5, or of the largest whose 2^6 parts are more than the pack. oneDNN
makes the code of each product's size anew, 3 to 7 ms each time where there is AMX: sizes have to meet again. AMX's tiles have
16 rows, and what is no multiple of them takes up to 1.4 times as long."""


class FirstSubwords:
    """The first sub-words of a pack's rows, in its order, and behind them a filler.

    For an encoder's last layer it is then as if each row had one sub-word. Keys and values are of all of them.
    """

    def __init__(self, rows: "Rows", hidden: torch.Tensor) -> None:
        """`hidden` [1, sub-words and filler, width]: what the last layer would get."""
        self.hidden = hidden
        self.lengths = rows.lengths
        """The sub-words of each row."""
        self._rows = rows
        self._places = torch.tensor(rows.starts, dtype=torch.long, device=hidden.device)
        self._numbers = rows.place[self._places] // rows.longest

    def pack(self) -> torch.Tensor:
        """[1, first sub-words and filler, width]; the filler is 0."""
        packed: torch.Tensor = _Taken.apply(self.hidden[0], self._places, _filler(len(self._places)))
        return packed[None]

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[first sub-words and filler, width] to [rows, 1, width], 0 in an empty row."""
        batch: torch.Tensor = _Spread.apply(packed, self._numbers, self._rows.count)
        return batch[:, None]

    def slots(self, heads: int) -> Slots:
        """Of the keys and values."""
        return self._rows.slots(heads)

    def query_slots(self, heads: int) -> Slots:
        """Of the queries."""
        return self._rows.slots(heads).of_first()


@dataclass(frozen=True)
class Rows:
    """The rows of a padded batch, and their pack: row after row, the shortest first, and behind them a filler.

    Nobody looks at the filler, and it has no gradient: it is there for the sake of round sizes.
    """

    place: torch.Tensor
    """[sub-words]: their places in the flattened batch."""
    lengths: tuple[int, ...]
    """In the order of the pack, without those of empty rows."""
    count: int
    """The batch's rows."""
    longest: int
    _slots: dict[int, Slots] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, batch: torch.Tensor, mask: torch.Tensor | None) -> "Rows":
        """The layout of a batch [rows, longest, …], with 0 in `mask` [rows, longest] where there is padding; None: nowhere."""
        count, longest = batch.shape[:2]
        present = torch.ones(count, longest, dtype=torch.bool) if mask is None else mask.bool().cpu()
        places = sorted(present.flatten().nonzero()[:, 0].split(present.sum(dim=1).tolist()), key=len)
        return cls(torch.cat(places).to(batch.device), tuple(filter(None, map(len, places))), count, longest)

    @cached_property
    def filler(self) -> int:
        """Places behind the sub-words."""
        return _filler(len(self.place))

    @cached_property
    def starts(self) -> Sequence[int]:
        """By row, in the order of the pack, the place of its first sub-word there."""
        return [0, *accumulate(self.lengths)][:-1]

    @cached_property
    def positions(self) -> torch.Tensor:
        """[sub-words and filler]: the place of each in its row."""
        return torch.nn.functional.pad(self.place % self.longest, (0, self.filler))

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """[rows, longest, …] to [sub-words and filler, …]; the filler is 0."""
        packed: torch.Tensor = _Taken.apply(batch.flatten(0, 1), self.place, self.filler)
        return packed

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[sub-words and filler, …] to [rows, longest, …], 0 where there is padding."""
        batch: torch.Tensor = _Spread.apply(packed, self.place, self.count * self.longest)
        return batch.view(self.count, self.longest, *batch.shape[1:])

    def first_subwords(self, hidden: torch.Tensor) -> FirstSubwords:
        """Of the hidden states [1, sub-words and filler, width], those of the first sub-word of each row."""
        return FirstSubwords(self, hidden)

    @cached_property
    def groups(self) -> Sequence[Group]:
        """All rows in groups, such that little is padded and there are few of them."""
        lengths, padded = torch.tensor(self.lengths), [*map(padded_length, self.lengths)]
        return [Group(lengths[first:end], self.starts[first], padded[end - 1]) for first, end in group_bounds(padded)]

    def slots(self, heads: int) -> Slots:
        """Of this many heads; made once for all layers."""
        if heads not in self._slots:
            self._slots[heads] = Slots(self.groups, heads, self.place.device)
        return self._slots[heads]

    def query_slots(self, heads: int) -> Slots:
        """Of the queries: each sub-word has one."""
        return self.slots(heads)


def _filler(count: int) -> int:
    """What is missing behind so many places for a round size."""
    return -count % (1 << max(_FEWEST, count.bit_length() - _PARTS))


class _Taken(torch.autograd.Function):
    """Some places of a sequence, none twice: the gradient need not be added up, as PyTorch's own does. Then zeros."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, places: torch.Tensor, zeros: int) -> torch.Tensor:
        context.save_for_backward(places)
        context.length, count = len(values), len(places)
        taken = values.new_empty((count + zeros, *values.shape[1:]))
        torch.index_select(values, 0, places, out=taken[:count])
        taken[count:] = 0
        return taken

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (places,) = context.saved_tensors
        return _spread(gradient, places, context.length), None, None


class _Spread(torch.autograd.Function):
    """The first values of a sequence put into places of a longer one that is 0 elsewhere."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, places: torch.Tensor, length: int) -> torch.Tensor:
        context.save_for_backward(places)
        context.zeros = len(values) - len(places)
        return _spread(values, places, length)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (places,) = context.saved_tensors
        return _Taken.apply(gradient, places, context.zeros), None, None


def _spread(values: torch.Tensor, places: torch.Tensor, length: int) -> torch.Tensor:
    return values.new_zeros((length, *values.shape[1:])).index_copy_(0, places, values[: len(places)])
