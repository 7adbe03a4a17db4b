"""The comparison of a base run with others."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stages.comparison.aligned_files import files_of, shared_labels
from stages.comparison.loaded_runs import Run, Text
from stages.comparison.results import (
    Comparison,
    Difference,
    EnvironmentDifference,
    LabelDifference,
    Pair,
    RunResult,
    RunScore,
    SliceDifference,
    StageSeconds,
    Test,
)
from stages.comparison.run_differences import (
    changed_examples,
    environment_differences,
    note_on_labels,
    note_on_readings,
    notes_on,
    other_texts,
    other_words,
    param_differences,
    stage_seconds,
)
from stages.comparison.run_groups import (
    Group,
    GroupScores,
    PairedResamples,
    Slice,
    grouped,
    mean_and_deviation,
    slices,
    support_of,
)
from stages.comparison.significance import mcnemar, randomization, with_verdicts
from stages.configuration.schema import SchemeChoice, ScoringMode
from stages.pipeline.errors import DataError
from stages.scoring.core.metrics import METRICS, USUAL_HEADLINE, Metric, higher_is_better, metrics_of
from stages.scoring.core.predicted import ScoringRules, on_one_scale, rules_of
from stages.scoring.core.scores import is_computable, value_of
from stages.scoring.evaluation.resampling import RESAMPLES, AnyStatistic, Statistic

LEVEL = 0.05


@dataclass(frozen=True)
class _Compared:
    """What all pairs of a comparison share."""

    scores: Mapping[str, GroupScores]
    """By the group's name."""
    resampled: PairedResamples
    slices: Sequence[Slice]
    texts: Mapping[str, Text]
    resamples: int
    level: float
    """Of the intervals of differences."""

    @property
    def headline(self) -> str:
        """The metric that comes first."""
        return next(iter(self.scores.values())).metrics[0].metric.name


def compare(
    runs: Sequence[Run],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    metric: str | None = None,
    by_seed: bool = True,
    lenient: bool = False,
    optional: Collection[str] = (),
    judged: Collection[str] = (),
    mode: ScoringMode | None = None,
    scheme: SchemeChoice | None = None,
) -> Comparison:
    """Compare the first run with each of the others.

    All runs are scored as the base is evaluated (`evaluate.mode`, `evaluate.scheme`), unless `mode` and `scheme` say
    otherwise. `metric` comes first; if None it is the one that the base's configuration names. It has a verdict, and so
    do the metrics `judged`. Raises DataError if predictions are stale, not at hand or not of the same examples. `lenient`
    tells that in the pair's note instead; a run that is named in `optional` is left out, and a note says why.
    """
    groups = [Group(group) for group in (grouped(runs) if by_seed else [[run] for run in runs])]
    usual = rules_of(groups[0].runs[0].params)
    rules = ScoringRules(metric or usual.metric, mode or usual.mode, scheme or usual.scheme)
    _read(groups, rules)
    left_out = [group for group in groups if group.note and {run.name for run in group.runs} <= {*optional}]
    notes = [*_repeated(runs, groups), *(f"left out: {group.note}" for group in left_out)]
    groups = [group for group in groups if group not in left_out]
    if not lenient:
        _require_all(groups)
    known = [group for group in groups if group.predictions]
    if not known or known[0] is not groups[0]:
        return _untested(groups, level, resamples, rules.metric)
    base = known[0].files[0]
    metrics = _metrics(known, rules.metric, judged)
    judging = [each.name for place, each in enumerate(metrics) if place == 0 or each.name in judged]
    comparisons = max(1, len(known) - 1) * len(judging)
    compared = _compared(known, metrics, resamples, level / comparisons)
    pairs = [_pair(groups[0], other, compared) for other in groups[1:]]
    return Comparison(
        runs=[_result(group, compared, level) for group in groups],
        pairs=with_verdicts(pairs, judging, level, comparisons),
        level=level,
        resamples=resamples,
        kind=base.description.kind,
        target=base.description.target,
        examples=base.examples,
        notes=[*_notes(groups, rules), *_notes_on_inputs(known), *notes],
        judged=judging,
        rules=rules,
        comparisons=comparisons,
    )


def _read(groups: Sequence[Group], rules: ScoringRules) -> None:
    """Read the predictions of every group that has them, all with the same labels and scored alike.

    The note of a group says why it can't be compared with the base.
    """
    base = groups[0].runs[0]
    for group in groups:
        try:
            group.files = files_of(base, group.runs)
        except DataError as error:
            group.note = str(error)
    together = [file for group in groups for file in group.files]
    if not together:
        return
    names = shared_labels(together)
    for group in groups:
        # gold is the same everywhere, and the base's file says what kind of tags it holds
        group.predictions = [
            replace(
                file, description=groups[0].files[0].description if groups[0].files else file.description
            ).predictions(rules, names)
            for file in group.files
        ]
    scaled = iter(on_one_scale([run for group in groups for run in group.predictions]))
    for group in groups:
        group.predictions = [next(scaled) for _ in group.predictions]


