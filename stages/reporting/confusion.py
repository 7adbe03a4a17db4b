"""The confusion matrix of a predictions file."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.reporting.content import Confusion
from stages.tasks import schemes

MOST_LABELS = 30
"""More labels than this can't be read: those that are confused least become one."""

OTHERS = "(all others)"


def confusion_of(predictions: pa.Table, names: Sequence[str]) -> Confusion | None:
    """What was predicted how often for what; None where units have no single label, or their gold is not known.

    `names` are the labels in their order; others that occur come behind. Entity tags are counted by type, since where
    an entity begins is told by its span.
    """
    gold, predicted = predictions["gold"], predictions["predicted"]
    if not pa.types.is_string(gold.type) or gold.null_count or predictions.num_rows == 0:
        return None
    names = list(dict.fromkeys([*names, *pc.unique(gold).to_pylist(), *pc.unique(predicted).to_pylist()]))
    is_tokens = "token" in predictions.column_names
    labels, place = _by_type(names) if is_tokens and schemes.are_entity_tags(names) else (list(names), None)
    codes = [pc.index_in(column, pa.array(names, pa.string())).to_numpy() for column in (gold, predicted)]
    if place is not None:
        codes = [place[each] for each in codes]
    counts = np.bincount(codes[0] * len(labels) + codes[1], minlength=len(labels) ** 2)
    matrix = counts.reshape(len(labels), len(labels))
    return _readable(Confusion("words" if is_tokens else "examples", tuple(labels), _rows(matrix)))


def _by_type(names: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The types of tags, `O` first, and each tag's place among them."""
    types = [(schemes.parse(name) or schemes.Tag(schemes.OUTSIDE, "")).type or schemes.OUTSIDE for name in names]
    order = list(dict.fromkeys([schemes.OUTSIDE, *types]))
    return order, np.array([order.index(type_) for type_ in types], np.int64)


def _readable(confusion: Confusion) -> Confusion:
    """At most `MOST_LABELS` labels: those with most confusions, in their order, and one for all others."""
    if len(confusion.labels) <= MOST_LABELS:
        return confusion
    matrix = np.array(confusion.counts)
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    kept = np.sort(np.argsort(-wrong, kind="stable")[: MOST_LABELS - 1])
    place = np.full(len(matrix), len(kept))
    place[kept] = np.arange(len(kept))
    folded = np.zeros((len(kept) + 1, len(kept) + 1), np.int64)
    np.add.at(folded, (place[:, None], place[None, :]), matrix)
    return Confusion(confusion.unit, (*(confusion.labels[k] for k in kept), OTHERS), _rows(folded))


def _rows(matrix: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
