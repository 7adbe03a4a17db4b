"""`stagewright report [PATH]`: write the report of the run in the workspace, as one HTML file.

Examples:
  stagewright report                     metrics/report.html
  stagewright report reports/run.html    another place
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.columns.names import label_names
from stages.pipeline.arrow import load_split, rows
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import read_json
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import write_text
from stages.pipeline.paths import CURVES, DOWNLOAD_METRICS, EVALUATE_METRICS, PREDICTIONS, RAW_DATA, REPORT
from stages.reporting.content import Fact, Report, RunContent, Score
from stages.reporting.label_issues import found_in
from stages.reporting.page import render_report
from stages.reporting.run_predictions import RunPredictions, calibration_of, confusion_of
from stages.reporting.staleness import notes_here
from stages.reporting.training_curves import read_curves
from stages.reporting.workspace import SHOWN_PARAMETERS, params_here, predictions_here, sources_here
from stages.reporting.wrong_examples import wrong_examples
from stages.scoring.core.predicted import rules_of
from stages.scoring.core.scores import LabelScore
from stages.scoring.evaluation.final_scores import SliceScore
from stages.scoring.evaluation.resampling import Interval

_COUNTS = ("examples", "units", "coverage")
"""Numbers of `evaluate.json` that are no scores."""


def report_of_workspace() -> Report:
    """Read what the pipeline has written. Raises DataError where something is missing or damaged."""
    params, raw = params_here(), load_split(RAW_DATA, "test")
    predictions = RunPredictions.of(predictions_here(PREDICTIONS), rules_of(params))
    metrics, download = _metrics(EVALUATE_METRICS, "examples", "units"), _metrics(DOWNLOAD_METRICS, "data", "model")
    data, model = (str(download[part]["name"]) for part in ("data", "model"))
    run = RunContent(
        name="this run",
        facts=_facts(params, metrics),
        scores=_scores(metrics),
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
    return Report(
        title=f"{model} on {data}",
        runs=(run,),
        examples=wrong_examples([predictions], raw),
        examples_in_all=rows(raw),
        label_issues=found_in(sources_here(), rules_of(params)),
        rank="confidence" if predictions is None else predictions.rank,
        notes=tuple(notes_here()),
    )


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


def _slice_score(values: Mapping[str, Any]) -> SliceScore:
    scores = {name: value for name, value in values.items() if name not in ("interval", "support")}
    return SliceScore(scores, Interval(*values["interval"]) if values["interval"] else None, values["support"])


def _facts(params: Mapping[str, Any], metrics: Mapping[str, Any]) -> tuple[Fact, ...]:
    shown = {name: params[name] for name in SHOWN_PARAMETERS if name in params}
    counts = {"test examples": metrics["examples"], "scored": metrics["units"]}
    return tuple(Fact(name, str(value)) for name, value in {**shown, **counts}.items())


def parser() -> argparse.ArgumentParser:
    """The command line."""
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
