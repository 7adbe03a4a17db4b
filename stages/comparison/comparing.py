"""The comparison of a base run with others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stages.comparison.changes import changed_examples, environment_differences, param_differences
from stages.comparison.predictions import Predictions, aligned
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
    Verdict,
)
from stages.comparison.runs import Run, Text
from stages.comparison.seconds import stage_seconds
from stages.comparison.seeds import grouped, mean_and_deviation, name_of, seeds_of
from stages.comparison.significance import holm, mcnemar, randomization
from stages.comparison.slices import Slice, slices
from stages.comparison.statistics import Counts, averaged, counted, has_entities, higher_is_better, within
from stages.pipeline.errors import DataError
from stages.scoring.final.resampling import RESAMPLES, Array, Interval, Statistic, interval, resampled

LEVEL = 0.05
_METRICS = ("accuracy", "f1", "precision", "recall", "mse", "mae", "pearson", "loss")
"""What is compared without a test where predictions are missing."""
_STALE = 1e-5
"""How far a metrics file, whose numbers are rounded, may be from what the predictions give."""


@dataclass
class _Group:
    """A run, or one run under several seeds."""

    runs: Sequence[Run]
    predictions: Sequence[Predictions] = ()
    """Of each run; empty where they are not at hand or not of the base's examples."""
    counts: Sequence[Counts] = ()
    """Of each run likewise."""
    note: str | None = None

    @property
    def name(self) -> str:
        return name_of(self.runs)

    @cached_property
    def mean(self) -> Counts:
        return averaged(self.counts)


def compare(
    runs: Sequence[Run],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    metric: str | None = None,
    by_seed: bool = True,
    lenient: bool = False,
) -> Comparison:
    """Compare the first run with each of the others.

    `metric` comes first; if None it is the one that the base's configuration names. Raises DataError if predictions
    are not at hand or not of the same examples; `lenient` tells that in the pair's note instead.
    """
    groups = [_Group(group) for group in (grouped(runs) if by_seed else [[run] for run in runs])]
    _read(groups, lenient=lenient)
    known = [group for group in groups if group.counts]
    if not known or known[0] is not groups[0]:
        return _untested(groups, level, resamples, metric)
    texts = next((found for group in groups for run in group.runs if (found := run.texts())), {})
    sampled = _Resamples(known, slices(known[0].predictions[0], texts), _headline(groups[0], metric), resamples)
    pairs = _with_holm([_pair(groups[0], other, sampled, texts, level) for other in groups[1:]], level)
    predictions = known[0].predictions[0]
    return Comparison(
        runs=[_result(group, sampled, level) for group in groups],
        pairs=pairs,
        level=level,
        resamples=resamples,
        kind=predictions.kind,
        target=predictions.target,
        examples=predictions.examples,
        notes=[*_left_out(runs, groups), *_notes(groups)],
    )


def _read(groups: Sequence[_Group], *, lenient: bool) -> None:
    """Read and count the predictions of every group that has them, all with the same labels."""
    base = groups[0].runs[0]
    for group in groups:
        try:
            group.predictions = _predictions(base, group.runs)
        except DataError as error:
            if not lenient:
                raise
            group.note = str(error)
    together = [run for group in groups for run in group.predictions]
    counts = iter(counted(together)) if together else iter(())
    for group in groups:
        group.counts = [next(counts) for _ in group.predictions]


def _predictions(base: Run, runs: Sequence[Run]) -> Sequence[Predictions]:
    for run in (base, *runs):
        if run.predictions is None:
            reason = run.missing or "run `dvc pull`"
            raise DataError(f"predictions of {run.name} are not at hand: {reason}")
    return aligned([(run.name, run.predictions) for run in (base, *runs)])[1:]


def _headline(base: _Group, metric: str | None) -> str:
    names = [statistic.name for statistic in base.counts[0].metrics]
    if metric is not None and metric not in names:
        raise DataError(f"--metric {metric}: can't be computed from these predictions; choose from {', '.join(names)}")
    configured = base.runs[0].params.get("task.metric")
    return metric or (configured if isinstance(configured, str) and configured in names else names[0])


