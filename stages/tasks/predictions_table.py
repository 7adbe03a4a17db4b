"""The predictions file: which text or word each row is, what is gold, what is predicted, and how sure the model is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.schema import CANONICAL_COLUMNS
from stages.pipeline.arrow import rows
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json
from stages.pipeline.outputs import whole_file
from stages.pipeline.paths import RAW_DATA, TOKENIZED_DATA
from stages.scoring.evaluation.predictions_file import (
    ARGMAX,
    GOLD,
    LOSS,
    LOSS_DECIMALS,
    PREDICTED,
    PROBABILITIES,
    SCORE,
    Description,
    described,
    probability_structs,
)
from stages.tasks.task import Gold, Task, Units


@dataclass(frozen=True)
class Predicted:
    """What a model gives for the units of a raw split, beside what is true of them."""

    units: Units
    gold: Gold
    known: NDArray[np.bool_]
    """[units]: whether the gold is known; it is null in the file where not."""


def predictions(raw: Dataset, task: Task, predicted: Predicted, names: Sequence[str]) -> pa.Table:
    """Return a table with a row for each unit: `id` (and `word`, `token`), `gold`, `predicted`, and the other known columns.

    Its schema says what it holds, so that `stages.scoring.evaluation.scoring.score_predictions` needs nothing else.
    """
    answers = task.answers(predicted.units, predicted.gold, predicted.known, names)
    columns = {**task.unit_columns(raw, predicted.units), GOLD: answers.gold, PREDICTED: answers.predicted}
    if answers.score is not None:
        is_of_one = answers.score.ndim == 1
        columns[SCORE] = pa.array(answers.score.round(6)) if is_of_one else probability_structs(answers.score, names)
    if answers.loss is not None:
        columns[LOSS] = pa.array(answers.loss.round(LOSS_DECIMALS), pa.float64(), mask=~predicted.known)
    if answers.probabilities is not None:
        columns[PROBABILITIES] = probability_structs(answers.probabilities, names)
    if answers.argmax is not None:
        columns[ARGMAX] = answers.argmax
    example = pa.array(predicted.units.example)
    for name in raw.column_names:
        if name not in CANONICAL_COLUMNS:  # came along with the data
            columns[name] = pa.array(raw[name][:], pa.string()).dictionary_encode().take(example)
    return described(pa.table(columns), Description(task.config.kind, task.config.target, names))


def write_predictions(table: pa.Table, path: Path) -> None:
    """Write the predictions file, from which any other metric can be computed without the model."""
    with whole_file(path) as partial:
        pq.write_table(table, partial)


def require_coverage(units: Units, gold: Gold, raw: Dataset) -> None:
    """Require a prediction for every unit: a score over fewer would be better than it is.

    Raises DataError naming the first example whose labels and predictions are not as many.
    """
    expected, found = (np.bincount(each.example, minlength=rows(raw)) for each in (gold, units))
    if len(found) == len(expected) and (found == expected).all():
        return
    example = int(np.flatnonzero(found[: len(expected)] != expected)[0])
    raise DataError(
        f"{TOKENIZED_DATA}: example {raw[example]['id']} has {expected[example]} gold labels but {found[example]} "
        "predictions; run `dvc repro --force tokenize`"
    )


def require_labels(labelled: NDArray[np.bool_], gold: Gold, raw: Dataset) -> None:
    """Require a known label for every unit of the test split: a score over a part would pass for one over all.

    Raises DataError naming the first example whose label is not known.
    """
    if labelled.all():
        return
    first = int(gold.example[np.flatnonzero(~labelled)[0]])
    raise DataError(
        f"{RAW_DATA}: {int((~labelled).sum())} of {len(labelled)} labels of the test split are not known, the first is "
        f"that of example {raw[first]['id']}; label them, or set evaluate.score=false to predict without scores"
    )


def counts_of(units: Units, gold: Gold, raw: Dataset) -> dict[str, Json]:
    """Return how many examples and units there are, and the share of units that are predicted."""
    return {"examples": rows(raw), "units": len(gold.label), "coverage": len(units.example) / len(gold.label)}
