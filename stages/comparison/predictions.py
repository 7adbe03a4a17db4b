"""Predictions files of several runs as typed arrays over the same examples in the same order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.configuration.schema import PREDICTION_COLUMNS, Kind, Target
from stages.pipeline.errors import DataError
from stages.scoring.final.predictions import losses, of_examples

Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """What one run predicted, one row a text or a word."""

    kind: Kind
    target: Target
    ids: Sequence[str]
    """[examples]."""
    start: Integers
    """[examples + 1]: where each example's rows begin, and where the last one's end."""
    gold: pa.Array
    """[rows]: names of labels, lists of them, or numbers."""
    predicted: pa.Array
    """[rows]: likewise."""
    tokens: Sequence[str] = ()
    """[rows] of words; empty for text."""
    loss: NDArray[np.float64] | None = None
    """[rows]: the negative log-probability of each row's gold; None where the file does not have it."""
    columns: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """Columns that came along with the data, each [examples]."""

    @property
    def examples(self) -> int:
        """How many texts or sentences there are."""
        return len(self.ids)


def aligned(tables: Sequence[tuple[str, pa.Table]]) -> list[Predictions]:
    """The predictions of named runs, the examples of all in the order of the first.

    Raises DataError if a table is no predictions file, or is not of the same examples with the same gold.
    """
    name, first = tables[0]
    parsed = [_parsed(name, first)]
    for other_name, table in tables[1:]:
        parsed.append(_parsed(other_name, in_order_of(first, table)))
        _require_same(name, parsed[0], other_name, parsed[-1])
    return parsed


def in_order_of(first: pa.Table, table: pa.Table) -> pa.Table:
    """`table` with its rows where `first` has the same id and word; as it is where that can't be done."""
    keys = [key for key in ("id", "word") if key in first.column_names]
    if not set(keys) <= set(table.column_names) or all(table[key].equals(first[key]) for key in keys):
        return table
    ranks = [np.argsort(_order(each, keys), kind="stable") for each in (first, table)]
    if len(ranks[0]) != len(ranks[1]):
        return table
    return table.take(pa.array(_order(table, keys)[ranks[0]]))


def _order(table: pa.Table, keys: Sequence[str]) -> Integers:
    order: Integers = pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys]).to_numpy().astype(np.int64)
    return order


def _parsed(name: str, table: pa.Table) -> Predictions:
    missing = [column for column in ("id", "gold", "predicted") if column not in table.column_names]
    if missing:
        raise DataError(f"{name}: its predictions have no column {missing[0]!r}; give a file that `evaluate` wrote")
    gold, predicted = (_unsliced(table[column]) for column in ("gold", "predicted"))
    if gold.null_count or not len(gold):
        raise DataError(f"{name}: the gold of its test split is not known; compare runs on a labelled test split")
    kind: Kind = "tokens" if "word" in table.column_names else "text"
    ids, words = table["id"].to_numpy(), table["word"].to_numpy() if kind == "tokens" else np.zeros(len(gold))
    begins = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]) | (words == 0))
    return Predictions(
        kind,
        _target(name, gold.type),
        ids[begins].tolist(),
        np.append(begins, len(gold)),
        gold,
        predicted,
        table["token"].to_pylist() if kind == "tokens" and "token" in table.column_names else (),
        losses(table),
        {name: of_examples(table, name, kind) for name in _kept(table)},
    )


def _kept(table: pa.Table) -> list[str]:
    text = [field.name for field in table.schema if _is_text(field.type)]
    return [name for name in text if name not in PREDICTION_COLUMNS]


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_.value_type if pa.types.is_dictionary(type_) else type_))


def _unsliced(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    plain = pc.dictionary_decode(combined) if pa.types.is_dictionary(combined.type) else combined
    whole = plain if isinstance(plain, pa.Array) else pa.concat_arrays(plain.chunks)
    return whole.cast(_plain_type(whole.type))


def _plain_type(type_: pa.DataType) -> pa.DataType:
    """The type that `evaluate` writes for what other tools write as a large or a narrow one."""
    if pa.types.is_large_string(type_):
        return pa.string()
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return pa.list_(pa.string())
    return pa.float64() if pa.types.is_floating(type_) else type_


def _target(name: str, type_: pa.DataType) -> Target:
    if pa.types.is_string(type_):
        return "label"
    if pa.types.is_list(type_):
        return "labels"
    if pa.types.is_floating(type_):
        return "number"
    raise DataError(f"{name}: gold of type {type_} is neither labels nor numbers; give a file that `evaluate` wrote")


def _require_same(name: str, first: Predictions, other_name: str, other: Predictions) -> None:
    if first.gold.type != other.gold.type or first.kind != other.kind:
        raise DataError(f"{other_name}: is a run of another kind of task than {name}; compare runs of one task")
    if first.ids != other.ids or not np.array_equal(first.start, other.start):
        raise DataError(
            f"{other_name}: its test split has other examples than that of {name} "
            f"({other.examples} and {first.examples}); compare runs on one test split"
        )
    if not first.gold.equals(other.gold):
        row = next(row for row in range(len(first.gold)) if first.gold[row] != other.gold[row])
        example = first.ids[int(np.searchsorted(first.start, row, side="right")) - 1]
        raise DataError(
            f"{other_name}: example {example} has another gold label than in {name}; compare runs on one test split"
        )
