"""Turn the values of a column, from any reader, into Arrow arrays of the one type that the column's purpose has.

Nothing is guessed: a value of another type raises DataError with its file and row.
"""

import ast
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.sources.readers.table_file import Column

STRINGS = pa.list_(pa.string())
_INTEGER = re.compile(r"-?\d+")
_SHOWN = 40
"""How many characters of a faulty value a message shows."""


@dataclass(frozen=True)
class Where:
    """Where the values of a column stand, for messages."""

    file: str
    unit: str
    numbers: Sequence[int]
    offsets: NDArray[np.int32] | None = None
    """For the flattened values of a column of lists: where each list begins, and the end."""

    def fault(self, place: int, what: str) -> DataError:
        """Return the error for the value at `place`."""
        row = place if self.offsets is None else int(np.searchsorted(self.offsets, place, side="right")) - 1
        return DataError(f"{self.file}, {self.unit} {self.numbers[row]}: {what}")

    def flattened(self, offsets: NDArray[np.int32]) -> "Where":
        """Return the same for the values of the lists that begin at `offsets`."""
        return replace(self, offsets=offsets)


def is_integer(text: str) -> bool:
    """Whether a string denotes an integer."""
    return _INTEGER.fullmatch(text) is not None


def list_lengths(lists: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the length of each list, [rows]; no list may be null."""
    lengths: NDArray[np.int64] = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


def texts(column: Column, where: Where, what: str) -> pa.Array:
    """Return strings. `what` names one in messages."""
    if isinstance(column, pa.Array):
        array = _plain(column)
        _refuse_nulls(array, where, what)
        if not pa.types.is_string(array.type):
            raise where.fault(0, f"the {what} is {array.type}, not text; choose another column")
        return array
    _require(column, where, what, str)
    return _strings([str(value) for value in column], where)


def identifiers(column: Column, where: Where) -> pa.Array:
    """Return strings, from text or integers."""
    if isinstance(column, pa.Array):
        array = _plain(column)
        _refuse_nulls(array, where, "id")
        return array.cast(pa.string())
    _require(column, where, "id", str, int)
    return _strings([str(value) for value in column], where)


def as_text(column: Column, where: Where, name: str) -> pa.Array:
    """Return strings or null, from text, numbers, booleans or dates; `name` is the column's."""
    array = _plain(column) if isinstance(column, pa.Array) else None
    if array is not None and not pa.types.is_nested(array.type) and not pa.types.is_binary(array.type):
        return array.cast(pa.string())
    values = column.to_pylist() if isinstance(column, pa.Array) else column
    for place, value in enumerate(values):
        if not isinstance(value, str | int | float | None):
            raise where.fault(place, f"{name} is {_shown(value)}, not one value; leave it out of data.keep_columns")
    written = (str(value).lower() if isinstance(value, bool) else value for value in values)
    return _strings([None if value is None else str(value) for value in written], where)


@dataclass(frozen=True)
class LabelNames:
    """The names that labels may have."""

    names: Sequence[str]
    are_indexed: bool = False
    """Whether integers are indices for sure, as the file's format has it. Else they are where no name is an integer itself."""

    @property
    def take_integers_as_names(self) -> bool:
        """Whether integers are names, though each could be an index."""
        are_indices = self.are_indexed or all(name == str(code) for code, name in enumerate(self.names))
        return not are_indices and any(map(is_integer, self.names))


def labels(column: Column, where: Where, names: LabelNames | None, what: str = "label") -> pa.Array:
    """Return labels by name, from text, booleans or integers, as `names` says if they are known."""
    if isinstance(column, pa.Array):
        array = _plain(column)
        _refuse_nulls(array, where, what)
        if pa.types.is_integer(array.type):
            return _named(array.to_numpy(zero_copy_only=False).astype(np.int64), where, names, what)
        if pa.types.is_boolean(array.type):
            return array.cast(pa.string())
        if not pa.types.is_string(array.type):
            raise where.fault(0, _not_a_label(what, str(array.type)))
        return _from_text(array, where, names, what)
    return _python_labels(column, where, names, what)


def label_lists(column: Column, where: Where, names: LabelNames | None, what: str) -> pa.Array:
    """Return lists of labels by name."""
    offsets, flat = _flat(column, where, what)
    return pa.ListArray.from_arrays(offsets, labels(flat, where.flattened(offsets), names, what))


def text_lists(column: Column, where: Where, what: str) -> pa.Array:
    """Return lists of strings."""
    offsets, flat = _flat(column, where, what)
    return pa.ListArray.from_arrays(offsets, texts(flat, where.flattened(offsets), what))


def numbers(column: Column, where: Where) -> pa.Array:
    """Return finite numbers as float64, from numbers or their decimal notation."""
    values = column.to_pylist() if isinstance(column, pa.Array) else column
    found = np.array([_number(value) for value in values])
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        raise where.fault(
            int(bad[0]), f"the label is {_shown(values[bad[0]])}, not a finite number; correct it or remove the row"
        )
    return pa.array(found, pa.float64())


def _python_labels(column: list[object], where: Where, names: LabelNames | None, what: str) -> pa.Array:
    _require(column, where, what, str, int, bool)
    kinds = set(map(type, column))
    if len(kinds) > 1:
        first = type(column[0])
        place = next(place for place, value in enumerate(column) if type(value) is not first)
        raise where.fault(
            place, f"the {what} {_shown(column[place])} is of another type than those before it; write all alike"
        )
    if kinds == {int}:
        return _named(np.array(column, np.int64), where, names, what)
    if kinds == {bool}:
        return pa.array([str(value).lower() for value in column], pa.string())
    return _from_text(_strings([str(value) for value in column], where), where, names, what)


def _named(codes: NDArray[np.int64], where: Where, known: LabelNames | None, what: str) -> pa.Array:
    """Turn integers into names; -1, which means no label, stays as it is."""
    if known is None:
        return pa.array(codes).cast(pa.string())
    names = known.names
    if known.take_integers_as_names:
        return _from_text(pa.array(codes).cast(pa.string()), where, known, what)
    bad = np.flatnonzero((codes < -1) | (codes >= len(names)))
    if len(bad):
        raise where.fault(
            int(bad[0]), f"the {what} {codes[bad[0]]} is none of the {len(names)} that are named: {', '.join(names)}"
        )
    return pa.array(["-1" if code < 0 else names[code] for code in codes.tolist()], pa.string())


def _from_text(array: pa.Array, where: Where, known: LabelNames | None, what: str) -> pa.Array:
    """Return labels from text. Digits are integers, since CSV has none: they index the names if no name is an integer."""
    empty = pc.equal(pc.utf8_trim_whitespace(array), "")
    if pc.any(empty).as_py():
        raise where.fault(pc.index(empty, True).as_py(), f"the {what} is empty; fill it in or remove the row")
    if known is None:
        return array
    names = known.names
    unknown = pc.invert(pc.is_in(array, value_set=pa.array(list(names), pa.string())))
    if not pc.any(unknown).as_py():
        return array
    place = pc.index(unknown, True).as_py()
    distinct = pc.unique(array).to_pylist()
    if all(map(is_integer, distinct)) and not known.take_integers_as_names:
        return _named(np.array(array.to_pylist(), np.int64), where, known, what)
    unfit = [label for label in distinct if label not in names and label != "-1"]
    if not unfit:
        return array
    place = pc.index(array, unfit[0]).as_py()
    raise where.fault(
        place,
        f"the {what} {_shown(array[place].as_py())} is none of {', '.join(names)}; "
        "correct it, remove the row or set data.label_names",
    )


def _require(column: Sequence[object], where: Where, what: str, *allowed: type) -> None:
    if set(map(type, column)) <= set(allowed):
        return
    place = next(place for place, value in enumerate(column) if type(value) not in allowed)
    value = column[place]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise where.fault(place, f"has no {what}; fill it in or remove the row")
    if str in allowed and int in allowed:
        raise where.fault(place, _not_a_label(what, _shown(value)))
    raise where.fault(place, f"the {what} is {_shown(value)}, not text; correct it or choose another column")


def _not_a_label(what: str, found: str) -> str:
    return (
        f"the {what} is {found}, neither text nor an integer; correct it or choose another column "
        "(numbers are for task=regression, lists for task=multilabel)"
    )


def _flat(column: Column, where: Where, what: str) -> tuple[NDArray[np.int32], Column]:
    """Return where each list begins (and the last ends), and the values of all of them."""
    if isinstance(column, pa.Array):
        _refuse_nulls(column, where, f"list of {what}s")
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            return _offsets(list_lengths(column)), pc.list_flatten(column)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise where.fault(0, f"holds {column.type}, not a list of {what}s; choose task=text or another column")
        column = column.to_pylist()
    rows = [_listed(value, where, place, what) for place, value in enumerate(column)]
    return _offsets(np.array([len(row) for row in rows], np.int64)), list(chain.from_iterable(rows))


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return where lists of these lengths begin, and the last ends, as int32, which Arrow's lists use."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _listed(value: object, where: Where, place: int, what: str) -> list[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        found = _parsed_list(value)
        if found is not None:
            return found
    if value is None:
        raise where.fault(place, f"has no list of {what}s; fill it in or remove the row")
    raise where.fault(place, f"holds {_shown(value)}, not a list of {what}s; write it as a JSON list")


def _parsed_list(text: str) -> list[object] | None:
    """Parse a list in a cell of CSV: JSON, or Python's notation, which pandas writes."""
    for parse in _LIST_NOTATIONS:
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    return None


_LIST_NOTATIONS: tuple[Callable[[str], object], ...] = (json.loads, ast.literal_eval)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _plain(array: pa.Array) -> pa.Array:
    """Decode a dictionary, and cast every kind of string to `string`."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    is_text = pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
    return array.cast(pa.string()) if is_text else array


def _refuse_nulls(array: pa.Array, where: Where, what: str) -> None:
    if array.null_count:
        raise where.fault(pc.index(pc.is_null(array), True).as_py(), f"has no {what}; fill it in or remove the row")


def _strings(values: Sequence[str | None], where: Where) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        place = next(place for place, value in enumerate(values) if value and not _is_unicode(value))
        raise where.fault(place, "holds half of a surrogate pair, which is no character; correct it") from None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
