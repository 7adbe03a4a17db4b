"""Turn the values of a column, from any reader, into Arrow arrays of the one type that the column's purpose has.

Nothing is guessed: a value of another type raises DataError with its file and row.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.columns.arrays import as_lists
from stages.pipeline.errors import DataError
from stages.pipeline.escaping import shortened
from stages.sources.label_names import UNLABELLED, LabelNames, Naming, canonical_label, is_integer
from stages.sources.list_notations import parsed_list
from stages.sources.readers.table_file import Column

STRINGS = pa.list_(pa.string())
NO_CODE = -1
"""The code of no label."""
_SHOWN = 40
"""How many columns of a terminal a message gives a faulty value."""
_NO_TEXT = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
"""What Arrow raises for values that it can't cast to text."""


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


def identifiers(column: Column, where: Where, what: str = "id") -> pa.Array:
    """Return strings, from text or integers. `what` names one in messages."""
    if isinstance(column, pa.Array):
        array = _plain(column)
        _refuse_nulls(array, where, what)
        with suppress(*_NO_TEXT):
            return array.cast(pa.string())
        raise where.fault(0, f"the {what} is {array.type}, neither text nor an integer; choose another column")
    if not set(map(type, column)) <= {str, int}:
        place = next(place for place, value in enumerate(column) if type(value) not in (str, int))
        if not _is_missing(column[place]):
            raise where.fault(place, f"the {what} is {_shown(column[place])}, neither text nor an integer; correct it")
        raise where.fault(place, f"has no {what}; fill it in or remove the row")
    return _strings([str(value) for value in column], where)


def groups(column: Column, where: Where) -> pa.Array:
    """Return the names of groups, from text or integers. Raises DataError for an empty one, which names no group."""
    return _filled(identifiers(column, where, "group"), where, "group")


def as_text(column: Column, where: Where, name: str) -> pa.Array:
    """Return strings or null, from text, numbers, booleans or dates; `name` is the column's."""
    array = _plain(column) if isinstance(column, pa.Array) else None
    if array is not None and not pa.types.is_nested(array.type) and not pa.types.is_binary(array.type):
        with suppress(*_NO_TEXT):
            return array.cast(pa.string())
    values = column.to_pylist() if isinstance(column, pa.Array) else column
    for place, value in enumerate(values):
        if not isinstance(value, str | int | float | None):
            raise where.fault(place, f"{name} is {_shown(value)}, not one value; leave it out of data.keep_columns")
    written = (str(value).lower() if isinstance(value, bool) else value for value in values)
    return _strings([None if value is None else str(value) for value in written], where)


def labels(column: Column, where: Where, naming: Naming, what: str = "label") -> pa.Array:
    """Return labels by name, from text, booleans (as `true` and `false`) or whole numbers; null for those that are ignored."""
    array, is_code = _label_texts(column, where, what)
    coded = array.dictionary_encode()
    found, names = coded.dictionary.to_pylist(), naming.names
    named = [(value, value if names is None else names.name_of(value, is_code=is_code)) for value in found]
    ignored = [naming.is_ignored(value, name) for value, name in named]
    for (value, name), is_ignored in zip(named, ignored, strict=True):
        if is_ignored:
            naming.left_out.labels.add(canonical_label(name or value))
        elif name is None:
            raise where.fault(pc.index(array, value).as_py(), _unnamed(value, naming, what))
    if not is_code and names is not None:
        _refuse_mixed_indices(array, where, names, what)
    kept = [None if is_ignored else name for (_, name), is_ignored in zip(named, ignored, strict=True)]
    return pa.array(kept, pa.string()).take(coded.indices)


def _label_texts(column: Column, where: Where, what: str) -> tuple[pa.Array, bool]:
    """Return labels as text, and whether they are of a type of integers."""
    if not isinstance(column, pa.Array):
        return _python_labels(column, where, what)
    array = _plain(column)
    _refuse_nulls(array, where, what)
    if pa.types.is_floating(array.type):
        return _whole_numbers(array.to_numpy(zero_copy_only=False), where, what), True
    if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return array.cast(pa.string()), pa.types.is_integer(array.type)
    if not pa.types.is_string(array.type):
        raise where.fault(0, _not_a_label(what, str(array.type)))
    return _filled(array, where, what), False


