"""Groups of rows of like length, padded to one, and where the sub-words of attention's heads stand in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch

_GROUP = 10_000
"""What one more group of rows costs, in pairs of sub-words attended to."""

_ROUND = 16
"""Rows are padded to a multiple of it, the rows of AMX's tiles. oneDNN makes the code of each product's size anew, some 1 ms each
time: with reviews' lengths as they are, 1,200 times in 16 steps."""

_SCORES = 2**20
"""Pairs of sub-words attended to at once, counted in every head: their fp32 scores are 4 MB. As one tensor the scores of 16 rows
of 512 sub-words take four to six times as long: they fit into no cache, and the memory comes fresh from the system each time."""


_HIDDEN = torch.finfo(torch.float32).min / 2
"""What is added to a score to hide it: finite, since a row of the softmax whose scores are all hidden must not be NaN."""


@dataclass(frozen=True)
class Group:
    """Rows of like length that follow each other in the pack, padded to one length."""

    lengths: torch.Tensor
    """[rows]"""
    first: int
    """The place of its first sub-word in the pack."""
    longest: int
    """What its rows are padded to: no less than the longest."""

    @cached_property
    def is_padding(self) -> torch.Tensor:
        """[rows, longest]"""
        return torch.arange(self.longest) >= self.lengths[:, None]

    @cached_property
    def subwords(self) -> torch.Tensor:
        """[rows, longest]: the place in the pack of each; padding repeats its row's last."""
        starts = self.first + self.lengths.cumsum(0) - self.lengths
        within = torch.minimum(torch.arange(self.longest), self.lengths[:, None] - 1)
        return starts[:, None] + within

    def bias(self, window: int | None) -> torch.Tensor | None:
        """What hides padding, and what is as far away as `window` or farther, where it is added to the scores.

        [rows, 1, 1 or longest, last columns], without the columns before them where nothing is hidden; None if that is all.
        """
        shortest = int(self.lengths.min())
        hidden = self.is_padding[:, None, None, shortest:] if shortest < self.longest else None
        if window is not None and self.longest > window:
            hidden = ~is_near(self.longest, window) | self.is_padding[:, None, None]
        return None if hidden is None else torch.zeros(hidden.shape).masked_fill(hidden, _HIDDEN)


