"""The predictions file: its columns, the note in its schema that says what it holds, and how it is read.

Every command that scores, compares or shows predictions reads them here, so that all take the same files for the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.configuration.schema import PREDICTION_COLUMNS, Kind, Target
from stages.pipeline.errors import DataError
from stages.scoring.core.entities import TaggedWords, predictions_of_tags
from stages.scoring.core.predicted import (
    LabelPredictions,
    LabelSetPredictions,
    NumberPredictions,
    Predictions,
    ScoringRules,
)

GOLD = "gold"
PREDICTED = "predicted"
SCORE = "score"
PROBABILITIES = "probabilities"
LOSS = "loss"
ARGMAX = "argmax"
"""The most probable tag of each word by itself, where `predicted` are those of `task.decode=viterbi`."""
TOKEN = "token"
ID = "id"
WORD = "word"

LOSS_DECIMALS = 9
"""Decimals of each unit's loss in the file: enough for the mean to be that of the exact ones in a metrics file."""

_PROBABILITY_DECIMALS = 12
"""Decimals of each probability in the file. A model that is sure gives many that are 1 to six decimals. They would tie, and the
areas under the curves be other ones than those of the exact probabilities, which validation during training has."""

_TASK, _TARGET, _LABELS = b"stagewright.task", b"stagewright.target", b"stagewright.labels"
_NAME = "predictions"

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Description:
    """What a predictions file holds."""

    kind: Kind
    target: Target
    names: Sequence[str]
    """The labels in the order of their codes."""
    is_declared: bool = True
    """Whether the file's schema says so; else it is told by the columns."""


