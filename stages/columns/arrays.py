"""Columns of a split as flat arrays, and flat arrays as columns of lists."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray


def integers(split: Dataset, column: str) -> NDArray[np.int64]:
    """Return a column of integers, [rows]."""
    return _as_array(_arrow(split, column))


def floats(split: Dataset, column: str) -> NDArray[np.float64]:
    """Return a column of numbers, [rows]; NaN where it is null."""
    array: NDArray[np.float64] = _arrow(split, column).to_numpy().astype(np.float64)
    return array


def flat(split: Dataset, column: str) -> NDArray[np.int64]:
    """Return the values of a column of lists, one list after the other, [values]."""
    return _as_array(pc.list_flatten(_arrow(split, column)))


def lengths(split: Dataset, column: str) -> NDArray[np.int64]:
    """Return the length of each list in a column of lists, [rows]; 0 where it is null."""
    return _as_array(pc.fill_null(pc.list_value_length(_arrow(split, column)), 0))


def is_null(split: Dataset, column: str) -> NDArray[np.bool_]:
    """Return where a column is null, [rows]."""
    nulls: NDArray[np.bool_] = _arrow(split, column).is_null().to_numpy()
    return nulls


def flat_strings(split: Dataset, column: str) -> pa.Array:
    """Return the strings of a column of lists, one list after the other, [strings]."""
    return pc.list_flatten(_arrow(split, column)).combine_chunks()


def as_lists(
    values: NDArray[np.generic] | pa.Array, lengths: NDArray[np.integer], is_null: NDArray[np.bool_] | None = None
) -> pa.ListArray:
    """Return `values`, one list after the other, as a column of lists, [rows]: the reverse of `flat`.

    Args:
        values: [sum of lengths].
        lengths: [rows]; 0 where a list is null.
        is_null: [rows]. None: no list is null.
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(values), mask=None if is_null is None else pa.array(is_null)
    )


def ranges(starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return `start, start + 1, …` for each start, as many as its length says, one after the other, [sum of lengths]."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - lengths), lengths)


_SHARES = {"median": 0.5, "p95": 0.95, "max": 1.0}


def quantiles(lengths: NDArray[np.int64]) -> dict[str, int]:
    """Return the median, the 95th percentile and the maximum, each of them one of the lengths; zeros if there are none."""
    found = lengths if len(lengths) else np.zeros(1, np.int64)
    return {name: int(np.quantile(found, share, method="inverted_cdf")) for name, share in _SHARES.items()}


def _arrow(split: Dataset, column: str) -> pa.ChunkedArray:
    return split.select_columns([column]).with_format("arrow")[:][column]


def _as_array(values: pa.ChunkedArray) -> NDArray[np.int64]:
    array: NDArray[np.int64] = values.to_numpy().astype(np.int64)
    return array