class Slots:
    """Where the heads' sub-words [sub-words, heads] stand in the groups' padded rows [rows, heads, longest], group after group.

    One look-up then does what padding and bringing heads before sub-words would do in several copies.
    """

    def __init__(
        self, groups: Sequence[Group], heads: int, device: torch.device, pieces: Sequence["Piece"] | None = None
    ) -> None:
        """The slots of all groups; `pieces`: what is attended to at once, if not as it is for these groups by themselves."""
        self._heads, self._groups = heads, groups
        self._places_by_step: dict[int, torch.Tensor] = {}
        slots = [(group.subwords[:, None].expand(-1, heads, -1), group.is_padding) for group in groups]
        self._subword = torch.cat([subwords.flatten() for subwords, _ in slots]).to(device)
        head = torch.arange(heads)[None, :, None]
        self._head = torch.cat([head.expand_as(subwords).flatten() for subwords, _ in slots]).to(device)
        is_padding = torch.cat([each[:, None].expand(-1, heads, -1).flatten() for _, each in slots])
        filled = (~is_padding).nonzero()[:, 0].to(device)
        self._of_each = torch.empty_like(filled)
        self._of_each[self._places(heads)[filled]] = filled
        self.padding = is_padding.nonzero()[:, 0].to(device)
        """[slots that are padding]"""
        self._biases: dict[tuple[int | None, torch.dtype], Sequence[torch.Tensor | None]] = {}
        self.pieces = pieces or [
            piece for number, group in enumerate(groups) for piece in _pieces(number, group, heads)
        ]
        """What is attended to at once, in the order of the slots."""

    def of_first(self) -> "Slots":
        """The slots of each row's first sub-word, where those stand row after row; in the pieces of all sub-words."""
        ones = [torch.ones_like(group.lengths) for group in self._groups]
        firsts = accumulate(map(len, ones), initial=0)
        groups = [Group(lengths, first, longest=1) for lengths, first in zip(ones, firsts, strict=False)]
        pieces = [replace(piece, longest=1) for piece in self.pieces]
        return Slots(groups, self._heads, self.padding.device, pieces)

    def fill(self, states: torch.Tensor) -> torch.Tensor:
        """[sub-words or more, heads, width] to [slots, width]; padding repeats its row's last sub-word.

        What stands between one sub-word's heads and the next one's, such as its key and its value, is passed over.
        """
        (count, heads, width), (stride, *inner) = states.shape, states.stride()
        step = stride // width
        if inner != [width, 1] or stride % width or step < heads:
            states, step = states.contiguous(), heads
        of_heads = states.as_strided(((count - 1) * step + heads, width), (width, 1))
        return of_heads.index_select(0, self._places(step))

    def read(self, slots: torch.Tensor, count: int) -> torch.Tensor:
        """[slots, width] to [`count`, heads, width]: the sub-words, then zeros."""
        read = slots.new_empty((count * self._heads, slots.shape[1]))
        subwords = len(self._of_each)
        torch.index_select(slots, 0, self._of_each, out=read[:subwords])
        read[subwords:] = 0
        return read.view(count, self._heads, -1)

    def by_piece(self, slots: torch.Tensor) -> list[torch.Tensor]:
        """[slots, width] to [heads and rows, longest, width] a piece: views, not copies."""
        parts = slots.split([piece.heads * piece.longest for piece in self.pieces])
        return [part.view(piece.heads, piece.longest, -1) for part, piece in zip(parts, self.pieces, strict=True)]

    def biases(self, window: int | None, dtype: torch.dtype) -> Sequence[torch.Tensor | None]:
        """By piece, the bias of its rows; made once for all layers."""
        if (window, dtype) not in self._biases:
            found = [group.bias(window) for group in self._groups]
            of_groups = [None if bias is None else bias.to(self.padding.device, dtype) for bias in found]
            of_pieces = ((of_groups[piece.group], piece) for piece in self.pieces)
            self._biases[window, dtype] = [
                None if bias is None else bias[piece.first : piece.end] for bias, piece in of_pieces
            ]
        return self._biases[window, dtype]

    def _places(self, step: int) -> torch.Tensor:
        """[slots]: the place of what stands there where the heads of a sub-word are so many places from the last one's."""
        if step not in self._places_by_step:
            self._places_by_step[step] = self._subword * step + self._head
        return self._places_by_step[step]


@dataclass(frozen=True)
class Piece:
    """Rows of a group with all their heads, or some heads of one row."""

    group: int
    first: int
    end: int
    """Its rows in the group: from `first`, before `end`."""
    heads: int
    """Of all its rows together."""
    longest: int


def _pieces(number: int, group: Group, heads: int) -> Iterator[Piece]:
    """The group in pieces of no more than so many scores, but no less than those of one head; of one row, all of one size."""
    rows, at_once = len(group.lengths), max(1, _SCORES // group.longest**2)
    if at_once >= heads:
        for first in range(0, rows, at_once // heads):
            end = min(rows, first + at_once // heads)
            yield Piece(number, first, end, (end - first) * heads, group.longest)
        return
    at_once = max(count for count in range(1, at_once + 1) if heads % count == 0)
    for row in range(rows):
        for _ in range(heads // at_once):
            yield Piece(number, row, row + 1, at_once, group.longest)


def padded_length(length: int) -> int:
    """What a row of this length is padded to if it is the longest of its group, or by itself."""
    return length + -length % _ROUND


def is_near(length: int, window: int) -> torch.Tensor:
    """[length, length]: whether two sub-words are closer than `window`."""
    place = torch.arange(length)
    return (place[:, None] - place).abs() < window


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
