"""Columns of a split as numpy arrays."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray


def integers(split: Dataset, column: str) -> NDArray[np.int64]:
    """A column of integers, [rows]."""
    return _as_array(_arrow(split, column))


def floats(split: Dataset, column: str) -> NDArray[np.float64]:
    """A column of numbers, [rows]; NaN where it is null."""
    array: NDArray[np.float64] = _arrow(split, column).to_numpy().astype(np.float64)
    return array


def flat(split: Dataset, column: str) -> NDArray[np.int64]:
    """The values of a column of lists, one list after the other, [values]."""
    return _as_array(pc.list_flatten(_arrow(split, column)))


def lengths(split: Dataset, column: str) -> NDArray[np.int64]:
    """The length of each list in a column of lists, [rows]; 0 where it is null."""
    return _as_array(pc.fill_null(pc.list_value_length(_arrow(split, column)), 0))


def is_null(split: Dataset, column: str) -> NDArray[np.bool_]:
    """Where a column is null, [rows]."""
    nulls: NDArray[np.bool_] = _arrow(split, column).is_null().to_numpy()
    return nulls


def _arrow(split: Dataset, column: str) -> pa.ChunkedArray:
    return split.select_columns([column]).with_format("arrow")[:][column]


def _as_array(values: pa.ChunkedArray) -> NDArray[np.int64]:
    array: NDArray[np.int64] = values.to_numpy().astype(np.int64)
    return array
