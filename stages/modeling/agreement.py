"""Whether two ways of computing the same numbers agree."""

from collections.abc import Sequence

import numpy as np
import torch


def difference(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Return the largest absolute difference between elements; infinity if one is not finite."""
    largest = max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))
    return largest if np.isfinite(largest) else float("inf")


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the Euclidean distance; infinity if an element is not finite."""
    apart = float((found.double() - expected.double()).norm())
    return apart if np.isfinite(apart) else float("inf")