def label_lists(column: Column, where: Where, naming: Naming, what: str) -> pa.Array:
    """Return lists of labels by name; those that are ignored are null in them.

    `what`: `label` or `tag`. Labels are sets: a missing list is an empty one, and of equal labels in a list the first is kept.
    """
    are_sets = what == "label"
    offsets, flat = _flat(_without_gaps(column) if are_sets else column, where, what)
    lists = pa.ListArray.from_arrays(offsets, labels(flat, where.flattened(offsets), naming, what))
    return _without_repeats(lists) if are_sets else lists


def _without_repeats(lists: pa.ListArray) -> pa.ListArray:
    """Keep the first of equal labels in each list. Values of different names may have become one name."""
    given = lists.to_pylist()
    distinct = [list(dict.fromkeys(labels)) for labels in given]
    return lists if distinct == given else pa.array(distinct, STRINGS)


def _without_gaps(column: Column) -> Column:
    """Return a column of lists with empty ones for those that are missing, as they are in tables of pandas."""
    if not isinstance(column, pa.Array):
        return [[] if _is_missing(value) else value for value in column]
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.if_else(pc.is_valid(column), column, pa.scalar([], column.type))
    return _without_gaps(column.to_pylist()) if column.null_count else column


def _is_missing(value: object) -> bool:
    is_blank = isinstance(value, str) and not value.strip()
    return value is None or is_blank or (isinstance(value, float) and math.isnan(value))


def separated_labels(column: Column, where: Where, naming: Naming, separator: str) -> pa.Array:
    """Return lists of labels by name, from cells that hold them with a separator between. An empty cell has none.

    White space around a label means nothing, nor does a separator at the end, or a label that is repeated.
    """
    array = _plain(column) if isinstance(column, pa.Array) else None
    values = column if array is None else array.to_pylist()
    rows = [_separated(value, where, place, separator) for place, value in enumerate(values)]
    offsets = _offsets(np.array([len(row) for row in rows], np.int64))
    flat: list[object] = list(chain.from_iterable(rows))
    return _without_repeats(pa.ListArray.from_arrays(offsets, labels(flat, where.flattened(offsets), naming)))


def _separated(value: object, where: Where, place: int, separator: str) -> list[str]:
    if _is_missing(value):
        return []
    if type(value) is int or (isinstance(value, float) and value.is_integer()):
        return [str(int(value))]
    if not isinstance(value, str):
        raise where.fault(
            place,
            f"holds {_shown(value)}, not labels with {separator!r} between; set data.label_separator=null for lists",
        )
    pieces = value.split() if separator.isspace() else [piece.strip() for piece in value.split(separator)]
    return list(dict.fromkeys(piece for piece in pieces if piece))


def flagged_labels(columns: Mapping[str, Column], where: Where) -> pa.Array:
    """Return lists of the labels, each a column, that a row has: its cells hold 1 or 0, or true or false.

    A row whose cells all hold -1 is null: its labels are not known.
    """
    flags = np.stack([_flags(column, where, name) for name, column in columns.items()], axis=1)
    unknown = flags == NO_CODE
    partly = np.flatnonzero(unknown.any(axis=1) & ~unknown.all(axis=1))
    if len(partly):
        row = int(partly[0])
        name = list(columns)[int(unknown[row].argmax())]
        raise where.fault(row, f"{name} is -1, no label, and other labels are 0 or 1; give all of them, or -1 in all")
    _, codes = np.nonzero(flags == 1)
    found = pa.array(list(columns), pa.string()).take(pa.array(codes))
    return as_lists(found, (flags == 1).sum(axis=1), unknown.all(axis=1))


_FLAGS: Mapping[str, int] = {"0": 0, "1": 1, "false": 0, "true": 1, "-1": NO_CODE}


def _flags(column: Column, where: Where, name: str) -> NDArray[np.int64]:
    values = _plain(column).to_pylist() if isinstance(column, pa.Array) else column
    found = [_FLAGS.get(canonical_label(str(value).strip()).lower()) for value in values]
    if None in found:
        place = found.index(None)
        has = "has nothing" if values[place] in (None, "") else f"is {_shown(values[place])}"
        raise where.fault(
            place, f"the column {name} {has}, not 0 or 1; correct it, or leave it out of data.label_column"
        )
    return np.array(found, np.int64)


def as_lists_of_nulls(lengths: NDArray[np.int64]) -> pa.Array:
    """Return lists of null of these lengths, typed as lists of strings."""
    return as_lists(pa.nulls(int(lengths.sum()), pa.string()), lengths)


