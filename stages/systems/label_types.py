"""Give gold and predictions labels of one type: names, lists of names, or numbers."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.columns.arrays import as_lists
from stages.pipeline.errors import DataError
from stages.systems.system_file import Role, SystemFile

_NUMBER = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)\s*", re.IGNORECASE | re.ASCII)
_FRACTION = re.compile(r"\.|e[+-]", re.IGNORECASE)
_INTEGERS = 2**63
_KINDS = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
_SHORT_WHOLE = re.compile(r"\s*-?\d{1,18}\s*", re.ASCII)
_TRUTH_VALUES = {"true": "True", "false": "False", "1": "True", "0": "False"}
_WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)


def as_arrow(file: SystemFile, name: str, parts: Sequence[Any], *, is_needed: bool) -> pa.ChunkedArray | None:
    """Return a column from the parts that a reader gave: Arrow's own, or lists of Python values, which must be of one type.

    Empty text in a file without types is null. Raises DataError naming the row of a needed column whose type is
    another than in the first row; None for such a column that is not needed.
    """
    if all(isinstance(part, pa.Array) for part in parts):
        return pa.chunked_array(parts)
    values = [value for part in parts for value in part]
    if file.is_untyped:
        values = [None if value == "" else value for value in values]
    kinds = [_KINDS.get(type(value)) for value in values]
    first = next((kind for kind in kinds if kind is not None), "text")
    for row, kind in enumerate(kinds):
        if kind not in (None, first):
            if is_needed:
                raise DataError(f"{file.where(row)}: {name} is {kind}, and {first} before; give all rows the same type")
            return None
    if first == "a number" and is_needed:
        _refuse_large(file, name, values)
    try:
        return pa.chunked_array([pa.array(values, pa.string() if first == "text" else None)])
    except OverflowError as error:
        if is_needed:
            raise DataError(f"{file.name}: {name} has integers of more than 63 bits; write them as text") from error
        return None
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        if is_needed:
            raise DataError(f"{file.name}: {name} has values of several types ({error}); give one type") from error
        return None


def _refuse_large(file: SystemFile, name: str, values: Sequence[Any]) -> None:
    for row, value in enumerate(values):
        if isinstance(value, int) and not -_INTEGERS <= value < _INTEGERS:
            raise DataError(f"{file.where(row)}: {name} is an integer of more than 63 bits; write it as text")


def with_names(file: SystemFile, column: str, names: Sequence[str] | None) -> pa.ChunkedArray:
    """Return a column of labels by name, if the file names its integers. -1, which is no label, becomes null."""
    values = file.table[column].combine_chunks()
    are_lists = file.has_lists(column)
    flat = pc.list_flatten(values) if are_lists else values
    if names is None or not pa.types.is_integer(flat.type):
        return file.table[column]
    codes = pc.if_else(pc.equal(flat, -1), None, flat).cast(pa.int64())
    outside = flags(pc.or_(pc.less(codes, 0), pc.greater_equal(codes, len(names))))
    if outside.any():
        code = codes[int(outside.argmax())].as_py()
        raise DataError(
            f"{file.name}: {column} has the label {code}, and names for 0 to {len(names) - 1}; write it again"
        )
    found = pc.take(pa.array(names, pa.string()), codes)
    if are_lists:
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
        found = as_lists(found, lengths, flags(values.is_null()))
    return pa.chunked_array([found])


def named_alike(gold: SystemFile, predictions: SystemFile) -> tuple[SystemFile, SystemFile]:
    """Return both by name, if one file names its integers and the other has integers, maybe written as text."""
    names, others = gold.label_names.get("gold"), predictions.label_names.get("predicted")
    if names is not None and others is None:
        found = with_names(_with_integers(predictions, "predicted", names), "predicted", names)
        predictions = predictions.with_column("predicted", found)
    elif others is not None and names is None:
        gold = gold.with_column("gold", with_names(_with_integers(gold, "gold", others), "gold", others))
    return gold, predictions


def _with_integers(file: SystemFile, role: Role, names: Sequence[str]) -> SystemFile:
    """Return the file with labels that are integers in text as integers, unless one of them is a name."""
    values = file.table[role]
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    found = set(pc.unique(values.drop_null()).to_pylist()) if is_text else set()
    if not found or found & set(names) or not all(map(_SHORT_WHOLE.fullmatch, found)):
        return file
    return file.with_column(role, pc.utf8_trim_whitespace(values).cast(pa.int64()))


def _with_truth_values(gold: SystemFile, predictions: SystemFile) -> tuple[SystemFile, SystemFile]:
    """Return both with `True` and `False` in one spelling, if one has truth values and the other has nothing else."""
    pair: tuple[tuple[SystemFile, Role], ...] = (gold, "gold"), (predictions, "predicted")
    if not any(pa.types.is_boolean(file.table[role].type) for file, role in pair):
        return gold, predictions
    first, second = (file.with_column(role, _truth_values(file.table[role])) for file, role in pair)
    return first, second


def _truth_values(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return truth values as text, and any other column as it is."""
    if pa.types.is_nested(values.type):
        return values
    found = [None if value is None else _TRUTH_VALUES.get(str(value).strip().lower()) for value in values.to_pylist()]
    is_other = found.count(None) > values.null_count
    return values if is_other else pa.chunked_array([pa.array(found, pa.string())])


