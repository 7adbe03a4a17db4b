"""The predictions file: its columns as arrays, and the note in its schema that says what it holds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.configuration.schema import Kind, Target
from stages.pipeline.errors import DataError
from stages.scoring.headline.entities import TaggedWords

GOLD = "gold"
PREDICTED = "predicted"
SCORE = "score"
PROBABILITIES = "probabilities"
LOSS = "loss"
TOKEN = "token"

LOSS_DECIMALS = 9
"""Decimals of each unit's loss in the file: enough for the mean to be that of the exact ones in a metrics file."""

_TASK, _TARGET, _LABELS = b"stagewright.task", b"stagewright.target", b"stagewright.labels"

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Description:
    """What a predictions file holds."""

    kind: Kind
    target: Target
    names: Sequence[str]
    """The labels in the order of their codes."""


def described(table: pa.Table, description: Description) -> pa.Table:
    """The table with the description in its schema, which Parquet keeps."""
    return table.replace_schema_metadata(
        {
            _TASK: description.kind,
            _TARGET: description.target,
            _LABELS: json.dumps(list(description.names), ensure_ascii=False),
        }
    )


def description_of(table: pa.Table) -> Description:
    """What the schema says, or else the columns: a `word` column is of tokens, lists are label sets, numbers numbers.

    Raises DataError if a column is missing or the gold is not known.
    """
    for column in (GOLD, PREDICTED):
        if column not in table.column_names:
            raise DataError(
                f"predictions have no column {column!r} among {', '.join(table.column_names)}; name it that way"
            )
        if table[column].null_count:
            row = int(np.flatnonzero(table[column].is_null().to_numpy())[0]) + 1
            raise DataError(f"predictions, row {row}: {column} is not known; leave the row out, or label it")
    if table.num_rows == 0:
        raise DataError("predictions hold no row; give at least one")
    notes = table.schema.metadata or {}
    if not {_TASK, _TARGET, _LABELS} <= notes.keys():
        return _guessed(table)
    kind, target = notes[_TASK].decode(), notes[_TARGET].decode()
    if kind not in get_args(Kind) or target not in get_args(Target):
        raise DataError(f"predictions are said to be {kind}, {target} in their schema; make them again")
    return Description(kind, target, json.loads(notes[_LABELS]))


def _guessed(table: pa.Table) -> Description:
    gold, predicted = table[GOLD], table[PREDICTED]
    if pa.types.is_floating(gold.type) or (pa.types.is_integer(gold.type) and pa.types.is_floating(predicted.type)):
        return Description("text", "number", ())
    if pa.types.is_list(gold.type):
        gold, predicted = pc.list_flatten(gold), pc.list_flatten(predicted)
        return Description("text", "labels", _all_names(gold, predicted))
    return Description("tokens" if "word" in table.column_names else "text", "label", _all_names(gold, predicted))


def _all_names(gold: pa.ChunkedArray, predicted: pa.ChunkedArray) -> list[str]:
    return sorted({*pc.unique(strings(gold)).to_pylist(), *pc.unique(strings(predicted)).to_pylist()})


def codes(table: pa.Table, column: str, names: Sequence[str]) -> Codes:
    """A column of labels as indices in `names`, [rows]. Raises DataError for another label."""
    return _codes(strings(table[column]), names)


def label_matrix(table: pa.Table, column: str, names: Sequence[str]) -> NDArray[np.bool_]:
    """A column of lists of labels as which labels each row has, [rows, labels]."""
    lengths = pc.list_value_length(table[column]).to_numpy().astype(np.int64)
    has = np.zeros((len(lengths), len(names)), bool)
    has[np.repeat(np.arange(len(lengths)), lengths), _codes(strings(pc.list_flatten(table[column])), names)] = True
    return has


def numbers(table: pa.Table, column: str) -> Array:
    """A column of numbers, [rows]."""
    array: Array = table[column].to_numpy().astype(np.float64)
    return array


def losses(table: pa.Table) -> Array | None:
    """[rows]: each unit's loss, where the file has it."""
    return numbers(table, LOSS) if LOSS in table.column_names else None


def probabilities(table: pa.Table, column: str, names: Sequence[str]) -> Array | None:
    """[rows, labels], where the file has them."""
    if column not in table.column_names or not pa.types.is_struct(table[column].type):
        return None
    structs = table[column].combine_chunks()
    if {field.name for field in structs.type} != set(names):
        return None
    return np.stack([pc.struct_field(structs, [name]).to_numpy(zero_copy_only=False) for name in names], axis=1)


def probability_structs(values: Array, names: Sequence[str]) -> pa.StructArray:
    """[rows, labels] as a column of structs, to 6 decimals."""
    return pa.StructArray.from_arrays([pa.array(column) for column in values.round(6).T], list(names))


def tagged_words(table: pa.Table, names: Sequence[str]) -> TaggedWords:
    """The tags of words, one row each. A sentence begins where `word` is 0, or without it where `id` changes."""
    starts = np.flatnonzero(_begins(table))
    lengths = np.diff(np.append(starts, table.num_rows))
    return TaggedWords(codes(table, GOLD, names), codes(table, PREDICTED, names), lengths, names)


def of_examples(table: pa.Table, column: str, kind: Kind) -> list[str | None]:
    """The text of a column that is the same in all rows of an example, [examples].

    Raises DataError if there is no such column.
    """
    if column not in table.column_names:
        raise DataError(
            f"predictions have no column {column!r} to slice by; name it in data.keep_columns and run `dvc repro`, or "
            f"choose from {', '.join(table.column_names)}"
        )
    values = strings(table[column])
    found: list[str | None] = (values.filter(pa.array(_begins(table))) if kind == "tokens" else values).to_pylist()
    return found


def _begins(table: pa.Table) -> NDArray[np.bool_]:
    if "word" in table.column_names:
        begins: NDArray[np.bool_] = numbers(table, "word") == 0
    else:
        ids = table["id"].combine_chunks().dictionary_encode() if "id" in table.column_names else None
        indices = np.zeros(table.num_rows) if ids is None else ids.indices.to_numpy()
        begins = np.diff(indices, prepend=-1) != 0
    begins[0] = True
    return begins


def strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of labels as text: integers are names too."""
    return column.cast(pa.string())


def _codes(column: pa.ChunkedArray, names: Sequence[str]) -> Codes:
    found = pc.index_in(column, pa.array(list(names), pa.string()))
    if found.null_count:
        label = column.filter(found.is_null())[0].as_py()
        raise DataError(f"predictions have the label {label!r}, which is none of {', '.join(names)}; make them again")
    array: Codes = found.to_numpy().astype(np.int64)
    return array
