"""Where a tokenizer puts its special sub-words around a pair of texts, and which type each place has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer


@dataclass(frozen=True)
class PairTemplate:
    """BERT: [CLS] first [SEP] second [SEP], of types 0 0 0 1 1. RoBERTa: <s> first </s></s> second </s>, all of type 0."""

    before: NDArray[np.int32]
    between: NDArray[np.int32]
    behind: NDArray[np.int32]
    types: tuple[int, int, int, int, int]
    """The token types of `before`, the first text, `between`, the second text and `behind`."""

    @property
    def specials(self) -> int:
        """How many special sub-words a pair has."""
        return len(self.before) + len(self.between) + len(self.behind)

    @property
    def has_types(self) -> bool:
        """Whether types tell the texts apart."""
        return any(self.types)

    def row(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int32]:
        """The sub-words of both texts among the special ones."""
        return np.concatenate([self.before, first, self.between, second, self.behind])

    def row_types(self, first: int, second: int) -> NDArray[np.int8]:
        """The token types of such a row, from the numbers of sub-words of both texts."""
        parts = (len(self.before), first, len(self.between), second, len(self.behind))
        return np.repeat(np.array(self.types, np.int8), parts)


def pair_template(tokenizer: Tokenizer, text: str) -> PairTemplate:
    """What the tokenizer's own template makes of a pair, read off the pair of `text`, which has a sub-word, with itself."""
    encoding = tokenizer.encode(text, text)
    ids, types = np.array(encoding.ids, np.int32), encoding.type_ids
    sequence = np.array([-1 if part is None else part for part in encoding.sequence_ids])
    (first, last), (second, end) = ((np.flatnonzero(sequence == part)[[0, -1]]) for part in (0, 1))
    assert last < second, "the second text stands behind the first"
    parts = (
        slice(0, first),
        slice(first, last + 1),
        slice(last + 1, second),
        slice(second, end + 1),
        slice(end + 1, None),
    )
    kinds = [set(types[part]) or {0} for part in parts]
    assert all(len(kind) == 1 for kind in kinds), "a part of a pair has one type"
    before, _, between, _, behind = (ids[part] for part in parts)
    a, b, c, d, e = (kind.pop() for kind in kinds)
    return PairTemplate(before, between, behind, (a, b, c, d, e))
