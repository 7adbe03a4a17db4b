"""Predictions files of several runs, with their rows in the same order."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.comparison.loaded_runs import Run
from stages.pipeline.errors import DataError
from stages.scoring.evaluation.predictions_file import GOLD, ID, WORD, Codes, PredictionsFile, read_predictions


def files_of(base: Run, runs: Sequence[Run]) -> Sequence[PredictionsFile]:
    """Read the predictions of runs, in the order of the base's examples.

    Raises DataError if any are stale or not at hand, if gold is not known, and as `aligned` does.
    """
    files = []
    for run in (base, *runs):
        if run.stale:
            raise DataError(f"predictions of {run.name} are stale: {run.stale}")
        if run.predictions is None:
            reason = run.missing or "run `dvc pull`"
            raise DataError(f"predictions of {run.name} are not at hand: {reason}")
        if GOLD in run.predictions.column_names and run.predictions[GOLD].null_count:
            row = run.predictions[GOLD].combine_chunks().is_null().index(True).as_py() + 1
            raise DataError(
                f"{run.name}, row {row}: the gold of its test split is not known; compare runs on a labelled test split"
            )
        files.append(read_predictions(run.predictions, run.name))
    return aligned(files)[1:]


def aligned(files: Sequence[PredictionsFile]) -> list[PredictionsFile]:
    """Return the files with their rows in the order of the first: by `id` and `word`, or without ids as they are.

    Raises DataError if they are not of the same examples with the same gold.
    """
    first, *others = files
    return [first, *(_like(first, other) for other in others)]


def _like(first: PredictionsFile, other: PredictionsFile) -> PredictionsFile:
    if (first.description.target, first.has_words) != (other.description.target, other.has_words):
        raise DataError(f"{other.name}: its kind of task differs from that of {first.name}; compare runs of one task")
    table = _in_order_of(first, other)
    ordered = PredictionsFile(other.name, table, other.description)
    equal = np.asarray(pc.equal(first.table[GOLD], table[GOLD])) if not pa.types.is_list(table[GOLD].type) else None
    if equal is None:
        pairs = zip(first.table[GOLD].to_pylist(), table[GOLD].to_pylist(), strict=True)
        equal = np.array([set(one) == set(two) for one, two in pairs])
    if not equal.all():
        example = first.ids[int(np.searchsorted(first.starts, int(np.argmin(equal)), side="right")) - 1]
        raise DataError(
            f"{other.name}: example {example} has a different gold label in {first.name}; compare runs on one test split"
        )
    return ordered


def _in_order_of(first: PredictionsFile, other: PredictionsFile) -> pa.Table:
    """Return the other file's table with its rows in the order of the first's."""
    keys = [key for key in (ID, WORD) if key in first.table.column_names]
    table = other.table
    if ID not in keys or ID not in table.column_names:
        if table.num_rows != first.table.num_rows or not np.array_equal(first.starts, other.starts):
            raise _other_examples(first, other)
        return table
    if table.num_rows == first.table.num_rows and all(table[key].equals(first.table[key]) for key in keys):
        return table
    orders = [_order(each, keys) for each in (first, other)]
    sorted_keys = [
        each.table.select(keys).take(pa.array(order)) for each, order in zip((first, other), orders, strict=True)
    ]
    if not sorted_keys[0].equals(sorted_keys[1]):
        raise _other_examples(first, other)
    back = np.empty(len(orders[0]), np.int64)
    back[orders[0]] = orders[1]
    return table.take(pa.array(back))


def _order(file: PredictionsFile, keys: Sequence[str]) -> Codes:
    """Return the rows by id and word. Raises DataError if two rows have the same."""
    order: Codes = pc.sort_indices(file.table, [(key, "ascending") for key in keys]).to_numpy().astype(np.int64)
    ordered = file.table.select(keys).take(pa.array(order))
    repeated = np.ones(max(0, len(order) - 1), bool)
    for key in keys:
        column = ordered[key].combine_chunks()
        repeated &= np.asarray(pc.equal(column[1:], column[:-1]))
    if repeated.any():
        row = int(order[int(np.argmax(repeated)) + 1])
        raise DataError(
            f"{file.name}, row {row + 1}: its {' and '.join(keys)} ({file.table[ID][row]}) occur twice; give each example its own"
        )
    return order


def _other_examples(first: PredictionsFile, other: PredictionsFile) -> DataError:
    return DataError(
        f"{other.name}: its test split has different examples from that of {first.name} "
        f"({other.examples} and {first.examples}); compare runs on one test split"
    )


def shared_labels(files: Sequence[PredictionsFile]) -> list[str]:
    """Return the labels that any of the files has, in the order of the first file's, then by name.

    So that runs can be counted alike, whatever each of them predicts.
    """
    declared = list(files[0].description.names)
    others = sorted(set().union(*(file.labels_in_use for file in files)) - set(declared))
    return [*declared, *others]
