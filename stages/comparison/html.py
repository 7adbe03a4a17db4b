"""A comparison as the report's page: verdicts first, then what differs, then the examples that were fixed or broken."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from datasets import Dataset

from stages.comparison import wording
from stages.comparison.predictions import in_order_of
from stages.comparison.results import (
    Comparison,
    EnvironmentDifference,
    LabelDifference,
    Pair,
    ParamDifference,
    RunResult,
    SliceDifference,
)
from stages.comparison.results import Curve as FoundCurve
from stages.comparison.runs import Run, Text
from stages.reporting.calibration import calibration_of
from stages.reporting.confusion import confusion_of
from stages.reporting.content import (
    Curve,
    Difference,
    Example,
    PartDifference,
    Report,
    RunContent,
    Score,
    ValuesOfRuns,
)
from stages.reporting.page import render_report
from stages.reporting.wrong_sentences import wrong_sentences
from stages.reporting.wrong_texts import wrong_texts
from stages.scoring.final.predictions import description_of
from stages.scoring.final.slices import LENGTH
from stages.tasks.columns.names import SECOND_TEXT, TEXT


def as_html(comparison: Comparison, runs: Sequence[Run]) -> str:
    """One page for the comparison of `runs`, which it was made of. Of runs that differ in seed alone, the first is shown."""
    firsts = [_first(result, runs) for result in comparison.runs]
    tables = _tables(firsts)
    return render_report(
        Report(
            title=" against ".join(result.name for result in reversed(comparison.runs)),
            runs=tuple(_run(result, tables.get(run.name)) for result, run in zip(comparison.runs, firsts, strict=True)),
            examples=_examples(firsts, tables),
            examples_in_all=comparison.examples or None,
            rank="absolute error" if comparison.target == "number" else "confidence",
            differences=tuple(difference for pair in comparison.pairs for difference in _differences(pair)),
            parameters=_parameters(comparison),
            environment=_environment(comparison),
            seconds=_seconds(comparison),
            label_differences=tuple(
                _part(pair, label.label, label.support, "f1", label)
                for pair in comparison.pairs
                for label in pair.labels
            ),
            slice_differences=tuple(
                _part(pair, _named(slice_), slice_.examples, slice_.metric, slice_)
                for pair in comparison.pairs
                for slice_ in pair.slices
            ),
            notes=(*comparison.notes, *(pair.note for pair in comparison.pairs if pair.note)),
        )
    )


def _named(part: SliceDifference) -> str:
    return part.slice if part.by == LENGTH else f"{part.by}: {part.slice}"


def _first(result: RunResult, runs: Sequence[Run]) -> Run:
    return next(run for run in runs if run.name == result.runs[0])


def _tables(runs: Sequence[Run]) -> dict[str, pa.Table]:
    """The predictions of the runs that have them, in the order of the first one's rows."""
    found = [(run.name, run.predictions) for run in runs if run.predictions is not None]
    return {name: in_order_of(found[0][1], table) for name, table in found}


def _run(result: RunResult, predictions: pa.Table | None) -> RunContent:
    return RunContent(
        name=result.name,
        scores=tuple(Score(score.metric, score.value, score.interval) for score in result.scores),
        curves=tuple(_curve(name, curve) for name, curve in result.curves.items() if _is_shown(name)),
        confusion=None if predictions is None else confusion_of(predictions, _names(predictions)),
        calibration=None if predictions is None or "token" in predictions.column_names else calibration_of(predictions),
    )


def _names(predictions: pa.Table) -> Sequence[str]:
    return () if predictions["gold"].null_count else description_of(predictions).names


def _is_shown(name: str) -> bool:
    return "/" in name and name.rpartition("/")[2] not in ("grad_norm", "learning_rate")


def _curve(name: str, curve: FoundCurve) -> Curve:
    split, _, metric = name.rpartition("/")
    return Curve(split, metric, tuple(curve.epochs), tuple(curve.values))


def _examples(runs: Sequence[Run], tables: Mapping[str, pa.Table]) -> tuple[Example, ...]:
    """The examples that some run has wrong; none where a run has no predictions, or the texts are not at hand."""
    if len(tables) < len(runs):
        return ()
    predictions = [tables[run.name] for run in runs]
    if "token" in predictions[0].column_names:
        return wrong_sentences(predictions)
    texts = next((found for run in runs if (found := run.texts())), {})
    ids = predictions[0]["id"].to_pylist()
    return wrong_texts(predictions, _split(ids, texts)) if set(ids) <= texts.keys() else ()


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


def _parameters(comparison: Comparison) -> tuple[ValuesOfRuns, ...]:
    """Every parameter that some run has otherwise than the base."""
    pairs = [{each.key: _settings(each) for each in pair.params} for pair in comparison.pairs]
    return _of_runs(pairs, is_base_elsewhere=True)


def _environment(comparison: Comparison) -> tuple[ValuesOfRuns, ...]:
    """All that stages of some run ran on, and not those of the base."""
    pairs = [
        {f"{each.key} ({', '.join(each.stages)})": _settings(each) for each in pair.environment}
        for pair in comparison.pairs
    ]
    return _of_runs(pairs, is_base_elsewhere=True)


def _seconds(comparison: Comparison) -> tuple[ValuesOfRuns, ...]:
    """How long the stages took that are recorded for the base and another run."""
    pairs = [{each.stage: wording.took(each) for each in pair.seconds} for pair in comparison.pairs]
    return _of_runs(pairs, is_base_elsewhere=False)


def _of_runs(pairs: Sequence[Mapping[str, tuple[str, str]]], *, is_base_elsewhere: bool) -> tuple[ValuesOfRuns, ...]:
    """From what the base and another run have of each name, a pair each.

    `is_base_elsewhere`: whether a run whose pair does not have the name is like the base.
    """
    bases: dict[str, str] = {}
    for pair in pairs:
        for name, (base, _) in pair.items():
            bases.setdefault(name, base)
    return tuple(
        ValuesOfRuns(name, (base, *(_other(pair.get(name), base if is_base_elsewhere else "") for pair in pairs)))
        for name, base in bases.items()
    )


def _other(found: tuple[str, str] | None, elsewhere: str) -> str:
    return elsewhere if found is None else found[1]


def _settings(found: ParamDifference | EnvironmentDifference) -> tuple[str, str]:
    base, other = ("" if value is None else wording.setting(value) for value in (found.base, found.other))
    return base, other
