"""What two files say of the same rows beside predictions agrees: their ids, their texts, and gold that both have."""

from collections.abc import Sequence
from dataclasses import replace
from reprlib import Repr

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.pipeline.errors import DataError
from stages.systems.label_types import named_alike, numbers, of_one_type
from stages.systems.system_file import ID, ID_NAMES, TEXT_COLUMNS, TOKEN, TOKEN_LISTS, WORD, SystemFile

_HOW_TO_JOIN = "give predictions in the order of gold, or an id in both files, by which rows are joined in any order"
_short = Repr()
_short.maxstring = 60
_short.maxlist = 8


def with_shared_id(gold: SystemFile, predictions: SystemFile) -> tuple[SystemFile, SystemFile]:
    """Both with `id`, where both have a column that is one under another name: with a value of its own for each example.

    Other names than `id` count only if both files have the same values: pandas numbers any rows in `index`.
    """
    for name in ID_NAMES:
        columns = [_column(file, name) for file in (gold, predictions)]
        if columns == [ID, ID]:
            break
        found = [file.table[column] for file, column in zip((gold, predictions), columns, strict=True) if column]
        if len(found) == 2 and _are_ids(found, gold, predictions, must_be_same=name != ID):
            return gold.with_column(ID, found[0]), predictions.with_column(ID, found[1])
    return gold, predictions


def _column(file: SystemFile, name: str) -> str | None:
    if file.has(name):
        return name
    return next((column for column in file.table.column_names if column.lower() == name), None)


def _are_ids(columns: Sequence[pa.ChunkedArray], *files: SystemFile, must_be_same: bool) -> bool:
    are_words = any(file.has(name) for file in files for name in (TOKEN, WORD, *TOKEN_LISTS))
    if not all(are_runs(column) for column in columns):
        return False
    if not are_words and any(pc.count_distinct(column).as_py() < len(column) for column in columns):
        return False
    one, other = (set(column.cast(pa.string()).to_pylist()) for column in columns)
    return one == other or not must_be_same


def are_runs(values: pa.ChunkedArray) -> bool:
    """Whether values may be ids: they are text or integers, all known, and rows with the same one are neighbours."""
    if values.null_count or not (pa.types.is_string(values.type) or pa.types.is_integer(values.type)):
        return False
    codes = values.combine_chunks().dictionary_encode().indices.to_numpy()
    runs = np.count_nonzero(np.diff(codes, prepend=-1))
    return bool(runs == pc.count_distinct(values).as_py())


def with_comparable_gold(gold: SystemFile, predictions: SystemFile) -> SystemFile:
    """Predictions whose file's own gold, where it has any, is of gold's type, or left out where it can't be."""
    if not predictions.has("gold"):
        return predictions
    without = predictions.without("gold")
    own = replace(without.with_column("predicted", predictions.table["gold"]), label_names={})
    try:
        if pa.types.is_floating(gold.table["gold"].type):
            found = numbers(own, "predicted")
        else:
            found = of_one_type(*named_alike(gold, own))[1].table["predicted"]
    except DataError:
        return without
    if found.type != gold.table["gold"].type or _are_codes(found) != _are_codes(gold.table["gold"]):
        return without
    return without.with_column("gold", found)


def _are_codes(labels: pa.ChunkedArray) -> bool:
    """Whether labels are integers, which may stand for names that nothing tells."""
    is_text = pa.types.is_string(labels.type)
    return is_text and all(name.strip().isdecimal() for name in pc.unique(labels.drop_null()).to_pylist())


def require_same_texts(gold: SystemFile, predictions: SystemFile) -> None:
    """Raise DataError for the first row of joined files whose texts differ by more than white space."""
    for column in (*TEXT_COLUMNS, *TOKEN_LISTS):
        if not (gold.has(column) and predictions.has(column)):
            continue
        pairs = zip(gold.table[column].to_pylist(), predictions.table[column].to_pylist(), strict=True)
        for row, (text, other) in enumerate(pairs):
            if _plain(text) != _plain(other):
                raise DataError(
                    f"{predictions.where(row)}: has the {column} {_short.repr(other)} where {gold.where(row)} has "
                    f"{_short.repr(text)}; {_HOW_TO_JOIN}; or --ignore-words if only the spelling differs"
                )


def _plain(text: object) -> object:
    return " ".join(text.split()) if isinstance(text, str) else text or ""


def require_same_gold(gold: SystemFile, predictions: SystemFile) -> None:
    """Raise DataError for the first row of joined files whose gold differs, where both files have it."""
    if not predictions.has("gold"):
        return
    pairs = zip(gold.table["gold"].to_pylist(), predictions.table["gold"].to_pylist(), strict=True)
    for row, (label, other) in enumerate(pairs):
        is_same = sorted(label) == sorted(other or ()) if isinstance(label, list) else label == other
        if other is not None and not is_same:
            raise DataError(
                f"{predictions.where(row)}: its own column of gold has {_short.repr(other)} where {gold.where(row)} has "
                f"{_short.repr(label)}; {_HOW_TO_JOIN}; or remove that column"
            )
