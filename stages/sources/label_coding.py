"""Order the labels of a data set, and turn examples' labels into codes."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.columns.arrays import as_lists
from stages.columns.names import TAGS
from stages.pipeline.errors import DataError
from stages.sources.examples import PLACE
from stages.sources.label_names import UNLABELLED, is_integer
from stages.sources.values import NO_CODE
from stages.tags.schemes import OUTSIDE


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
    """Return a column of labels, or of lists of labels, as int64 codes into `names`.

    `NO_CODE` stands where there is no label: a list is null where its labels are not known, those of tags are all `NO_CODE`.
    Raises DataError naming the first example that has no label where it must have one.
    """
    if pa.types.is_list(labels.type):
        return _coded_lists(labels, batch, names, may_be_missing=may_be_missing)
    codes = _codes(labels, names)
    if not may_be_missing:
        _require_labels(batch, codes == NO_CODE)
    return pa.array(codes)


def _coded_lists(labels: pa.Array, batch: pa.RecordBatch, names: Sequence[str], *, may_be_missing: bool) -> pa.Array:
    codes, row = _codes(pc.list_flatten(labels), names), pc.list_parent_indices(labels).to_numpy()
    lengths = pc.fill_null(pc.list_value_length(labels), 0).to_numpy().astype(np.int64)
    without = np.bincount(row[codes == NO_CODE], minlength=len(lengths))
    are_tags = TAGS in batch.schema.names
    unknown = pc.is_null(labels).to_numpy(zero_copy_only=False)
    unknown = unknown | ((without == lengths) & (without > 0 if are_tags else without == 1))
    _require_labels(batch, (without > 0) & ~unknown if may_be_missing else (without > 0) | unknown)
    if are_tags:
        return as_lists(codes, lengths)
    return as_lists(codes[~unknown[row]], np.where(unknown, 0, lengths), unknown)


def unlabelled(codes: pa.Array) -> NDArray[np.bool_]:
    """Return which rows of what `coded` returned have no label, [rows]."""
    if not pa.types.is_list(codes.type):
        return np.asarray(codes.to_numpy(zero_copy_only=False) == NO_CODE)
    unknown: NDArray[np.bool_] = pc.is_null(codes).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(codes).to_numpy(zero_copy_only=False)
    unknown[pc.list_parent_indices(codes).to_numpy()[flat == NO_CODE]] = True
    return unknown


def _require_labels(batch: pa.RecordBatch, are_missing: NDArray[np.bool_]) -> None:
    if not are_missing.any():
        return
    raise DataError(
        f"{batch[PLACE][int(are_missing.argmax())].as_py()}: the label is {UNLABELLED}, which means none, and training needs "
        f"every label; leave such rows out with data.ignore_labels=['{UNLABELLED}'] or, if it is a label, name it in "
        f"data.label_names ({{{UNLABELLED}: NAME, …}})"
    )


def _codes(labels: pa.Array, names: Sequence[str]) -> NDArray[np.int64]:
    found = pc.index_in(labels, value_set=pa.array(list(names), pa.string())).fill_null(NO_CODE)
    codes: NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes
