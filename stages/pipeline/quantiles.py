"""How lengths are spread."""

import numpy as np
from numpy.typing import NDArray

from stages.pipeline.json_files import Json

_SHARES = {"median": 0.5, "p95": 0.95, "max": 1.0}


def quantiles(lengths: NDArray[np.int64]) -> dict[str, Json]:
    """Median, 95th percentile and maximum, each the length of some example; zeros where there is none."""
    found = lengths if len(lengths) else np.zeros(1, np.int64)
    return {name: int(np.quantile(found, share, method="inverted_cdf")) for name, share in _SHARES.items()}
