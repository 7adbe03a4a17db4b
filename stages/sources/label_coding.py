"""Order the labels of a data set, and turn examples' labels into codes."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.columns.arrays import as_lists
from stages.pipeline.errors import DataError
from stages.sources.examples import PLACE
from stages.sources.values import is_integer, list_lengths
from stages.tags.schemes import OUTSIDE

UNLABELLED = "-1"
"""What some test splits have for 'no label'. It is a label only if train has it too, or `data.label_names` lists it."""
NO_CODE = -1


def label_order(named: Sequence[str], found: Iterable[str]) -> tuple[str, ...]:
    """Return labels: those that are `named`, in their order, and then the others that are found, in natural order.

    Natural order is 2 before 10, and `O` first, then by entity type, B before I.
    """
    return (*named, *sorted(set(found) - set(named), key=natural_order))


def natural_order(label: str) -> tuple[object, ...]:
    """Return the sort key of a label: `O` first, entity tags by type and then prefix, digits by value."""
    if is_integer(label):
        return (True, ((0, int(label), ""),), "", label)
    prefix, separator, entity = label.partition("-")
    if not separator or len(prefix) != 1:
        prefix, entity = "", label
    pieces = tuple((0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", entity))
    return (label != OUTSIDE, pieces, prefix, label)


def coded(labels: pa.Array, batch: pa.RecordBatch, names: Sequence[str], *, may_be_missing: bool) -> pa.Array:
    """Return a column of labels, or of lists of labels, as int64 codes into `names`; `NO_CODE` where there is no label.

    Raises DataError naming the first example that has no label where it must have one.
    """
    is_list = pa.types.is_list(labels.type)
    codes = _codes(pc.list_flatten(labels) if is_list else labels, names)
    missing = np.flatnonzero(codes == NO_CODE)
    if len(missing) and (is_list or not may_be_missing):
        row = pc.list_parent_indices(labels)[int(missing[0])].as_py() if is_list else int(missing[0])
        raise DataError(
            f"{batch[PLACE][row].as_py()}: {UNLABELLED} stands for no label, and {'a list' if is_list else 'training'} "
            "needs them all; remove such rows, or name it in data.label_names if it is a label"
        )
    return as_lists(codes, list_lengths(labels)) if is_list else pa.array(codes)


def _codes(labels: pa.Array, names: Sequence[str]) -> NDArray[np.int64]:
    found = pc.index_in(labels, value_set=pa.array(list(names), pa.string())).fill_null(NO_CODE)
    codes: NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes
