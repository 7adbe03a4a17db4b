"""Pairs of texts in rows: how much of each fits, and the token types that tell them apart."""

from collections.abc import Iterator

import numpy as np
from datasets import Features, List, Value
from numpy.typing import NDArray

from stages.configuration.schema import TokenizeConfig
from stages.tasks.columns.names import SECOND_TEXT, TOKEN_TYPES
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.encoding.windows import shared, window_starts

Parts = tuple[slice, slice]
"""What of the first text and what of the second goes into a row."""


def token_type_features(raw: Features, encoder: SubwordEncoder) -> Features:
    """The column of token types, where `raw` holds pairs and the tokenizer gives their texts different ones."""
    has_types = SECOND_TEXT in raw and encoder.pair_template.has_types
    return Features({TOKEN_TYPES: List(Value("int8"))} if has_types else {})


def pair_rows(
    first: NDArray[np.int32], second: NDArray[np.int32], encoder: SubwordEncoder, config: TokenizeConfig
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int8]]]:
    """The sub-words and token types of each row that a pair becomes."""
    template = encoder.pair_template
    capacity = encoder.max_length - template.specials
    if config.overflow == "truncate":
        parts = [truncated(len(first), len(second), capacity)]
    else:
        parts = windowed(len(first), len(second), capacity, shared(config.stride, encoder))
    for of_first, of_second in parts:
        a, b = first[of_first], second[of_second]
        yield template.row(a, b), template.row_types(len(a), len(b))


def truncated(first: int, second: int, capacity: int) -> Parts:
    """The heads of a pair that fit: the longer text is cut until both are equally long, then both (`longest_first`).

    Of an odd capacity the longer text gets one more, the second where they are equal, as in the tokenizers library.
    """
    if first + second <= capacity:
        return slice(0, first), slice(0, second)
    shorter = min(first, second, capacity // 2)
    longer = capacity - shorter
    kept = (longer, shorter) if first > second else (shorter, longer)
    return slice(0, kept[0]), slice(0, kept[1])


def windowed(first: int, second: int, capacity: int, stride: int) -> list[Parts]:
    """The windows of a pair: every row holds the shorter text whole, and windows slide over the longer one.

    A shorter text that would fill more than half of a row is cut to that half; of two equally long ones, the first is
    the shorter. Windows share `stride` sub-words, but at most half of what a row has left for them.
    """
    kept = min(first, second)
    if first + second > capacity:
        kept = min(kept, capacity // 2)
    room = capacity - kept
    starts = window_starts(max(first, second), room, min(stride, room // 2))
    sliding = [slice(start, start + room) for start in starts]
    return [(slice(0, kept), each) if first <= second else (each, slice(0, kept)) for each in sliding]
