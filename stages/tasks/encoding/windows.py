"""Cut examples that are longer than a row into overlapping windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.columns.arrays import ranges
from stages.pipeline.errors import ModelError
from stages.tasks.encoding.subwords import SubwordEncoder


@dataclass(frozen=True)
class Windows:
    """The parts of examples that go into one row each, in the order of the examples. All arrays have shape [rows]."""

    example: NDArray[np.int64]
    """The index of the example."""
    start: NDArray[np.int64]
    """The sub-word of the example that the window begins with."""
    length: NDArray[np.int64]
    """How many sub-words it holds."""


def effective_stride(stride: int | None, encoder: SubwordEncoder) -> int:
    """Return how many sub-words neighbouring windows share: as configured, else a quarter of a row."""
    return encoder.max_length // 4 if stride is None else stride


def cut(lengths: NDArray[np.int64], encoder: SubwordEncoder, stride: int) -> Windows:
    """Return the windows of examples with these numbers of sub-words, as `windows` does for one example.

    Raises ModelError as `windows` does.
    """
    _require_room(encoder, stride)
    capacity, step = encoder.capacity, encoder.capacity - stride
    last_start = np.maximum(lengths - capacity, 0)
    counts = 1 - (-last_start // step)
    example = np.repeat(np.arange(len(lengths)), counts)
    nth = ranges(np.zeros_like(counts), counts)
    return Windows(example, np.minimum(nth * step, last_start[example]), np.minimum(lengths, capacity)[example])


def windows(length: int, encoder: SubwordEncoder, stride: int) -> list[slice]:
    """Return the windows of an example of `length` sub-words. Neighbours share at least `stride`.

    Raises ModelError if the model's rows are too short for that: at least half of each must be new.
    """
    _require_room(encoder, stride)
    return [slice(start, start + encoder.capacity) for start in window_starts(length, encoder.capacity, stride)]


def window_starts(length: int, capacity: int, stride: int) -> list[int]:
    """Return where windows of `capacity` sub-words start to cover `length`, each sharing at least `stride` with the next.

    All windows but a lone one are full: the last is moved back to end with the example, so that none is a stump
    without context. Needs `0 <= stride < capacity`.
    """
    assert 0 <= stride < capacity
    if length <= capacity:
        return [0]
    starts = list(range(0, length - capacity, capacity - stride))
    return [*starts, length - capacity]


def _require_room(encoder: SubwordEncoder, stride: int) -> None:
    most = min(encoder.max_length // 2, encoder.capacity - 1)
    if stride > most:
        raise ModelError(
            f"tokenize.stride={stride} must be at most {most}, because a row holds {encoder.max_length} sub-words; lower it"
        )
