"""A comparison as one HTML page: the headline first, then what differs, then the examples that changed."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
from datasets import Dataset

from stages.columns.names import SECOND_TEXT, TEXT
from stages.comparison.aligned_files import aligned, shared_labels
from stages.comparison.lettered_runs import LetteredRun, best_of, lettered
from stages.comparison.loaded_runs import Run, Text
from stages.comparison.page_head import head
from stages.comparison.page_metrics import differences, metrics
from stages.comparison.page_parts import labels, slices
from stages.comparison.page_settings import settings
from stages.comparison.results import Comparison, RunResult
from stages.pipeline.errors import DataError
from stages.reporting import pictures
from stages.reporting.browser_data import ERRORS_BUDGET, browser_data
from stages.reporting.content import Example, Report, RunContent
from stages.reporting.document import Part, asset, document
from stages.reporting.markup import Html, joined, tag
from stages.reporting.page import errors
from stages.reporting.run_predictions import RunPredictions, calibration_of, confusion_of
from stages.reporting.training_curves import is_drawn
from stages.reporting.wrong_examples import wrong_examples
from stages.scoring.evaluation.predictions_file import read_predictions

_PACKAGE = "stages.comparison"


def as_html(comparison: Comparison, runs: Sequence[Run], command: str = "") -> str:
    """Return the page of a comparison and its `runs`. It depends only on these: there is no time in it.

    Of runs that differ in seed alone, the first is shown. `command`: what makes the page again, for a shell.
    """
    shown = lettered(comparison, runs)
    report = _report(comparison, shown)
    data = browser_data(report, ERRORS_BUDGET)
    base, *others = shown
    name = others[0].result.name if len(others) == 1 else f"{len(others)} runs"
    parts = [
        Part("differences", "Differences", differences(comparison, shown)),
        Part("metrics", "All metrics", metrics(comparison, shown)),
        Part("labels", "Labels", labels(shown, _gold(report))),
        Part("slices", "Slices", slices(shown)),
        Part("errors", "Examples", errors(report, data)),
        Part("settings", "Settings", settings(shown)),
        Part("curves", "Training", pictures.curves(report)),
        Part("confusion", "Confusion", pictures.confusion(report, best_of(comparison).name)),
        Part("calibration", "Calibration", pictures.calibration(report)),
    ]
    return document(
        f"{name} compared with {base.result.name}",
        f"Comparison of {len(comparison.runs)} runs on the same test split",
        parts,
        head=head(comparison, shown, command, has_examples=bool(report.examples)),
        notes=_notes(comparison),
        style=asset("report.css") + asset("comparison.css", _PACKAGE),
        script=asset("tables.js") + asset("report.js"),
        data=data.json,
    )


def _gold(report: Report) -> set[str]:
    """Return the gold labels that examples can be filtered by."""
    return {mistake.gold for each in report.examples for mistake in each.mistakes if mistake.gold is not None}


def _notes(comparison: Comparison) -> Html:
    """Return the notes that stand before everything else."""
    notes = [*_on_seeds(comparison), *comparison.notes, *(pair.note for pair in comparison.pairs if pair.note)]
    return joined(tag("p", note, class_="note") for note in dict.fromkeys(notes))


def _on_seeds(comparison: Comparison) -> Iterator[str]:
    several = [run for run in comparison.runs if len(run.runs) > 1]
    if several:
        firsts = ", ".join(f"{run.runs[0]} for {run.name}" for run in several)
        yield f"Examples, confusion, calibration and curves are those of one seed alone: {firsts}."


def _report(comparison: Comparison, shown: Sequence[LetteredRun]) -> Report:
    """Return what the page shares with the report of a single run: examples, curves, confusion and calibration."""
    runs = [each.run for each in shown]
    predictions = _predictions(comparison, runs)
    return Report(
        title="",
        runs=tuple(_run(each.result, predictions.get(each.run.name)) for each in shown),
        examples=_examples(runs, predictions),
        examples_in_all=comparison.examples or None,
        rank=next((each.rank for each in predictions.values()), None),
    )


def _predictions(comparison: Comparison, runs: Sequence[Run]) -> dict[str, RunPredictions]:
    """Return the predictions of the runs that have them, in the order of the first one's rows."""
    try:
        found = [read_predictions(run.predictions, run.name) for run in runs if run.predictions is not None]
        files = aligned(found) if found else []
    except DataError:
        return {}  # without gold, or of other examples: the comparison's notes say so
    names = shared_labels(files) if files else []
    return {file.name: RunPredictions(file, file.predictions(comparison.rules, names)) for file in files}


def _run(result: RunResult, predictions: RunPredictions | None) -> RunContent:
    return RunContent(
        name=result.name,
        curves=tuple(curve for name, curve in result.curves.items() if "/" in name and is_drawn(curve)),
        confusion=confusion_of(predictions),
        calibration=calibration_of(predictions),
    )


def _examples(runs: Sequence[Run], predictions: Mapping[str, RunPredictions]) -> tuple[Example, ...]:
    """Return the examples that some run has wrong; none if a run has no predictions, or the texts are not at hand."""
    if len(predictions) < len(runs):
        return ()
    texts = next((found for run in runs if (found := run.texts())), {})
    ids = predictions[runs[0].name].file.ids
    split = _split(ids, texts) if set(ids) <= texts.keys() else None
    return wrong_examples([predictions[run.name] for run in runs], split)


def _split(ids: Sequence[str], texts: Mapping[str, Text]) -> Dataset:
    columns: dict[str, list[str]] = {"id": list(ids), TEXT: [texts[id_].first for id_ in ids]}
    seconds = [texts[id_].second for id_ in ids]
    if all(second is not None for second in seconds):
        columns[SECOND_TEXT] = [str(second) for second in seconds]
    return Dataset(pa.table(columns))
