"""Evaluate: predict the test split and, unless told not to, score every example or word of the raw data's gold."""

from stages.pipeline.stage import run_stage, tell_faults_early

if __name__ == "__main__":
    tell_faults_early()

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.schema import EvaluateConfig, EvaluateStage
from stages.modeling.batches import PaddingCollator
from stages.modeling.compute import keep_freed_memory, use_tf32, use_threads
from stages.modeling.load import trained_model
from stages.modeling.packing import compute_without_padding
from stages.modeling.padding import padding_id
from stages.modeling.precision import compute_head_in_fp32, device, device_name, resolved
from stages.modeling.prediction import predict
from stages.pipeline.arrow import load_split, rows
from stages.pipeline.environment import Compute
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
from stages.scoring.final.plots import confusion, no_confusion, write_confusion, write_per_label
from stages.scoring.final.predictions import Description
from stages.scoring.final.scores import FinalScores
from stages.scoring.final.scoring import Background, ScoringOptions, score_predictions
from stages.scoring.final.slices import LENGTH, word_counts
from stages.scoring.final.surfaces import training_surfaces
from stages.scoring.headline.threshold import read_threshold
from stages.tasks.columns.names import SECOND_TEXT, TEXT, label_names
from stages.tasks.decoding.base import Decoding, Gold, Units
from stages.tasks.decoding.dispatch import decoding_for
from stages.tasks.predictions import Predicted, predictions


def evaluate(config: EvaluateStage) -> Compute:
    """Write `data/predictions/`, `metrics/evaluate.json` and the plots."""
    use_threads(config.threads)
    use_tf32()
    keep_freed_memory()
    threshold = read_threshold(TRAINED_MODEL) if config.task.target == "labels" else None
    decoding = decoding_for(config.task.kind, config.task.target, config.task.pooling, threshold)
    raw, tokenized = load_split(RAW_DATA, "test"), load_split(TOKENIZED_DATA, "test")
    names, gold = label_names(raw.features), decoding.raw_gold(raw)
    known = decoding.labelled(gold)
    if config.evaluate.score:
        _require_labels(known, gold, raw)
    units = _predict(config, decoding, tokenized)
    _require_coverage(units, gold, raw)
    description = Description(config.task.kind, config.task.target, names)
    table = predictions(raw, Predicted(units, gold, known, threshold), description)
    _write_predictions(table)
    if config.evaluate.score:
        background = _background(config, raw, threshold)
        scores = score_predictions(table, _options(config.evaluate), background)
        _write_scores(scores, table, names, _counts(raw, units, gold))
    else:
        _write_no_scores(raw, units, gold)
    return Compute(device_name(), resolved(config.evaluate.precision), config.threads)


def _options(config: EvaluateConfig) -> ScoringOptions:
    return ScoringOptions(config.mode, config.scheme, config.resamples, config.slices)


def _background(config: EvaluateStage, raw: Dataset, threshold: float | None) -> Background:
    """What scores need besides the predictions: the wordings of train's entities, or how long each text is."""
    if config.task.kind == "tokens":
        return Background(seen=training_surfaces(RAW_DATA, config.evaluate.scheme))
    if LENGTH not in config.evaluate.slices:
        return Background(threshold=threshold)
    seconds = raw[SECOND_TEXT] if SECOND_TEXT in raw.column_names else None
    return Background(lengths=word_counts(raw[TEXT], seconds), threshold=threshold)


def _predict(config: EvaluateStage, decoding: Decoding, tokenized: Dataset) -> Units:
    model = trained_model(config.task.kind, TRAINED_MODEL)
    torch.nn.Module.to(model, device())
    compute_without_padding(compute_head_in_fp32(model))
    readings = predict(
        model,
        tokenized,
        PaddingCollator(padding_id(TRAINED_MODEL)),
        batch_size=config.evaluate.batch_size,
        precision=resolved(config.evaluate.precision),
    )
    return decoding.decode(tokenized, readings)


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


def _require_labels(labelled: NDArray[np.bool_], gold: Gold, raw: Dataset) -> None:
    """A score over a part of the test split would pass for one over all of it."""
    if labelled.all():
        return
    first = int(gold.example[np.flatnonzero(~labelled)[0]])
    raise DataError(
        f"{RAW_DATA}: {int((~labelled).sum())} of {len(labelled)} labels of the test split are not known, the first is "
        f"that of example {raw[first]['id']}; label them, or set evaluate.score=false to predict without scores"
    )


def _write_scores(scores: FinalScores, table: pa.Table, names: Sequence[str], counts: Mapping[str, Json]) -> None:
    write_confusion(confusion(table["gold"], table["predicted"], names), CONFUSION_PLOT)
    write_per_label(scores.per_label, PER_LABEL_PLOT)
    write_json(EVALUATE_METRICS, {**counts, **scores.to_json()})


def _write_no_scores(raw: Dataset, units: Units, gold: Gold) -> None:
    write_confusion(no_confusion(), CONFUSION_PLOT)
    write_per_label({}, PER_LABEL_PLOT)
    write_json(EVALUATE_METRICS, _counts(raw, units, gold))


def _counts(raw: Dataset, units: Units, gold: Gold) -> dict[str, Json]:
    return {"examples": rows(raw), "units": len(gold.label), "coverage": len(units.example) / len(gold.label)}


def _write_predictions(table: pa.Table) -> None:
    """Write the predictions file, from which any other metric can be computed without the model."""
    with whole_file(PREDICTIONS) as partial:
        pq.write_table(table, partial)


if __name__ == "__main__":
    run_stage(evaluate, EvaluateStage)