def _require_all(groups: Sequence[Group]) -> None:
    """Raise DataError if a group can't be compared."""
    for group in groups:
        if group.note:
            raise DataError(group.note)


def _metrics(groups: Sequence[Group], headline: str | None, judged: Collection[str]) -> list[Metric]:
    """Return the metrics that runs are compared by, the headline first: those always shown, and those asked for.

    Raises DataError for a metric that can't be computed from these predictions.
    """
    runs = [run for group in groups for run in group.predictions]
    form = runs[0].form
    first = USUAL_HEADLINE[form] if headline is None else headline
    asked = [each for each in metrics_of(form) if each.listed(form) == "always" or each.name in (first, *judged)]
    shown = [each for each in asked if is_computable(each, runs)]
    if first not in [each.name for each in shown]:
        known = ", ".join(each.name for each in metrics_of(form) if is_computable(each, runs))
        raise DataError(
            f"metric {first}: can't be computed from these predictions; choose another with --metric from {known}"
        )
    return sorted(shown, key=lambda metric: metric.name != first)


def _compared(groups: Sequence[Group], metrics: Sequence[Metric], resamples: int, level: float) -> _Compared:
    texts = next((found for group in groups for run in group.runs if (found := run.texts())), {})
    parts = list(slices(groups[0].files[0], texts))
    scores = {group.name: GroupScores.of(group.predictions, metrics, parts) for group in groups}
    resampled = PairedResamples(scores, groups[0].files[0].examples, resamples)
    return _Compared(scores, resampled, parts, texts, resamples, level)


def _pair(base: Group, other: Group, compared: _Compared) -> Pair:
    params = param_differences(base.runs[0].params, other.runs[0].params)
    recorded = _recorded(base, other)
    if not other.predictions:
        differences = _from_metrics(base, other, compared.headline)
        return Pair(base.name, other.name, differences, params, *recorded, note=other.note)
    first, second = compared.scores[base.name], compared.scores[other.name]
    return Pair(
        base.name,
        other.name,
        [*_differences(first, second, compared)],
        params,
        *recorded,
        [*_label_differences(first, second, compared)],
        [*_slice_differences(first, second, compared)],
        changed_examples(
            (base.files, other.files),
            (base.predictions, other.predictions),
            (first.errors, second.errors),
            compared.texts,
        ),
    )


def _differences(base: GroupScores, other: GroupScores, compared: _Compared) -> Iterator[Difference]:
    """Yield the difference in each metric, without verdicts."""
    statistics = [[each.statistic for each in group.metrics] for group in (base, other)]
    p_values = randomization(*statistics, rounds=compared.resamples)
    for first, second, p in zip(base.metrics, other.metrics, p_values, strict=True):
        test: Test | None = None if p is None else "randomization"
        if first.is_share and second.is_share:
            test, p = "McNemar", mcnemar(*discordant(first.statistic, second.statistic))  # noqa: PLW2901
        values = first.observed(), second.observed()
        yield Difference(
            metric=first.metric.name,
            higher_is_better=first.metric.higher_is_better,
            base=values[0],
            other=values[1],
            difference=_difference(*values),
            interval=compared.resampled.interval_of_difference(first.statistic, second.statistic, compared.level),
            test=test,
            p=p,
            p_holm=p,
            verdict="no evidence",
        )


def _recorded(base: Group, other: Group) -> tuple[list[EnvironmentDifference], list[StageSeconds]]:
    """Return the differences between what the stages ran on, and their seconds."""
    records = [[run.stage_runs for run in group.runs] for group in (base, other)]
    return environment_differences(records[0][0], records[1][0]), stage_seconds(*records)


def discordant(base: AnyStatistic, other: AnyStatistic) -> tuple[int, int]:
    """Return how many texts one run alone has right, and how many the other."""
    assert isinstance(base, Statistic) and isinstance(other, Statistic)
    right, right_in_other = base.counts[:, 0] > 0, other.counts[:, 0] > 0
    return int((right & ~right_in_other).sum()), int((right_in_other & ~right).sum())


def _label_differences(base: GroupScores, other: GroupScores, compared: _Compared) -> Iterator[LabelDifference]:
    for first, second in zip(base.labels, other.labels, strict=True):
        values = _value(first), _value(second)
        if values == (None, None):
            continue  # a label that other runs alone predict
        between = compared.resampled.interval_of_difference(first, second, compared.level)
        yield LabelDifference(first.name, support_of(first), *values, _difference(*values), between)


