"""`stagewright report [PATH]`: write the report of the run in the workspace, as one HTML file.

Examples:
  stagewright report                     metrics/report.html
  stagewright report reports/run.html    another place
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stages.columns.names import label_names
from stages.pipeline.arrow import load_split, rows
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import read_json
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import write_text
from stages.pipeline.paths import (
    CURVES,
    DOWNLOAD_METRICS,
    EVALUATE_METRICS,
    PREDICTIONS,
    RAW_DATA,
    REPORT,
    TRAIN_METRICS,
)
from stages.reporting.content import Fact, Rates, Report, RunContent, Score
from stages.reporting.headline import tiles_of
from stages.reporting.label_issues import issues_in
from stages.reporting.origin import base_run, code_facts
from stages.reporting.page import render_report
from stages.reporting.run_predictions import RunPredictions, calibration_of, confusion_of
from stages.reporting.staleness import notes_here
from stages.reporting.training_curves import read_curves
from stages.reporting.workspace import SHOWN_PARAMETERS, params_here, predictions_here, sources_here
from stages.reporting.wrong_examples import wrong_examples
from stages.scoring.core.metrics import Form
from stages.scoring.core.predicted import rules_of
from stages.scoring.core.scores import LabelScore
from stages.scoring.evaluation.final_scores import EntityErrors, SliceScore
from stages.scoring.evaluation.resampling import Interval

_RATES = ("precision", "recall", "f1")
_DIGEST = 12
"""Characters of a digest that are shown."""
_NO_SCORES = ("examples", "units", "coverage", "threshold")
"""Numbers of `evaluate.json` that are no scores."""


def report_of_workspace() -> Report:
    """Read what the pipeline has written. Raises DataError where something is missing or damaged."""
    params, raw = params_here(), load_split(RAW_DATA, "test")
    predictions = RunPredictions.of(predictions_here(PREDICTIONS), rules_of(params))
    examples = wrong_examples([predictions], raw)
    metrics, download = _metrics(EVALUATE_METRICS, "examples", "units"), _metrics(DOWNLOAD_METRICS, "data", "model")
    data, model = (str(download[part]["name"]) for part in ("data", "model"))
    run = RunContent(
        name="this run",
        facts=_facts(params, metrics),
        scores=_scores(metrics),
        more_rates=tuple(_more_rates(metrics)),
        entity_errors=EntityErrors(**metrics["errors"]) if "errors" in metrics else None,
        labels={
            label: LabelScore(values["precision"], values["recall"], values["f1"], values["support"])
            for label, values in metrics.get("per_label", {}).items()
        },
        slices={
            by: {part: _slice_score(values) for part, values in parts.items()}
            for by, parts in metrics.get("slices", {}).items()
        },
        curves=read_curves(CURVES),
        confusion=confusion_of(predictions, label_names(raw.features)),
        calibration=calibration_of(predictions),
    )
    headline = params.get("task.metric") or (run.scores[0].name if run.scores else "")
    return Report(
        title=f"{model} on {data}",
        runs=(run,),
        kind=f"{_kind(predictions)}: scores on the test split",
        provenance=(*_provenance(download), *code_facts()),
        tiles=tiles_of(
            run,
            headline,
            validation=_validation(),
            base=base_run(),
            examples=f"{metrics['examples']:,}",
            wrong=_wrong(predictions, len(examples), metrics),
        ),
        headline=headline,
        examples=examples,
        examples_in_all=rows(raw),
        label_issues=issues_in(sources_here(), rules_of(params)),
        rank="confidence" if predictions is None else predictions.rank,
        notes=tuple(notes_here()),
    )


_KINDS: Mapping[Form, str] = {
    "label": "Text classification",
    "labels": "Text classification with several labels",
    "number": "Regression",
    "entities": "Entity recognition",
}


def _kind(predictions: RunPredictions | None) -> str:
    if predictions is None:
        return "Predictions without gold"
    is_plain = predictions.file.has_words and predictions.predictions.form == "label"
    return "Tagging of words" if is_plain else _KINDS[predictions.predictions.form]


def _provenance(download: Mapping[str, Any]) -> Iterator[Fact]:
    splits = download["data"].get("splits", {})
    counts = ", ".join(f"{split['examples']:,} {name}" for name, split in splits.items())
    yield Fact("Data", f"{download['data']['name']}" + (f" ({counts})" if counts else ""))
    digest = download["model"].get("sha256")
    yield Fact("Model", f"{download['model']['name']}" + (f" (SHA-256 {digest[:_DIGEST]}…)" if digest else ""))


def _validation() -> Mapping[str, Any]:
    """Return the scores of the best checkpoint on validation; empty where training has left none."""
    try:
        found = read_json(TRAIN_METRICS).get("validation", {})
    except DataError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _wrong(predictions: RunPredictions | None, wrong: int, metrics: Mapping[str, Any]) -> str:
    """Return how many examples have an error, and how much of the split was predicted."""
    said = []
    if predictions is not None and predictions.predictions.form != "number":
        said.append(f"{wrong:,} with errors ({wrong / max(metrics['examples'], 1):.1%})")
    if predictions is not None and predictions.file.has_words:
        said.append(f"{metrics['units']:,} words")
    if "coverage" in metrics:
        said.append(f"{metrics['coverage']:.4g} predicted" if metrics["coverage"] < 1 else "all predicted")
    return "; ".join(said)


_READINGS = {
    "macro": "mean over labels (macro)",
    "weighted": "mean by support (weighted)",
    "micro": "all decisions together (micro)",
    "strict": "tags read strictly",
    "conll": "tags read as CoNLL does",
    "seen": "entities seen in training",
    "unseen": "entities not seen in training",
}
"""Entries of `evaluate.json` that hold precision, recall and F1, and what each is of."""


def _more_rates(metrics: Mapping[str, Any]) -> Iterator[Rates]:
    """Yield precision, recall and F1 of other averages and readings in `evaluate.json`, unless they equal the headline's."""
    top = {name: metrics.get(name) for name in _RATES}
    found = [(title, metrics.get(name)) for name, title in _READINGS.items()]
    found += [(f"without Viterbi, read as {mode}", rates) for mode, rates in metrics.get("argmax", {}).items()]
    for title, rates in found:
        if isinstance(rates, Mapping) and rates.keys() >= top.keys() and top.items() - rates.items():
            yield Rates(title, rates["precision"], rates["recall"], rates["f1"], rates.get("support"))


