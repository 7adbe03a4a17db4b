"""Weights of a product in int8, a scale for each column, such that every CPU computes the same sums."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LARGEST = 127
"""What the sum of two weights of one sign may be before both are rounded. Rounded it is at most 128, and 255 * 128 < 2**15."""
_NEIGHBOURS = 4
"""Weights of a column that CPUs multiply and add up together."""
_TINY = 1e-30
"""What the scale of a column of zeros is made from."""


@dataclass(frozen=True)
class Int8Weights:
    """`values` * `scales` are about the weights."""

    values: NDArray[np.int8]
    """[inputs, outputs]"""
    scales: NDArray[np.float32]
    """[outputs]"""

    @classmethod
    def of(cls, weights: NDArray[np.float32]) -> "Int8Weights":
        """Of weights [inputs, outputs].

        CPUs with AVX2 but without VNNI multiply with `vpmaddubsw`: it adds the products of two neighbours (uint8 activations,
        int8 weights) up in 16 bits, and what does not fit is cut off silently (Intel 64 and IA-32 Architectures Software
        Developer's Manual, PMADDUBSW). So the two largest weights of one sign among neighbours decide on the scale.
        """
        scales = np.maximum(_largest_pair(weights), _TINY) / _LARGEST
        return cls(np.round(weights / scales).astype(np.int8), scales.astype(np.float32))


def _largest_pair(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """By column, the largest sum of two neighbours of one sign, [outputs]."""
    inputs, outputs = weights.shape
    rows = np.pad(weights, ((0, -inputs % _NEIGHBOURS), (0, 0))).reshape(-1, _NEIGHBOURS, outputs)
    largest: NDArray[np.float32] = np.maximum(_pair(rows.clip(min=0)), _pair((-rows).clip(min=0))).max(axis=0)
    return largest


def _pair(sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of the two largest of each neighbourhood, [neighbourhoods, outputs]."""
    total: NDArray[np.float32] = np.partition(sizes, _NEIGHBOURS - 2, axis=1)[:, -2:].sum(axis=1)
    return total
