"""From a source's tables to the one form that all later stages read."""

import re
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from stages.configuration.schema import SPLITS, Kind, MaxExamples, Split
from stages.pipeline.errors import DataError
from stages.sources.selection import select_stratified
from stages.sources.tables import INPUT_COLUMN, LABEL_COLUMN, SourceTables

OUTSIDE = "O"
_NO_LABEL = "-1"
"""What some test splits have in place of a label. It is one only where the source names it."""


def canonical(source: SourceTables, validation_fraction: float, limits: MaxExamples, seed: int) -> DatasetDict:
    """Splits `train`, `validation` and `test` with `id`, the input column and ClassLabel labels.

    Labels are ordered as the source names them, else naturally (2 before 10; `O` first, then by entity type), over
    all splits together. A missing validation split is carved out of train. Raises DataError naming split and row.
    """
    checked = {split: _checked(source, split) for split in SPLITS if split in source.splits}
    _refuse_mixed_labels(source, checked)
    names = _label_names(source, checked.values())
    coded = {split: _coded(table, source, split, names) for split, table in checked.items()}
    if "validation" not in coded:
        coded["train"], coded["validation"] = _carve(coded["train"], source.kind, names, validation_fraction, seed)
    limited = {split: _limited(coded[split], source.kind, names, getattr(limits, split), seed) for split in SPLITS}
    features = _features(source.kind, names)
    return DatasetDict({split: Dataset(table.cast(features.arrow_schema)) for split, table in limited.items()})


def _features(kind: Kind, names: Sequence[str]) -> Features:
    label = ClassLabel(names=list(names))
    if kind == "text":
        return Features({"id": Value("string"), "text": Value("string"), "label": label})
    return Features({"id": Value("string"), "tokens": List(Value("string")), "tags": List(label)})


def _checked(source: SourceTables, split: Split) -> pa.Table:
    """The split's table with plain column types, or a DataError for the first row that can't be used."""
    table, origin = source.splits[split].combine_chunks(), source.origins[split]
    if table.num_rows == 0:
        raise DataError(f"{split} ({origin}): holds no examples; give a file that does")
    inputs, labels = table[INPUT_COLUMN[source.kind]], table[LABEL_COLUMN[source.kind]]
    _refuse_nulls(inputs, labels, split, origin)
    if source.kind == "tokens":
        _refuse_uneven(inputs, labels, split, origin)
    elif not _is_string(inputs.type):
        raise DataError(f"{split} ({origin}): the text column holds {inputs.type}, not text; set data.text_column")
    kind = _labels(table).type
    if not _is_string(kind) and not pa.types.is_integer(kind):
        raise DataError(f"{split} ({origin}): the labels hold {kind}, not text or integers; set data.label_column")
    return table


def _refuse_nulls(inputs: pa.ChunkedArray, labels: pa.ChunkedArray, split: Split, origin: str) -> None:
    for column, what in ((inputs, "text"), (labels, "label")):
        if column.null_count:
            row = pc.index(pc.is_null(column), True).as_py()
            raise DataError(f"{split} ({origin}), row {row + 1}: has no {what}; fill it in or remove the row")


def _refuse_uneven(tokens: pa.ChunkedArray, tags: pa.ChunkedArray, split: Split, origin: str) -> None:
    for column, key in ((tokens, "data.text_column"), (tags, "data.label_column")):
        if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
            raise DataError(
                f"{split} ({origin}): {key} holds {column.type}, not a list a row; choose task=text or another column"
            )
    uneven = pc.not_equal(pc.list_value_length(tokens), pc.list_value_length(tags))
    if pc.any(uneven).as_py():
        row = pc.index(uneven, True).as_py()
        words, labels = len(tokens[row].as_py()), len(tags[row].as_py())
        raise DataError(
            f"{split} ({origin}), row {row + 1}: has {words} words but {labels} tags; give each word one tag"
        )
    for column, what in ((tokens, "word"), (tags, "tag")):
        flat = pc.list_flatten(column)
        if flat.null_count:
            row = _row(column, pc.index(pc.is_null(flat), True).as_py())
            raise DataError(f"{split} ({origin}), row {row}: a {what} is missing; fill it in or remove the row")
    words = pc.list_flatten(tokens).type
    if not _is_string(words):
        raise DataError(f"{split} ({origin}): the words hold {words}; they must be text")


def _refuse_mixed_labels(source: SourceTables, tables: Mapping[Split, pa.Table]) -> None:
    """Integers in one split and text in another are two codings of the same labels, unless the names say how they meet."""
    integers = [split for split, table in tables.items() if pa.types.is_integer(_labels(table).type)]
    if source.label_names is None and 0 < len(integers) < len(tables):
        texts = [split for split in tables if split not in integers]
        raise DataError(
            f"data: labels are integers in {', '.join(integers)} but text in {', '.join(texts)}; "
            "write them alike, or give the names that the integers stand for as data.label_names=[...]"
        )