class _Resamples:
    """The scores of every group on the same resamples of the examples."""

    def __init__(self, groups: Sequence[_Group], slices: Sequence[Slice], headline: str, resamples: int) -> None:
        self.slices, self.headline, self.resamples = slices, headline, resamples
        self.metrics = {group.name: self._headline_first(group.mean.metrics) for group in groups}
        self.sliced = {
            group.name: [within(self.metrics[group.name][0], slice_.examples) for slice_ in slices] for group in groups
        }
        self.labels = {group.name: group.mean.labels for group in groups}
        every = [each for part in (self.metrics, self.sliced, self.labels) for run in part.values() for each in run]
        arrays = {id(statistic.counts): statistic.counts for statistic in every}
        # several scores share their counts: each array is summed once, and the scores are taken of the sums
        sums = [Statistic(str(key), counts, _themselves) for key, counts in arrays.items()]
        self._sums = resampled(sums, resamples=resamples)

    def scores(self, statistic: Statistic) -> Array:
        """The scores of one of the statistics, [resamples]."""
        return statistic.value(self._sums[str(id(statistic.counts))])

    def interval_of(self, statistic: Statistic, level: float) -> Interval | None:
        """The interval of a score."""
        return interval(self.scores(statistic), 1 - level)

    def interval_of_difference(self, base: Statistic, other: Statistic, level: float) -> Interval | None:
        """The interval of other less base."""
        return interval(self.scores(other) - self.scores(base), 1 - level)

    def _headline_first(self, metrics: Sequence[Statistic]) -> list[Statistic]:
        return sorted(metrics, key=lambda statistic: statistic.name != self.headline)


def _themselves(sums: Array) -> Array:
    return sums


def _pair(base: _Group, other: _Group, sampled: _Resamples, texts: Mapping[str, Text], level: float) -> Pair:
    params = param_differences(base.runs[0].params, other.runs[0].params)
    recorded = _recorded(base, other)
    if not other.counts:
        differences = _from_metrics(base, other, sampled.headline)
        return Pair(base.name, other.name, differences, params, *recorded, note=other.note)
    runs = [run for group in (base, other) for run in group.predictions]
    errors = (base.mean.errors, other.mean.errors)
    return Pair(
        base.name,
        other.name,
        [*_differences(base, other, sampled, level)],
        params,
        *recorded,
        [*_label_differences(base, other, sampled, level)],
        [*_slice_differences(base, other, sampled, level)],
        changed_examples(base.predictions[0], other.predictions[0], errors, texts, entities=has_entities(runs)),
    )


def _differences(base: _Group, other: _Group, sampled: _Resamples, level: float) -> Iterator[Difference]:
    """All metrics, not yet corrected for the number of runs."""
    metrics = sampled.metrics[base.name], sampled.metrics[other.name]
    p_values = randomization(*metrics, rounds=sampled.resamples)
    for first, second, randomized in zip(*metrics, p_values, strict=True):
        test: Test = "randomization"
        p = randomized
        if first.name == "accuracy" and _one_text_each(base, other):
            test, p = "McNemar", mcnemar(*_discordant(first, second))
        values = _value(first), _value(second)
        yield Difference(
            metric=first.name,
            higher_is_better=higher_is_better(first.name),
            base=values[0],
            other=values[1],
            difference=_less(*values),
            interval=sampled.interval_of_difference(first, second, level),
            test=test,
            p=p,
            p_holm=p,
            verdict="no evidence",
        )


def _recorded(base: _Group, other: _Group) -> tuple[list[EnvironmentDifference], list[StageSeconds]]:
    """What the stages ran on as far as it differs, and their seconds."""
    records = [[run.stage_runs for run in group.runs] for group in (base, other)]
    return environment_differences(records[0][0], records[1][0]), stage_seconds(*records)


def _one_text_each(base: _Group, other: _Group) -> bool:
    """Whether every example is one text that each of two single runs has right or not."""
    return base.predictions[0].kind == "text" and len(base.runs) == len(other.runs) == 1


def _discordant(base: Statistic, other: Statistic) -> tuple[int, int]:
    """How many texts one run alone has right."""
    right, right_in_other = base.counts[:, 0] > 0, other.counts[:, 0] > 0
    return int((right & ~right_in_other).sum()), int((right_in_other & ~right).sum())


def _label_differences(base: _Group, other: _Group, sampled: _Resamples, level: float) -> Iterator[LabelDifference]:
    for first, second in zip(sampled.labels[base.name], sampled.labels[other.name], strict=True):
        values = _value(first), _value(second)
        if values == (None, None):
            continue  # a label that other runs alone predict
        between = sampled.interval_of_difference(first, second, level)
        support = int(first.counts[:, 2].sum())
        yield LabelDifference(first.name, support, *values, _less(*values), between)


def _slice_differences(base: _Group, other: _Group, sampled: _Resamples, level: float) -> Iterator[SliceDifference]:
    rows = zip(sampled.slices, sampled.sliced[base.name], sampled.sliced[other.name], strict=True)
    for slice_, first, second in rows:
        values = _value(first), _value(second)
        between = sampled.interval_of_difference(first, second, level)
        examples = int(slice_.examples.sum())
        yield SliceDifference(slice_.by, slice_.name, examples, sampled.headline, *values, _less(*values), between)