@dataclass(frozen=True)
class PredictionsFile:
    """A predictions file that is whole: gold and predicted are known in each row, and numbers are numbers."""

    name: str
    """What messages call it."""
    table: pa.Table
    """Labels are strings, lists of strings, or float64."""
    description: Description

    @cached_property
    def starts(self) -> Codes:
        """[examples + 1]: where the rows of each example begin, and where the last one's end."""
        return np.append(np.flatnonzero(_begins(self.table)), self.table.num_rows)

    @property
    def examples(self) -> int:
        """How many texts or sentences there are."""
        return len(self.starts) - 1

    @property
    def has_words(self) -> bool:
        """Whether each row is a word."""
        return WORD in self.table.column_names

    @cached_property
    def ids(self) -> Sequence[str]:
        """[examples]: their ids; without them the numbers of their first rows, counted from 1."""
        if ID not in self.table.column_names:
            return [f"row {start + 1}" for start in self.starts[:-1].tolist()]
        ids: list[str] = self.table[ID].take(pa.array(self.starts[:-1])).to_pylist()
        return ids

    @cached_property
    def tokens(self) -> Sequence[str]:
        """[rows]: the words; empty where the file does not have them."""
        tokens: list[str] = self.table[TOKEN].to_pylist() if TOKEN in self.table.column_names else []
        return tokens

    @property
    def probabilities(self) -> Array | None:
        """[rows, labels]: of every label, in the order of `description.names`; None where the file does not have them."""
        column = SCORE if self.description.target == "labels" else PROBABILITIES
        return self._probabilities(column, self.description.names)

    def column(self, name: str) -> Array | None:
        """Return a column of numbers, [rows]; None where the file does not have it."""
        return self.table[name].to_numpy() if name in self.table.column_names else None

    def of_examples(self, name: str) -> list[str | None]:
        """Return the text of a column that is the same in all rows of an example, [examples].

        Raises DataError if there is no such column.
        """
        if name not in self.table.column_names:
            raise DataError(
                f"{self.name} have no column {name!r} to slice by; name it in data.keep_columns and run `dvc repro`, or "
                f"choose from {', '.join(self.table.column_names)}"
            )
        values: list[str | None] = strings(self.table[name]).take(pa.array(self.starts[:-1])).to_pylist()
        return values

    @property
    def kept_columns(self) -> list[str]:
        """The columns of text that came along with the data."""
        return [
            field.name for field in self.table.schema if _is_text(field.type) and field.name not in PREDICTION_COLUMNS
        ]

    def predictions(
        self, rules: ScoringRules, names: Sequence[str] | None = None, threshold: float | None = None
    ) -> Predictions:
        """Return what is predicted beside what is gold.

        `names`: the labels, where several files share them. `threshold`: from which probability on a text was said to have
        one of several labels. Raises DataError if a label is none of the declared ones.
        """
        labels = list(names or self.description.names)
        if self.description.target == "number":
            return NumberPredictions(self._numbers(GOLD), self._numbers(PREDICTED))
        if self.description.target == "labels":
            return LabelSetPredictions(
                self._label_matrix(GOLD, labels),
                self._label_matrix(PREDICTED, labels),
                labels,
                self.column(LOSS),
                self._probabilities(SCORE, labels),
                threshold,
            )
        gold, predicted = (_codes(self.table[column], labels, self.name) for column in (GOLD, PREDICTED))
        if not self.has_words:
            probabilities = self._probabilities(PROBABILITIES, labels)
            return LabelPredictions(gold, predicted, labels, None, self.column(LOSS), probabilities, self.column(SCORE))
        return predictions_of_tags(
            TaggedWords(gold, predicted, np.diff(self.starts), labels),
            rules,
            declared=self.description.names if self.description.is_declared else None,
            losses=self.column(LOSS),
            confidence=self.column(SCORE),
        )

    def by_argmax(self, rules: ScoringRules) -> Predictions | None:
        """Return the most probable tags beside what is gold, where others are predicted; None where the file has none."""
        if ARGMAX not in self.table.column_names:
            return None
        return replace(self, table=_with(self.table, {PREDICTED: self.table[ARGMAX]})).predictions(rules)

    @property
    def labels_in_use(self) -> set[str]:
        """The labels that are gold or predicted."""
        columns = (_flat(self.table[column]) for column in (GOLD, PREDICTED))
        return {label for column in columns for label in pc.unique(column).to_pylist()}

    def _numbers(self, column: str) -> Array:
        numbers: Array = self.table[column].to_numpy()
        return numbers

    def _label_matrix(self, column: str, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return which labels each row of a column of lists has, [rows, labels]."""
        lists = self.table[column]
        lengths = pc.list_value_length(lists).to_numpy().astype(np.int64)
        has = np.zeros((len(lengths), len(names)), bool)
        has[np.repeat(np.arange(len(lengths)), lengths), _codes(_flat(lists), names, self.name)] = True
        return has

    def _probabilities(self, column: str, names: Sequence[str]) -> Array | None:
        """Return the probability of each label, [rows, labels]; None if the file does not have all."""
        if column not in self.table.column_names or not pa.types.is_struct(self.table[column].type):
            return None
        structs = self.table[column].combine_chunks()
        if {field.name for field in structs.type} != set(names):
            return None
        return np.stack([pc.struct_field(structs, [name]).to_numpy(zero_copy_only=False) for name in names], axis=1)


def described(table: pa.Table, description: Description) -> pa.Table:
    """Return the table with the description in its schema, which Parquet keeps."""
    return table.replace_schema_metadata(
        {
            _TASK: description.kind,
            _TARGET: description.target,
            _LABELS: json.dumps(list(description.names), ensure_ascii=False),
        }
    )


def read_predictions(table: pa.Table, name: str = _NAME) -> PredictionsFile:
    """Read a table of predictions. `name` is what messages call it.

    Raises DataError naming the row if a column is missing, gold or a prediction is not known, a number is none, or a
    probability is not between 0 and 1.
    """
    _require_columns(table, name)
    table = pa.table({column: _plain(table[column]) for column in table.column_names}).replace_schema_metadata(
        table.schema.metadata
    )
    _require_labels_alike(table, name)
    description = description_of(table, name)
    if description.target == "number":
        for column in (GOLD, PREDICTED):
            if not (pa.types.is_floating(table[column].type) or pa.types.is_integer(table[column].type)):
                raise DataError(
                    f"{name}: {column} holds no numbers, so it is of another kind of task than the other column"
                )
        table = _with(table, {column: table[column].cast(pa.float64()) for column in (GOLD, PREDICTED)})
        for column in (GOLD, PREDICTED):
            _require_finite(table, column, name)
    elif description.target == "label":
        table = _with(table, {column: strings(table[column]) for column in (GOLD, PREDICTED)})
    if LOSS in table.column_names:
        _require_finite(table, LOSS, name)
    _require_probabilities(table, name)
    return PredictionsFile(name, table, description)


def labelled(table: pa.Table) -> pa.Table:
    """Return the examples of which all gold is known."""
    if GOLD not in table.column_names or not table[GOLD].null_count:
        return table
    is_known = table[GOLD].is_valid().to_numpy()
    if WORD in table.column_names:
        sentence = np.cumsum(_begins(table)) - 1
        is_known = (np.bincount(sentence, weights=~is_known) == 0)[sentence]
    return table.filter(pa.array(is_known))


def description_of(table: pa.Table, name: str = _NAME) -> Description:
    """Return what the schema says, or else the columns: a `word` column is of tokens, lists are label sets, numbers numbers."""
    _require_columns(table, name)
    notes = table.schema.metadata or {}
    if not {_TASK, _TARGET, _LABELS} <= notes.keys():
        return _guessed(table)
    kind, target = notes[_TASK].decode(), notes[_TARGET].decode()
    if target not in get_args(Target):
        raise DataError(f"{name} are said to be {kind}, {target} in their schema; make them again")
    return Description(kind, target, json.loads(notes[_LABELS]))


def probability_structs(values: Array, names: Sequence[str]) -> pa.StructArray:
    """Return probabilities [rows, labels] as a column of structs, rounded to 12 decimals."""
    rounded = values.round(_PROBABILITY_DECIMALS)
    return pa.StructArray.from_arrays([pa.array(column) for column in rounded.T], list(names))


def strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of labels as text: integers are names too."""
    return column.cast(pa.string())


def _guessed(table: pa.Table) -> Description:
    gold, predicted = table[GOLD], table[PREDICTED]
    if pa.types.is_floating(gold.type) or (pa.types.is_integer(gold.type) and pa.types.is_floating(predicted.type)):
        return Description("text", "number", (), is_declared=False)
    target: Target = "labels" if pa.types.is_list(gold.type) else "label"
    flat = [_flat(column) for column in (gold, predicted)]
    names = sorted({str(label) for column in flat for label in pc.unique(column).to_pylist()})
    kind: Kind = "tokens" if WORD in table.column_names else "text"
    return Description(kind, target, names, is_declared=False)


def _require_columns(table: pa.Table, name: str) -> None:
    for column in (GOLD, PREDICTED):
        if column not in table.column_names:
            raise DataError(f"{name} have no column {column!r} among {', '.join(table.column_names)}; name it that way")
        if table[column].null_count:
            row = int(np.flatnonzero(table[column].is_null().to_numpy())[0]) + 1
            raise DataError(f"{name}, row {row}: {column} is not known; leave the row out, or label it")
    if table.num_rows == 0:
        raise DataError(f"{name} hold no row; give at least one")


def _require_labels_alike(table: pa.Table, name: str) -> None:
    """Raise DataError if only one of gold and predictions holds lists."""
    are_lists = [pa.types.is_list(table[column].type) for column in (GOLD, PREDICTED)]
    if are_lists[0] != are_lists[1]:
        raise DataError(f"{name}: one of gold and predicted holds lists, the other does not; write both alike")


def _require_finite(table: pa.Table, column: str, name: str) -> None:
    numbers = table[column].to_numpy()
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DataError(f"{name}, row {row + 1}: {column} is {numbers[row]}, which is not a number; give a finite one")


def _require_probabilities(table: pa.Table, name: str) -> None:
    for column in (SCORE, PROBABILITIES):
        if column not in table.column_names:
            continue
        values = table[column].combine_chunks()
        parts: Mapping[str, Any] = {column: values}
        if pa.types.is_struct(values.type):
            parts = {f"{column} of {field.name}": pc.struct_field(values, [field.name]) for field in values.type}
        for what, part in parts.items():
            if not pa.types.is_floating(part.type) and not pa.types.is_integer(part.type):
                raise DataError(f"{name}: {what} is not a column of numbers; leave it out, or give probabilities")
            numbers = part.to_numpy(zero_copy_only=False).astype(np.float64)
            wrong = ~((numbers >= 0) & (numbers <= 1))
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DataError(
                    f"{name}, row {row + 1}: {what} is {numbers[row]:g}, which is not a probability; give one from 0 to 1"
                )


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast a column to the types that `evaluate` writes, where other tools write large, narrow or encoded ones."""
    type_ = column.type
    if pa.types.is_dictionary(type_) and _is_text(type_):
        return column.cast(pa.string())
    if pa.types.is_large_string(type_):
        return column.cast(pa.string())
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return column.cast(pa.list_(pa.string()))
    return column.cast(pa.float64()) if pa.types.is_floating(type_) else column


def _with(table: pa.Table, columns: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _is_text(type_: pa.DataType) -> bool:
    plain = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.list_flatten(column) if pa.types.is_list(column.type) else column


def _begins(table: pa.Table) -> NDArray[np.bool_]:
    """Return where an example begins, [rows]: at each text; of words, where `word` is 0 or a new id begins."""
    if WORD not in table.column_names:
        return np.ones(table.num_rows, bool)
    begins: NDArray[np.bool_] = table[WORD].to_numpy() == 0
    if ID in table.column_names:
        ids = table[ID].combine_chunks().dictionary_encode().indices.to_numpy()
        begins |= np.diff(ids, prepend=-1) != 0
    begins[0] = True
    return begins


def _codes(column: pa.ChunkedArray, names: Sequence[str], name: str) -> Codes:
    found = pc.index_in(column, pa.array(list(names), pa.string()))
    if found.null_count:
        label = column.filter(found.is_null())[0].as_py()
        raise DataError(f"{name} have the label {label!r}, which is not one of {', '.join(names)}; make them again")
    array: Codes = found.to_numpy().astype(np.int64)
    return array