def of_one_type(gold: SystemFile, predictions: SystemFile) -> tuple[SystemFile, SystemFile]:
    """Return both with labels of one type: text, lists of text, or numbers (float64).

    They are numbers if gold is of floating point, or if it has integers and predictions are not. Values of a file without
    types are numbers if all are and one has a fraction, or if most have one: the others are wrong then. Raises DataError
    naming file and row if the two do not fit.
    """
    gold, predictions = _with_truth_values(gold, predictions)
    kinds = _number_kind(gold, "gold"), _number_kind(predictions, "predicted")
    if kinds[0] == "fraction" or kinds == ("whole", "fraction"):
        return (
            gold.with_column("gold", numbers(gold, "gold")),
            predictions.with_column("predicted", numbers(predictions, "predicted")),
        )
    typed = (
        gold.with_column("gold", _names(gold, "gold")),
        predictions.with_column("predicted", _names(predictions, "predicted")),
    )
    if typed[0].has_lists("gold") != typed[1].has_lists("predicted"):
        one, several = (predictions, gold) if typed[0].has_lists("gold") else (gold, predictions)
        raise DataError(
            f"{one.name}: has one label per row where {several.name} has a list of labels; give both the same form"
        )
    return typed


def _number_kind(file: SystemFile, role: Role) -> str:
    """Return `whole` or `fraction`, or `none` if the labels are no numbers."""
    values = file.table[role]
    if pa.types.is_floating(values.type):
        return "fraction"
    if pa.types.is_integer(values.type):
        return "whole"
    if not file.is_untyped or not pa.types.is_string(values.type):
        return "none"
    counts = {each["values"]: each["counts"] for each in pc.value_counts(values.drop_null()).to_pylist()}
    fractions = {value for value in counts if _NUMBER.fullmatch(value) and _FRACTION.search(value)}
    if sum(counts[value] for value in fractions) * 2 > sum(counts.values()):
        return "fraction"
    if not counts or not all(map(_NUMBER.fullmatch, counts)):
        return "none"
    return "fraction" if fractions else "whole"


def numbers(file: SystemFile, column: str) -> pa.ChunkedArray:
    """Return a column as float64. Raises DataError naming the row of what is no number."""
    values = file.table[column]
    if not pa.types.is_string(values.type):
        try:
            return values.cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
            raise DataError(f"{file.name}: {column} has {values.type} values, not numbers; write numbers") from error
    texts = values.to_pylist()
    for row, text in enumerate(texts):
        if text is not None and not (file.is_untyped and _NUMBER.fullmatch(text)):
            raise DataError(f"{file.where(row)}: {column} is {text!r}, not a number; write a number")
    return pa.chunked_array([pa.array([None if text is None else float(text) for text in texts], pa.float64())])


def whole_numbers(file: SystemFile, column: str) -> pa.ChunkedArray:
    """Return a column as int32. Raises DataError naming the row of what is no whole number."""
    values = file.table[column]
    if values.null_count:
        raise DataError(f"{file.where(first_null(values))}: {column} is not known; number all rows")
    if pa.types.is_string(values.type):
        for row, text in enumerate(values.to_pylist()):
            if not _WHOLE.fullmatch(text):
                raise DataError(f"{file.where(row)}: {column} is {text!r}, not a whole number; number words from 0")
    try:
        return values.cast(pa.int32())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{file.name}: {column} holds more than whole numbers; number words from 0") from error


def first_null(values: pa.ChunkedArray | pa.Array) -> int:
    """Return the first row that is null. At least one must be."""
    return int(flags(values.is_null()).argmax())


def flags(values: pa.ChunkedArray | pa.Array) -> NDArray[np.bool_]:
    """Return a column of truth values, [rows]; False where it is null."""
    found: NDArray[np.bool_] = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return found


def _names(file: SystemFile, role: Role) -> pa.ChunkedArray:
    """Return a column of labels as text, integers included. Raises DataError for values that are no labels."""
    values = file.table[role]
    inner = values.type.value_type if file.has_lists(role) else values.type
    inner = inner.value_type if pa.types.is_dictionary(inner) else inner
    allowed = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    if not any(is_type(inner) for is_type in allowed):
        raise DataError(
            f"{file.name}: {role} of type {values.type} is neither labels, nor lists of labels, nor numbers as gold are; "
            "write it as text, lists of text or numbers"
        )
    return values.cast(pa.list_(pa.string()) if file.has_lists(role) else pa.string())