def _with_holm(pairs: Sequence[Pair], level: float) -> list[Pair]:
    """The pairs with every metric's p-values corrected for the number of runs, and verdicts."""
    corrected: dict[tuple[str, str], float] = {}
    for metric in {difference.metric for pair in pairs for difference in pair.differences}:
        tested = [
            (pair.other, difference.p)
            for pair in pairs
            for difference in pair.differences
            if difference.metric == metric and difference.p is not None
        ]
        p_values = holm([p for _, p in tested])
        corrected |= {(other, metric): p for (other, _), p in zip(tested, p_values, strict=True)}
    return [
        replace(
            pair,
            differences=[_judged(each, corrected.get((pair.other, each.metric)), level) for each in pair.differences],
        )
        for pair in pairs
    ]


def _judged(difference: Difference, p: float | None, level: float) -> Difference:
    return replace(difference, p_holm=p, verdict=_verdict(difference, p, level))


def _verdict(difference: Difference, p: float | None, level: float) -> Verdict:
    if p is None or p >= level or not difference.difference:
        return "no evidence"
    return "better" if (difference.difference > 0) == difference.higher_is_better else "worse"


def _untested(groups: Sequence[_Group], level: float, resamples: int, metric: str | None) -> Comparison:
    """What can be said without the base's predictions: metrics, parameters and curves."""
    base, *others = groups
    headline = metric or str(base.runs[0].params.get("task.metric", "f1"))
    pairs = [
        Pair(
            base.name,
            other.name,
            _from_metrics(base, other, headline),
            param_differences(base.runs[0].params, other.runs[0].params),
            *_recorded(base, other),
            note=base.note,
        )
        for other in others
    ]
    return Comparison([_result(group, None, level) for group in groups], pairs, level, resamples)


def _from_metrics(base: _Group, other: _Group, headline: str) -> list[Difference]:
    """The differences of what the metrics files say, without a test."""
    found = []
    for metric in sorted(_METRICS, key=lambda metric: metric != headline):
        values = _measured(base, metric), _measured(other, metric)
        if values != (None, None):
            found.append(_without_test(metric, *values))
    return found


def _without_test(metric: str, base: float | None, other: float | None) -> Difference:
    return Difference(
        metric, higher_is_better(metric), base, other, _less(base, other), None, None, None, None, "no evidence"
    )


def _measured(group: _Group, metric: str) -> float | None:
    return mean_and_deviation([run.metrics.get(f"evaluate.{metric}") for run in group.runs])[0]


def _result(group: _Group, sampled: _Resamples | None, level: float) -> RunResult:
    first = group.runs[0]
    scores = [*_scores(group, sampled, level)] if sampled and group.counts else [*_scores_from_metrics(group)]
    return RunResult(
        group.name, [run.name for run in group.runs], seeds_of(group.runs), scores, first.metrics, first.curves
    )


def _scores(group: _Group, sampled: _Resamples, level: float) -> Iterator[RunScore]:
    for mean in sampled.metrics[group.name]:
        seeds = [next(each for each in counts.metrics if each.name == mean.name) for counts in group.counts]
        value, deviation = mean_and_deviation([_value(each) for each in seeds])
        yield RunScore(mean.name, value, deviation, sampled.interval_of(mean, level))


def _scores_from_metrics(group: _Group) -> Iterator[RunScore]:
    for metric in _METRICS:
        value, deviation = mean_and_deviation([run.metrics.get(f"evaluate.{metric}") for run in group.runs])
        if value is not None:
            yield RunScore(metric, value, deviation, None)


def _left_out(runs: Sequence[Run], groups: Sequence[_Group]) -> Iterator[str]:
    kept = {run.name for group in groups for run in group.runs}
    for run in runs:
        if run.name not in kept:
            yield f"{run.name} is left out: it is a run already named, with the same predictions."


def _notes(groups: Sequence[_Group]) -> Iterator[str]:
    if any(len(group.runs) > 1 for group in groups):
        yield (
            "Runs that differ only in their seed are compared as one: by their mean counts on each example. The test is "
            "over examples, not over seeds."
        )
    for group in groups:
        for run, counts in zip(group.runs, group.counts, strict=False):
            yield from _stale(run, counts)


def _stale(run: Run, counts: Counts) -> Iterator[str]:
    """Tell of metrics that are not those of the predictions, as after `git checkout` without `dvc checkout`."""
    if run.params.get("evaluate.mode", "conll") != "conll":
        return
    for statistic in counts.metrics:
        said, found = run.metrics.get(f"evaluate.{statistic.name}"), _value(statistic)
        if said is not None and found is not None and abs(said - found) > _STALE:
            yield (
                f"{run.name}: metrics/evaluate.json says {statistic.name} {said:.4f}, its predictions give {found:.4f}: "
                "run `dvc checkout` or `dvc repro`."
            )
            return


def _value(statistic: Statistic) -> float | None:
    value = statistic.observed()
    return None if np.isnan(value) else value


def _less(base: float | None, other: float | None) -> float | None:
    return None if base is None or other is None else other - base