def _row(column: pa.ChunkedArray, place: int) -> int:
    """The row, counted from 1, of the value at `place` in a column of values or, flattened, of lists."""
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return place + 1
    return int(pc.list_parent_indices(column)[place].as_py()) + 1


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _label_column(table: pa.Table) -> pa.ChunkedArray:
    return table["label"] if "label" in table.column_names else table["tags"]


def _labels(table: pa.Table) -> pa.ChunkedArray:
    """Every label of a split, one after the other, of a plain type."""
    column = _label_column(table)
    flat = column if "label" in table.column_names else pc.list_flatten(column)
    return flat.cast(flat.type.value_type) if pa.types.is_dictionary(flat.type) else flat


def _label_names(source: SourceTables, tables: Iterable[pa.Table]) -> tuple[str, ...]:
    """All labels in their stable order; what a source names wins, because integer labels index it."""
    if source.label_names is not None:
        return source.label_names
    found = {str(value) for table in tables for value in pc.unique(_labels(table)).to_pylist()}
    return tuple(sorted(found - {_NO_LABEL}, key=_natural_order))


def _natural_order(label: str) -> tuple[object, ...]:
    """`O` first; entity tags by type and then prefix (B before I); digits by value."""
    prefix, separator, entity = label.partition("-")
    if not separator or len(prefix) != 1:
        prefix, entity = "", label
    pieces = tuple((0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", entity))
    return (label != OUTSIDE, pieces, prefix, label)


def _coded(table: pa.Table, source: SourceTables, split: Split, names: tuple[str, ...]) -> pa.Table:
    """The table with its labels as int64 codes into `names`, its columns in canonical order, and an `id`."""
    labels = _labels(table)
    if pa.types.is_integer(labels.type) and source.label_names is not None:
        codes = labels.cast(pa.int64())
        bad = pc.or_(pc.less(codes, 0), pc.greater_equal(codes, len(names)))
    else:
        codes = pc.index_in(labels.cast(pa.string()), value_set=pa.array(names)).cast(pa.int64())
        bad = pc.is_null(codes)
    if pc.any(bad).as_py():
        place = pc.index(bad, True).as_py()
        raise DataError(
            f"{split} ({source.origins[split]}), row {_row(_label_column(table), place)}: "
            f"label {labels[place].as_py()!r} is none of {', '.join(names)}; "
            "every example needs a known label, so correct it, remove those rows or set data.label_names"
        )
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    ids = table["id"] if "id" in table.column_names else pa.array([f"{split}-{row}" for row in range(table.num_rows)])
    if source.kind == "text":
        return pa.table({"id": ids, "text": table["text"].cast(pa.string()), "label": codes})
    tokens = table["tokens"].combine_chunks()
    offsets = pa.array([0, *pc.cumulative_sum(pc.list_value_length(tokens)).to_pylist()], pa.int32())
    return pa.table(
        {
            "id": ids,
            "tokens": tokens.cast(pa.list_(pa.string())),
            "tags": pa.ListArray.from_arrays(offsets, codes),
        }
    )


def _carve(table: pa.Table, kind: Kind, names: Sequence[str], fraction: float, seed: int) -> tuple[pa.Table, pa.Table]:
    count = max(1, round(table.num_rows * fraction))
    if count >= table.num_rows:
        raise DataError(
            f"train: {table.num_rows} examples are too few to carve validation out of; give data.validation"
        )
    chosen = select_stratified(_contents(table, kind), _strata(table, kind, names), count, seed)
    rest = sorted(set(range(table.num_rows)) - set(chosen))
    return table.take(rest), table.take(chosen)


def _limited(table: pa.Table, kind: Kind, names: Sequence[str], limit: int | None, seed: int) -> pa.Table:
    if limit is None or limit >= table.num_rows:
        return table
    return table.take(select_stratified(_contents(table, kind), _strata(table, kind, names), limit, seed))


def _contents(table: pa.Table, kind: Kind) -> list[str]:
    if kind == "text":
        return [str(text) for text in table["text"].to_pylist()]
    return ["\n".join(words) for words in table["tokens"].to_pylist()]


def _strata(table: pa.Table, kind: Kind, names: Sequence[str]) -> list[str]:
    """Text: the label. Tokens: whether anything in the sentence is tagged."""
    if kind == "text":
        return [names[code] for code in table["label"].to_pylist()]
    return [str(any(names[code] != OUTSIDE for code in codes)) for codes in table["tags"].to_pylist()]
