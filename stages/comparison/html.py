"""A comparison as the report's page: verdicts first, then what differs, then the examples that changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
from datasets import Dataset

from stages.columns.names import SECOND_TEXT, TEXT
from stages.comparison import wording
from stages.comparison.aligned_files import aligned, shared_labels
from stages.comparison.loaded_runs import Run, Text
from stages.comparison.results import (
    Comparison,
    EnvironmentDifference,
    LabelDifference,
    Pair,
    ParamDifference,
    RunResult,
    SliceDifference,
)
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json
from stages.reporting.content import (
    Difference,
    Example,
    PartDifference,
    Report,
    RunContent,
    Score,
    ValuesOfRuns,
)
from stages.reporting.page import render_report
from stages.reporting.run_predictions import RunPredictions, calibration_of, confusion_of
from stages.reporting.training_curves import is_drawn
from stages.reporting.wrong_examples import wrong_examples
from stages.scoring.evaluation.predictions_file import read_predictions
from stages.scoring.evaluation.slices import LENGTH


def as_html(comparison: Comparison, runs: Sequence[Run]) -> str:
    """One page for the comparison of `runs`, which it was made of. Of runs that differ in seed alone, the first is shown."""
    by_name = {run.name: run for run in runs}
    firsts = [by_name[result.runs[0]] for result in comparison.runs]
    base, *others = (result.name for result in comparison.runs)
    predictions = _predictions(comparison, firsts)
    return render_report(
        Report(
            title=f"{', '.join(others)} against {base}",
            runs=tuple(
                _run(result, predictions.get(run.name)) for result, run in zip(comparison.runs, firsts, strict=True)
            ),
            examples=_examples(firsts, predictions),
            examples_in_all=comparison.examples or None,
            rank=next((each.rank for each in predictions.values()), "confidence"),
            differences=tuple(difference for pair in comparison.pairs for difference in _differences(pair)),
            parameters=_settings({each.key: each for each in pair.params} for pair in comparison.pairs),
            environment=_settings(
                {f"{each.key} ({', '.join(each.stages)})": each for each in pair.environment}
                for pair in comparison.pairs
            ),
            seconds=_of_runs([{each.stage: wording.took(each) for each in pair.seconds} for pair in comparison.pairs]),
            label_differences=tuple(
                _part(pair, label.label, label.support, "f1", label)
                for pair in comparison.pairs
                for label in pair.labels
            ),
            slice_differences=tuple(
                _part(pair, name, each.examples, each.metric, each)
                for pair in comparison.pairs
                for each in pair.slices
                for name in [each.slice if each.by == LENGTH else f"{each.by}: {each.slice}"]
            ),
            interval_level=1 - comparison.level,
            method=wording.method(comparison) if comparison.examples else "",
            notes=(*_on_seeds(comparison), *comparison.notes, *(pair.note for pair in comparison.pairs if pair.note)),
        )
    )


def _on_seeds(comparison: Comparison) -> Iterator[str]:
    several = [run for run in comparison.runs if len(run.runs) > 1]
    if several:
        firsts = ", ".join(f"{run.runs[0]} for {run.name}" for run in several)
        yield f"Examples, confusion, calibration and curves are those of one seed alone: {firsts}."


def _predictions(comparison: Comparison, runs: Sequence[Run]) -> dict[str, RunPredictions]:
    """The predictions of the runs that have them, in the order of the first one's rows."""
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
        scores=tuple(Score(score.metric, score.value, score.interval) for score in result.scores),
        curves=tuple(curve for name, curve in result.curves.items() if "/" in name and is_drawn(curve)),
        confusion=confusion_of(predictions),
        calibration=calibration_of(predictions),
    )


def _examples(runs: Sequence[Run], predictions: Mapping[str, RunPredictions]) -> tuple[Example, ...]:
    """The examples that some run has wrong; none where a run has no predictions, or the texts are not at hand."""
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


def _differences(pair: Pair) -> list[Difference]:
    return [
        Difference(
            run=pair.other,
            metric=each.metric,
            base=each.base,
            other=each.other,
            difference=each.difference,
            interval=each.interval,
            p=each.p,
            p_adjusted=each.p_holm,
            verdict=each.verdict if each.test is not None else None,
        )
        for each in pair.differences
    ]


def _part(pair: Pair, part: str, support: int, metric: str, found: LabelDifference | SliceDifference) -> PartDifference:
    score = Difference(pair.other, metric, found.base, found.other, found.difference, found.interval)
    return PartDifference(part, support, score)


def _settings(
    pairs: Iterable[Mapping[str, ParamDifference | EnvironmentDifference]],
) -> tuple[ValuesOfRuns, ...]:
    """What some run has otherwise than the base, from the differences of each pair; elsewhere a run is like the base."""
    shown = [{name: (_setting(found.base), _setting(found.other)) for name, found in pair.items()} for pair in pairs]
    return _of_runs(shown, is_like_base=True)


def _of_runs(pairs: Sequence[Mapping[str, tuple[str, str]]], *, is_like_base: bool = False) -> tuple[ValuesOfRuns, ...]:
    """From what the base and another run have of each name, a pair each.

    `is_like_base`: whether a run whose pair does not have the name is like the base; else it has nothing.
    """
    bases: dict[str, str] = {}
    for pair in pairs:
        for name, (base, _) in pair.items():
            bases.setdefault(name, base)
    return tuple(
        ValuesOfRuns(name, (base, *(pair.get(name, ("", base if is_like_base else ""))[1] for pair in pairs)))
        for name, base in bases.items()
    )


def _setting(value: Json) -> str:
    return "" if value is None else wording.setting(value)