def text_lists(column: Column, where: Where, what: str) -> pa.Array:
    """Return lists of strings."""
    offsets, flat = _flat(column, where, what)
    return pa.ListArray.from_arrays(offsets, texts(flat, where.flattened(offsets), what))


def numbers(column: Column, where: Where, naming: Naming) -> pa.Array:
    """Return finite numbers as float64, from numbers or their decimal notation; null for what is ignored."""
    values = column.to_pylist() if isinstance(column, pa.Array) else column
    is_ignored = np.array([bool(naming.ignored) and naming.is_ignored(str(value), None) for value in values], bool)
    naming.left_out.labels.update(canonical_label(str(values[place])) for place in np.flatnonzero(is_ignored))
    found = np.array([_number(value) for value in values])
    bad = np.flatnonzero(~np.isfinite(found) & ~is_ignored)
    if len(bad):
        raise where.fault(
            int(bad[0]), f"the label is {_shown(values[bad[0]])}, not a finite number; correct it or remove the row"
        )
    return pa.array(found, pa.float64(), mask=is_ignored)


def _python_labels(column: list[object], where: Where, what: str) -> tuple[pa.Array, bool]:
    _require(column, where, what, str, int, float, bool)
    kinds = [int if type(value) is float else type(value) for value in column]
    if len(set(kinds)) > 1:
        place = next(place for place, kind in enumerate(kinds) if kind is not kinds[0])
        raise where.fault(
            place, f"the {what} {_shown(column[place])} has another type than those before it; use one type"
        )
    if set(kinds) == {int}:
        if any(type(value) is float for value in column):
            return _whole_numbers(np.array(column, np.float64), where, what), True
        return pa.array([str(value) for value in column], pa.string()), True
    if set(kinds) == {bool}:
        return pa.array([str(value).lower() for value in column], pa.string()), False
    return _filled(_strings([str(value) for value in column], where), where, what), False


def _whole_numbers(values: NDArray[np.float64], where: Where, what: str) -> pa.Array:
    """Return numbers that are whole as text without a fraction: pandas makes floats of integers beside a gap."""
    bad = np.flatnonzero(~(np.isfinite(values) & (values == np.floor(values))))
    if len(bad):
        value = float(values[bad[0]])
        if math.isnan(value):
            raise where.fault(int(bad[0]), f"has no {what}; fill it in or remove the row")
        raise where.fault(int(bad[0]), _not_a_label(what, _shown(value)))
    return pa.array([str(int(value)) for value in values.tolist()], pa.string())


def _filled(array: pa.Array, where: Where, what: str) -> pa.Array:
    empty = pc.equal(pc.utf8_trim_whitespace(array), "")
    if pc.any(empty).as_py():
        raise where.fault(pc.index(empty, True).as_py(), f"the {what} is empty; fill it in or remove the row")
    return array


def _unnamed(value: str, naming: Naming, what: str) -> str:
    assert naming.names is not None
    names = ", ".join(naming.names.names)
    if naming.names.by_value is not None:
        values = ", ".join(naming.names.by_value)
        return f"the {what} {_shown(value)} is not one of {values}, which data.label_names names; add it there, or correct it"
    if is_integer(value) and not naming.names.take_integers_as_names:
        return (
            f"the {what} {value} is not one of the {len(naming.names.names)} that are named: {names}; they count from 0 "
            "(data.label_names={1: NAME, …} says what each integer stands for)"
        )
    return f"the {what} {_shown(value)} is not one of {names}; correct it, remove the row or set data.label_names"


def _refuse_mixed_indices(array: pa.Array, where: Where, names: LabelNames, what: str) -> None:
    """Raise DataError for integers beside names: they are indices where a file has nothing else."""
    found = [value for value in pc.unique(array).to_pylist() if names.name_of(value) not in (None, UNLABELLED)]
    indices = [value for value in found if names.is_index(value)]
    if indices and len(indices) < len(found):
        raise where.fault(
            pc.index(array, indices[0]).as_py(),
            f"the {what} {indices[0]} is mixed with names; write all as names or all as integers",
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
        found = parsed_list(value)
        if found is not None:
            return found
    if value is None:
        raise where.fault(place, f"has no list of {what}s; fill it in or remove the row")
    separated = " or, for labels with a separator between, set data.label_separator" if what == "label" else ""
    raise where.fault(place, f"holds {_shown(value)}, not a list of {what}s; write it as a JSON list{separated}")


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
        raise where.fault(place, "holds half of a surrogate pair, which is not a character; correct it") from None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    return shortened(repr(value), _SHOWN)
