"""The rows of a padded batch as one sequence without padding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, Self

import torch

from stages.modeling.cpu.padded_layout import LengthGroup, PaddedLayout, group_bounds, round_up
from stages.modeling.transfer import on_device, on_host

_LEAST_EXPONENT, _PARTS_EXPONENT = 5, 6
"""A pack is filled up to a multiple of 2^5, or of the largest power of two of which 2^6 are more than the pack.

oneDNN compiles a kernel for each size of a product, in 3 to 7 ms where there is AMX, so sizes have to recur. AMX's tiles have 16
rows, and a size that is no multiple of 16 takes up to 1.4 times as long.
"""


class FirstSubwords:
    """The first sub-word of each row, in the order of the pack, and a filler.

    An encoder's last layer computes on them as if each row had one sub-word. Its keys and values are still those of all
    sub-words.
    """

    def __init__(self, rows: "PackedRows", hidden: torch.Tensor) -> None:
        """`hidden` [1, sub-words and filler, width]: the hidden states before the last layer."""
        self.hidden = hidden
        self.lengths = rows.lengths
        """The sub-words of each row."""
        self.rows = rows
        self._packed_index = on_device(torch.tensor(rows.offsets, dtype=torch.long), hidden.device)
        self._row = rows.padded_index[self._packed_index] // rows.padded_length

    def pack(self) -> torch.Tensor:
        """Return their hidden states [1, first sub-words and filler, width]; the filler is 0."""
        packed: torch.Tensor = _Gather.apply(self.hidden[0], self._packed_index, _filler(len(self._packed_index)))
        return packed[None]

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """Turn [first sub-words and filler, width] into [rows, 1, width], 0 in an empty row."""
        batch: torch.Tensor = _Scatter.apply(packed, self._row, self.rows.count)
        return batch[:, None]

    def layout(self, heads: int) -> PaddedLayout:
        """Return the padded layout of keys and values."""
        return self.rows.layout(heads)

    def query_layout(self, heads: int) -> PaddedLayout:
        """Return the padded layout of queries."""
        return self.rows.layout(heads).first_subwords()


@dataclass(frozen=True)
class PackedRows:
    """The rows of a padded batch one after the other, the shortest first, and a filler.

    The filler makes sizes round. Nothing reads it, and its gradient is 0.
    """

    padded_index: torch.Tensor
    """[sub-words]: the index of each in the flattened batch."""
    lengths: tuple[int, ...]
    """The sub-words of each row, in the order of the pack, without empty rows."""
    count: int
    """The rows of the batch."""
    padded_length: int
    _layouts: dict[int, PaddedLayout] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, batch: torch.Tensor, mask: torch.Tensor | None) -> Self:
        """Lay out a batch [rows, padded length, …] by its attention mask [rows, padded length]. None: nothing is padding."""
        count, length = batch.shape[:2]
        present = torch.ones(count, length, dtype=torch.bool) if mask is None else on_host(mask).bool()
        rows = sorted(present.flatten().nonzero()[:, 0].split(present.sum(dim=1).tolist()), key=len)
        return cls(on_device(torch.cat(rows), batch.device), tuple(filter(None, map(len, rows))), count, length)

    @cached_property
    def filler(self) -> int:
        """The length of the filler."""
        return _filler(len(self.padded_index))

    @cached_property
    def offsets(self) -> Sequence[int]:
        """The index in the pack of each row's first sub-word."""
        return [0, *accumulate(self.lengths)][:-1]

    @cached_property
    def positions(self) -> torch.Tensor:
        """[sub-words and filler]: the position of each sub-word in its row."""
        return torch.nn.functional.pad(self.padded_index % self.padded_length, (0, self.filler))

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn [rows, padded length, …] into [sub-words and filler, …]; the filler is 0."""
        packed: torch.Tensor = _Gather.apply(batch.flatten(0, 1), self.padded_index, self.filler)
        return packed

    def pack_codes(self, codes: torch.Tensor) -> torch.Tensor:
        """Turn the codes [rows, padded length] of sub-words into [sub-words and filler]; the filler repeats the first.

        A model may have no embedding for a code that no row holds, such as 0.
        """
        packed = self.pack(codes)
        packed[len(self.padded_index) :] = packed[:1]
        return packed

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """Turn [sub-words and filler, …] into [rows, padded length, …], 0 where there is padding."""
        batch: torch.Tensor = _Scatter.apply(packed, self.padded_index, self.count * self.padded_length)
        return batch.view(self.count, self.padded_length, *batch.shape[1:])

    def first_subwords(self, hidden: torch.Tensor) -> FirstSubwords:
        """Select the first sub-word of each row from hidden states [1, sub-words and filler, width]."""
        return FirstSubwords(self, hidden)

    @cached_property
    def groups(self) -> Sequence[LengthGroup]:
        """All rows in few groups with little padding."""
        lengths, padded = torch.tensor(self.lengths), [*map(round_up, self.lengths)]
        return [
            LengthGroup(lengths[start:end], self.offsets[start], padded[end - 1]) for start, end in group_bounds(padded)
        ]

    def layout(self, heads: int) -> PaddedLayout:
        """Return the padded layout for this number of heads. All layers share it."""
        if heads not in self._layouts:
            self._layouts[heads] = PaddedLayout(self.groups, heads, self.padded_index.device)
        return self._layouts[heads]

    def query_layout(self, heads: int) -> PaddedLayout:
        """Return the padded layout of queries: each sub-word has one."""
        return self.layout(heads)


def _filler(count: int) -> int:
    """Return what is missing to make a pack of `count` sub-words round."""
    return -count % (1 << max(_LEAST_EXPONENT, count.bit_length() - _PARTS_EXPONENT))


class _Gather(torch.autograd.Function):
    """`values[index]`, then zeros. No index occurs twice, so the backward pass copies where PyTorch's adds."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, index: torch.Tensor, zeros: int) -> torch.Tensor:
        context.save_for_backward(index)
        context.length, count = len(values), len(index)
        gathered = values.new_empty((count + zeros, *values.shape[1:]))
        torch.index_select(values, 0, index, out=gathered[:count])
        gathered[count:] = 0
        return gathered

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (index,) = context.saved_tensors
        return _scattered(gradient, index, context.length), None, None


class _Scatter(torch.autograd.Function):
    """The first values of a sequence at the given indices of a longer one, which is 0 elsewhere."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, index: torch.Tensor, length: int) -> torch.Tensor:
        context.save_for_backward(index)
        context.zeros = len(values) - len(index)
        return _scattered(values, index, length)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (index,) = context.saved_tensors
        return _Gather.apply(gradient, index, context.zeros), None, None


def _scattered(values: torch.Tensor, index: torch.Tensor, length: int) -> torch.Tensor:
    return values.new_zeros((length, *values.shape[1:])).index_copy_(0, index, values[: len(index)])