def _metrics(path: Path, *needed: str) -> dict[str, Any]:
    metrics = read_json(path)
    if missing := [name for name in needed if name not in metrics]:
        raise DataError(f"{path}: has no {missing[0]}; run `stagewright run` first")
    return metrics


def _scores(metrics: Mapping[str, Any]) -> tuple[Score, ...]:
    """Return the scores at the top level of `evaluate.json`. Averages and labels are mappings below it."""
    intervals = metrics.get("intervals", {})
    return tuple(
        Score(name, value, Interval(*intervals[name]) if intervals.get(name) else None)
        for name, value in metrics.items()
        if name not in _NO_SCORES and (value is None or isinstance(value, int | float))
    )


def _slice_score(values: Mapping[str, Any]) -> SliceScore:
    scores = {name: value for name, value in values.items() if name not in ("interval", "support")}
    return SliceScore(scores, Interval(*values["interval"]) if values["interval"] else None, values["support"])


def _facts(params: Mapping[str, Any], metrics: Mapping[str, Any]) -> tuple[Fact, ...]:
    shown = {name: params[name] for name in SHOWN_PARAMETERS if name in params}
    counts = {"test examples": metrics["examples"], "scored": metrics["units"]}
    threshold = {"threshold": metrics["threshold"]} if "threshold" in metrics else {}
    return tuple(Fact(name, str(value)) for name, value in {**shown, **counts, **threshold}.items())


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("path", nargs="?", type=Path, default=REPORT, help=f"where to write it (default: {REPORT})")
    return made


def main() -> None:
    """Run the command line."""
    path = parser().parse_args().path
    with one_line_errors():
        report = report_of_workspace()
        write_text(path, render_report(report))
        for note in report.notes:
            print(f"note: {note}")
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    main()
