"""Evaluate: predict the test split and score every example or word of the raw data's gold."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets import Dataset

from stages.configuration.schema import EvaluateStage
from stages.modeling.batches import PaddingCollator
from stages.modeling.load import trained_model
from stages.modeling.precision import device, resolved
from stages.modeling.prediction import predict
from stages.pipeline.arrow import load_split, rows
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json, write_json
from stages.pipeline.outputs import whole_file
from stages.pipeline.paths import (
    CONFUSION_PLOT,
    EVALUATE_METRICS,
    PER_LABEL_PLOT,
    PREDICTIONS,
    RAW_DATA,
    TOKENIZED_DATA,
    TRAINED_MODEL,
)
from stages.pipeline.stage import run_stage
from stages.tasks.base import Gold, Task, Units
from stages.tasks.dispatch import task_for
from stages.tasks.subwords import padding_id


def evaluate(config: EvaluateStage) -> None:
    """Write `data/predictions/`, `metrics/evaluate.json` and the plots."""
    task = task_for(config.task.kind)
    raw, tokenized = load_split(RAW_DATA, "test"), load_split(TOKENIZED_DATA, "test")
    units = _predict(config, task, tokenized)
    gold = task.raw_gold(raw)
    _require_coverage(units, gold, raw)
    _write_results(task, raw, units, gold)


def _predict(config: EvaluateStage, task: Task, tokenized: Dataset) -> Units:
    model = trained_model(task.kind, TRAINED_MODEL)
    torch.nn.Module.to(model, device())
    readings = predict(
        model,
        tokenized,
        PaddingCollator(padding_id(TRAINED_MODEL)),
        batch_size=config.evaluate.batch_size,
        precision=resolved(config.evaluate.precision),
    )
    return task.decode(tokenized, readings)


def _require_coverage(units: Units, gold: Gold, raw: Dataset) -> None:
    """Words in = words out: a unit without a prediction would make the score better than it is."""
    expected, found = (np.bincount(each.example, minlength=rows(raw)) for each in (gold, units))
    if len(found) == len(expected) and (found == expected).all():
        return
    example = int(np.flatnonzero(found[: len(expected)] != expected)[0])
    raise DataError(
        f"{TOKENIZED_DATA}: example {raw[example]['id']} has {expected[example]} gold labels but {found[example]} "
        "predictions; run `dvc repro --force tokenize`"
    )


def _write_results(task: Task, raw: Dataset, units: Units, gold: Gold) -> None:
    from stages.scoring.plots import write_confusion, write_per_label  # importing `evaluate` takes seconds

    names = task.label_names(raw)
    predictions = task.predictions(raw, units, names)
    scores = task.score(units, gold, names)
    _write_predictions(predictions)
    write_confusion(gold.label, units.predicted, names, CONFUSION_PLOT)
    write_per_label(scores, PER_LABEL_PLOT)
    counts: dict[str, Json] = {
        "examples": rows(raw),
        "units": len(gold.label),
        "coverage": len(units.predicted) / len(gold.label),
    }
    write_json(EVALUATE_METRICS, {**counts, **scores.to_json()})


def _write_predictions(predictions: pa.Table) -> None:
    """Write the predictions file, from which any other metric can be computed without the model."""
    with whole_file(PREDICTIONS) as partial:
        pq.write_table(predictions, partial)


if __name__ == "__main__":
    run_stage(evaluate, EvaluateStage)
