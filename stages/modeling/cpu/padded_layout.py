"""The layout of attention heads in rows that are padded in groups of similar length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch

_GROUP_COST = 10_000
"""The cost of one more group of rows, in pairs of sub-words that attend to each other."""

_LENGTH_MULTIPLE = 16
"""Rows are padded to a multiple of the 16 rows of an AMX tile.

oneDNN compiles a kernel for each size of a product, in about 1 ms. With the lengths of reviews as they are, it compiled 1,200
kernels in 16 steps.
"""

_MAX_SCORES = 2**20
"""Attention scores that are computed at once, over all heads: 4 MB in fp32.

The scores of 16 rows of 512 sub-words as a single tensor take four to six times as long. They fit into no cache, and the system
allocates their memory anew each time.
"""

_MASKED = torch.finfo(torch.float32).min / 2
"""The bias that masks a score. It is finite: the softmax of a row that is masked as a whole must not be NaN."""


@dataclass(frozen=True)
class LengthGroup:
    """Rows of similar length, next to each other in the pack, that are padded to one length."""

    lengths: torch.Tensor
    """[rows]: the sub-words of each row."""
    offset: int
    """The index in the pack of its first sub-word."""
    padded_length: int
    """The length that all rows are padded to, at least that of the longest row."""

    @cached_property
    def is_padding(self) -> torch.Tensor:
        """[rows, padded length]: whether the position is padding."""
        return torch.arange(self.padded_length) >= self.lengths[:, None]

    @cached_property
    def packed_index(self) -> torch.Tensor:
        """[rows, padded length]: the index in the pack of each position; padding repeats the row's last sub-word."""
        starts = self.offset + self.lengths.cumsum(0) - self.lengths
        within = torch.minimum(torch.arange(self.padded_length), self.lengths[:, None] - 1)
        return starts[:, None] + within

    def bias(self, window: int | None) -> torch.Tensor | None:
        """Return the attention bias that masks padding and tokens outside the window.

        It is [rows, 1, 1 or padded length, last columns], without the leading columns in which nothing is masked. None: nothing
        is masked at all.
        """
        shortest = int(self.lengths.min())
        masked = self.is_padding[:, None, None, shortest:] if shortest < self.padded_length else None
        if window is not None and self.padded_length > window:
            masked = ~within_window(self.padded_length, window) | self.is_padding[:, None, None]
        return None if masked is None else torch.zeros(masked.shape).masked_fill(masked, _MASKED)