def _slice_differences(base: GroupScores, other: GroupScores, compared: _Compared) -> Iterator[SliceDifference]:
    for slice_, first, second in zip(compared.slices, base.slices, other.slices, strict=True):
        values = first.observed(), second.observed()
        between = compared.resampled.interval_of_difference(
            first.statistic, second.statistic, compared.level, first.examples
        )
        yield SliceDifference(
            slice_.by, slice_.name, first.examples, first.metric.name, *values, _difference(*values), between
        )


def _untested(groups: Sequence[Group], level: float, resamples: int, metric: str | None) -> Comparison:
    """Compare without the base's predictions: only metrics, parameters and curves."""
    base, *others = groups
    pairs = [
        Pair(
            base.name,
            other.name,
            _from_metrics(base, other, metric or "f1"),
            param_differences(base.runs[0].params, other.runs[0].params),
            *_recorded(base, other),
            note=base.note,
        )
        for other in others
    ]
    doubts = [f"{run.name}: {doubt}" for group in groups for run in group.runs for doubt in run.doubts]
    notes = [note for other in others for note in note_on_readings(base.runs[0], other.runs[0])]
    results = [_result(group, None, level) for group in groups]
    return Comparison(results, pairs, level, resamples, notes=doubts + notes)


def _from_metrics(base: Group, other: Group, headline: str) -> list[Difference]:
    """Return the differences between the metrics files, untested."""
    found = []
    for metric in sorted(METRICS, key=lambda metric: metric != headline):
        values = _measured(base, metric), _measured(other, metric)
        if values != (None, None):
            untested = (None, None, None, None)
            found.append(
                Difference(metric, higher_is_better(metric), *values, _difference(*values), *untested, "no evidence")
            )
    return found


def _measured(group: Group, metric: str) -> float | None:
    return mean_and_deviation([run.metrics.get(f"evaluate.{metric}") for run in group.runs])[0]


def _result(group: Group, compared: _Compared | None, level: float) -> RunResult:
    first = group.runs[0]
    is_known = compared is not None and group.name in compared.scores
    scores = [*_scores(group, compared, level)] if compared and is_known else [*_scores_from_metrics(group)]
    return RunResult(group.name, [run.name for run in group.runs], group.seeds, scores, first.metrics, first.curves)


def _scores(group: Group, compared: _Compared, level: float) -> Iterator[RunScore]:
    for mean in compared.scores[group.name].metrics:
        value, deviation = mean_and_deviation([value_of(mean.metric, run) for run in group.predictions])
        yield RunScore(mean.metric.name, value, deviation, compared.resampled.interval(mean, level))


def _scores_from_metrics(group: Group) -> Iterator[RunScore]:
    for metric in METRICS:
        value, deviation = mean_and_deviation([run.metrics.get(f"evaluate.{metric}") for run in group.runs])
        if value is not None:
            yield RunScore(metric, value, deviation, None)


def _repeated(runs: Sequence[Run], groups: Sequence[Group]) -> Iterator[str]:
    kept = {run.name for group in groups for run in group.runs}
    for run in runs:
        if run.name not in kept:
            yield f"{run.name} is left out: it has the same predictions as a run that is already listed."


def _notes(groups: Sequence[Group], rules: ScoringRules) -> Iterator[str]:
    if any(len(group.runs) > 1 for group in groups):
        yield (
            "Runs that differ only in their seed are compared as one, by their mean counts on each example. The test is "
            "over examples, not over seeds. An example counts as right only if every seed gets it right."
        )
    if together := [run for group in groups for run in group.predictions]:
        yield from note_on_labels([file for group in groups for file in group.files], together[0])
    for group in groups:
        for run, predictions in zip(group.runs, group.predictions, strict=False):
            yield from notes_on(run, predictions, rules)


def _notes_on_inputs(groups: Sequence[Group]) -> Iterator[str]:
    """Tell of runs that read another text or other words under an id than the base, or the first run whose texts are known.

    Examples are paired by their ids: so are those of two test files, if their rows have the same numbers and gold.
    """
    read = [each for group in groups for each in zip(group.runs, group.files, strict=True)]
    (base, first), known = read[0], next(((run, texts) for run, _ in read if (texts := run.texts())), None)
    for run, file in read[1:]:
        if first.has_words:
            other, name = other_words(first, file), base.name
        elif known is None or run is known[0] or (run.raw is not None and run.raw == known[0].raw):
            continue
        else:
            other, name = other_texts(first.ids, known[1], run.texts()), known[0].name
        if other:
            yield (
                f"{run.name}: {len(other)} of {file.examples} examples have another text than in {name}, {other[0]} the first: "
                "they are taken for the same examples, because their ids and gold are the same."
            )


def _value(statistic: Statistic) -> float | None:
    value = statistic.observed()
    return None if np.isnan(value) else value


def _difference(base: float | None, other: float | None) -> float | None:
    return None if base is None or other is None else other - base
