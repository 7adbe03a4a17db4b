"""The report of the run that lies in the workspace."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from stages.pipeline.arrow import load_split, rows
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import read_json
from stages.pipeline.paths import CURVES, DOWNLOAD_METRICS, EVALUATE_METRICS, PARAMS, PREDICTIONS, RAW_DATA
from stages.reporting.calibration import calibration_of
from stages.reporting.confusion import confusion_of
from stages.reporting.content import Curve, Example, Fact, Report, RunContent, Score
from stages.reporting.curves import read_curves
from stages.reporting.wrong_sentences import wrong_sentences
from stages.reporting.wrong_texts import wrong_texts
from stages.scoring.final.resampling import Interval
from stages.scoring.final.scores import SliceScore
from stages.scoring.headline.scores import LabelScore
from stages.tasks.columns.names import label_names

_COUNTS = ("examples", "units", "coverage")
"""Numbers of `evaluate.json` that are no scores."""

_TOLD_PARAMETERS = (
    "train.epochs",
    "train.learning_rate",
    "train.batch_size",
    "train.batch_tokens",
    "train.precision",
    "seed",
)
"""Parameters that the page tells; a list, so that nothing gets into it that a user keeps for themselves."""


def report_of_workspace() -> Report:
    """Read what the pipeline has written. Raises DataError where something is missing or damaged."""
    predictions, raw = read_predictions(PREDICTIONS), load_split(RAW_DATA, "test")
    metrics, download = _metrics(EVALUATE_METRICS, "examples", "units"), _metrics(DOWNLOAD_METRICS, "data", "model")
    data, model = (str(download[part]["name"]) for part in ("data", "model"))
    return Report(
        title=f"{model} on {data}",
        runs=(
            run_content(
                "this run", predictions, metrics, read_curves(CURVES), label_names(raw.features), _facts(metrics)
            ),
        ),
        examples=wrong_examples([predictions], raw),
        examples_in_all=rows(raw),
        rank="absolute error" if pa.types.is_floating(predictions["gold"].type) else "confidence",
    )


def run_content(
    name: str,
    predictions: pa.Table,
    metrics: Mapping[str, Any],
    curves: tuple[Curve, ...],
    labels: Sequence[str],
    facts: tuple[Fact, ...] = (),
) -> RunContent:
    """What is told of one run, from its predictions file and `evaluate.json`; `labels` are in the order of their codes."""
    return RunContent(
        name=name,
        facts=facts,
        scores=_scores(metrics),
        labels={label: _label_score(values) for label, values in metrics.get("per_label", {}).items()},
        slices={
            by: {part: _slice_score(values) for part, values in parts.items()}
            for by, parts in metrics.get("slices", {}).items()
        },
        curves=curves,
        confusion=confusion_of(predictions, labels),
        calibration=None if "token" in predictions.column_names else calibration_of(predictions),
    )


def wrong_examples(runs: Sequence[pa.Table], raw: Dataset) -> tuple[Example, ...]:
    """What runs got wrong, the base first; `raw` is the test split."""
    if "token" in runs[0].column_names:
        return wrong_sentences(runs)
    return wrong_texts(runs, raw)


def read_predictions(path: Path) -> pa.Table:
    """Read a predictions file. Raises DataError if it is missing, damaged or something else."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: is missing or not whole; run `make repro`, or `dvc pull`, first") from error
    needed = {"id", "gold", "predicted"} | ({"word"} if "token" in table.column_names else set())
    if missing := sorted(needed - set(table.column_names)):
        raise DataError(f"{path}: has no column {missing[0]}; run `dvc repro` to make it again")
    return table


def _metrics(path: Path, *needed: str) -> dict[str, Any]:
    metrics = read_json(path)
    if missing := [name for name in needed if name not in metrics]:
        raise DataError(f"{path}: has no {missing[0]}; run `make repro` first")
    return metrics


def _scores(metrics: Mapping[str, Any]) -> tuple[Score, ...]:
    """The scores that stand at the top of `evaluate.json`; averages and labels are mappings, below it."""
    intervals = metrics.get("intervals", {})
    return tuple(
        Score(name, value, Interval(*intervals[name]) if intervals.get(name) else None)
        for name, value in metrics.items()
        if name not in _COUNTS and (value is None or isinstance(value, int | float))
    )


def _label_score(values: Mapping[str, Any]) -> LabelScore:
    return LabelScore(values["precision"], values["recall"], values["f1"], values["support"])


def _slice_score(values: Mapping[str, Any]) -> SliceScore:
    scores = {name: value for name, value in values.items() if name not in ("interval", "support")}
    return SliceScore(scores, Interval(*values["interval"]) if values["interval"] else None, values["support"])


def _facts(metrics: Mapping[str, Any]) -> tuple[Fact, ...]:
    try:
        params = OmegaConf.load(PARAMS)
        told = {name: OmegaConf.select(params, name) for name in _TOLD_PARAMETERS}
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise DataError(f"{PARAMS}: can't be read; run `python -m stages.configuration.compose`") from error
    counts = {"test examples": metrics["examples"], "scored": metrics["units"]}
    return tuple(Fact(name, str(value)) for name, value in {**told, **counts}.items() if value is not None)