class PaddedLayout:
    """Where the states [sub-words, heads] of a pack stand in padded rows [rows, heads, padded length], group after group.

    One gather by precomputed indices replaces the copies that padding and transposing heads would take.
    """

    def __init__(
        self, groups: Sequence[LengthGroup], heads: int, device: torch.device, chunks: Sequence["Chunk"] | None = None
    ) -> None:
        """Lay out all groups. `chunks`: what is attended to at once; None chooses it for these groups."""
        self._heads, self._groups = heads, groups
        self._index_of_stride: dict[int, torch.Tensor] = {}
        positions = [(group.packed_index[:, None].expand(-1, heads, -1), group.is_padding) for group in groups]
        self._subword = torch.cat([subwords.flatten() for subwords, _ in positions]).to(device)
        head = torch.arange(heads)[None, :, None]
        self._head = torch.cat([head.expand_as(subwords).flatten() for subwords, _ in positions]).to(device)
        is_padding = torch.cat([each[:, None].expand(-1, heads, -1).flatten() for _, each in positions])
        filled = (~is_padding).nonzero()[:, 0].to(device)
        self._padded_index = torch.empty_like(filled)
        self._padded_index[self._packed_index(heads)[filled]] = filled
        self.padding = is_padding.nonzero()[:, 0].to(device)
        """The padded positions that are padding, one-dimensional."""
        self._biases: dict[tuple[int | None, torch.dtype], Sequence[torch.Tensor | None]] = {}
        self.chunks = chunks or [
            chunk for number, group in enumerate(groups) for chunk in _chunks(number, group, heads)
        ]
        """What is attended to at once, in the order of the padded positions."""

    def first_subwords(self) -> "PaddedLayout":
        """Return the layout of a pack that holds only the first sub-word of each row, in the same chunks."""
        ones = [torch.ones_like(group.lengths) for group in self._groups]
        offsets = accumulate(map(len, ones), initial=0)
        groups = [LengthGroup(each, offset, padded_length=1) for each, offset in zip(ones, offsets, strict=False)]
        chunks = [replace(chunk, padded_length=1) for chunk in self.chunks]
        return PaddedLayout(groups, self._heads, self.padding.device, chunks)

    def pad(self, states: torch.Tensor) -> torch.Tensor:
        """Gather [sub-words or more, heads, width] into [padded positions, width]; padding repeats its row's last sub-word.

        The states of one sub-word may stand apart from those of the next, as where keys and values share a tensor.
        """
        (count, heads, width), (outer, *inner) = states.shape, states.stride()
        stride = outer // width
        if inner != [width, 1] or outer % width or stride < heads:
            states, stride = states.contiguous(), heads
        of_heads = states.as_strided(((count - 1) * stride + heads, width), (width, 1))
        return of_heads.index_select(0, self._packed_index(stride))

    def unpad(self, padded: torch.Tensor, count: int) -> torch.Tensor:
        """Gather [padded positions, width] into [`count`, heads, width]: the sub-words, then zeros."""
        packed = padded.new_empty((count * self._heads, padded.shape[1]))
        subwords = len(self._padded_index)
        torch.index_select(padded, 0, self._padded_index, out=packed[:subwords])
        packed[subwords:] = 0
        return packed.view(count, self._heads, -1)

    def by_chunk(self, padded: torch.Tensor) -> list[torch.Tensor]:
        """Split [padded positions, width] into views [rows times heads, padded length, width], one for each chunk."""
        parts = padded.split([chunk.heads * chunk.padded_length for chunk in self.chunks])
        return [part.view(chunk.heads, chunk.padded_length, -1) for part, chunk in zip(parts, self.chunks, strict=True)]

    def biases(self, window: int | None, dtype: torch.dtype) -> Sequence[torch.Tensor | None]:
        """Return the attention bias of each chunk. All layers share it."""
        if (window, dtype) not in self._biases:
            found = [group.bias(window) for group in self._groups]
            of_groups = [None if bias is None else bias.to(self.padding.device, dtype) for bias in found]
            of_chunks = ((of_groups[chunk.group], chunk) for chunk in self.chunks)
            self._biases[window, dtype] = [
                None if bias is None else bias[chunk.start : chunk.end] for bias, chunk in of_chunks
            ]
        return self._biases[window, dtype]

    def _packed_index(self, stride: int) -> torch.Tensor:
        """Return, for each padded position, the index of its head where sub-words are `stride` heads apart."""
        if stride not in self._index_of_stride:
            self._index_of_stride[stride] = self._subword * stride + self._head
        return self._index_of_stride[stride]


@dataclass(frozen=True)
class Chunk:
    """What is attended to at once: rows of a group with all their heads, or some heads of one row."""

    group: int
    start: int
    end: int
    """Its rows in the group: from `start`, before `end`."""
    heads: int
    """The heads of all its rows together."""
    padded_length: int


def _chunks(number: int, group: LengthGroup, heads: int) -> Iterator[Chunk]:
    """Cut the group into chunks of at most `_MAX_SCORES`, but at least one head. The chunks of one row have one size."""
    rows, at_once = len(group.lengths), max(1, _MAX_SCORES // group.padded_length**2)
    if at_once >= heads:
        for start in range(0, rows, at_once // heads):
            end = min(rows, start + at_once // heads)
            yield Chunk(number, start, end, (end - start) * heads, group.padded_length)
        return
    at_once = max(count for count in range(1, at_once + 1) if heads % count == 0)
    for row in range(rows):
        for _ in range(heads // at_once):
            yield Chunk(number, row, row + 1, at_once, group.padded_length)


def round_up(length: int) -> int:
    """Return the length that a row is padded to if it is the longest of its group."""
    return length + -length % _LENGTH_MULTIPLE


def within_window(length: int, window: int) -> torch.Tensor:
    """[length, length]: whether two tokens are closer to each other than `window`."""
    position = torch.arange(length)
    return (position[:, None] - position).abs() < window


def group_bounds(lengths: Sequence[int], cost: int = _GROUP_COST) -> list[tuple[int, int]]:
    """Cut ascending lengths into groups at the least cost.

    A group costs the square of its longest row for each of its rows, and `cost` for itself.
    """
    best, begins = [0], [0]
    for end in range(1, len(lengths) + 1):
        costs = [best[start] + (end - start) * lengths[end - 1] ** 2 + cost for start in range(end)]
        best.append(min(costs))
        begins.append(costs.index(best[-1]))
    bounds, end = list[tuple[int, int]](), len(lengths)
    while end:
        bounds.append((begins[end], end))
        end = begins[end]
    return bounds[::-1]
