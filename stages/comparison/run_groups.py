"""Groups of runs, and their scores on the same resamples of the examples, so that their differences are paired.

A group is a run, or one run under several seeds; then each example counts as it does on average over the seeds. So F1 is
that of the mean counts, which is close to the mean F1 but not the same.
"""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stages.columns.names import SECOND_TEXT, TEXT
from stages.comparison.loaded_runs import Run, Text
from stages.pipeline.json_files import Json
from stages.scoring.core.formulas import GOLD, label_f1
from stages.scoring.core.metrics import Metric
from stages.scoring.core.predicted import Predictions
from stages.scoring.evaluation.measured import Measured, measured
from stages.scoring.evaluation.predictions_file import PredictionsFile
from stages.scoring.evaluation.resampling import (
    AnyStatistic,
    Array,
    Draws,
    Interval,
    Statistic,
    WeightedStatistic,
    interval,
)
from stages.scoring.evaluation.slices import LENGTH, MOST_VALUES, Mask, by_length, by_value, word_counts
from stages.tags.spans import Integers

_SEED = "seed"


@dataclass
class Group:
    """A run, or one run under several seeds."""

    runs: Sequence[Run]
    files: Sequence[PredictionsFile] = ()
    """The predictions of each run; empty where they are not at hand or not of the base's examples."""
    predictions: Sequence[Predictions] = ()
    """Of each run likewise, all scored alike."""
    note: str | None = None

    @cached_property
    def name(self) -> str:
        """The first run's name, and how many more seeds there are."""
        more = len(self.runs) - 1
        return self.runs[0].name + (f" + {more} seed{'s' if more > 1 else ''}" if more else "")

    @property
    def seeds(self) -> list[int]:
        """The seeds, where all are known."""
        seeds = [run.params.get(_SEED) for run in self.runs]
        known = [seed for seed in seeds if isinstance(seed, int)]
        return known if len(known) == len(seeds) else []


def grouped(runs: Sequence[Run]) -> list[list[Run]]:
    """Group the runs that differ only in `seed`, in the order of the first run of each group.

    Only in `seed` means: of equal parameters otherwise, and of equal code and data, as `dvc.lock` has them. The same run
    once more (same seed, same predictions) is left out. Were all runs one group, there would be nothing to compare:
    then each stands for itself.
    """
    groups: list[list[Run]] = []
    for run in runs:
        group = next((group for group in groups if _recipe(run) and _recipe(run) == _recipe(group[0])), None)
        if group is None:
            groups.append([run])
        elif run.params[_SEED] not in [other.params[_SEED] for other in group]:
            group.append(run)
        elif not any(_same(run, other) for other in group):
            groups.append([run])
    return groups if len(groups) > 1 else [[run] for run in runs]


def mean_and_deviation(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return the mean and the standard deviation (divisor: values less one), where they are defined."""
    defined = [value for value in values if value is not None]
    if len(defined) < len(values) or not defined:
        return None, None
    return statistics.fmean(defined), statistics.stdev(defined) if len(defined) > 1 else None


def _recipe(run: Run) -> str | None:
    """Return all that a run depends on except its seed, as text; None if that is not known."""
    if run.code is None or _SEED not in run.params or run.predictions is None or run.stale:
        return None
    params: dict[str, Json] = {key: value for key, value in run.params.items() if key != _SEED}
    return json.dumps([run.code, params], sort_keys=True, default=str)


def _same(run: Run, other: Run) -> bool:
    assert run.predictions is not None and other.predictions is not None  # both have a recipe
    return run.params[_SEED] == other.params[_SEED] and bool(run.predictions.equals(other.predictions))


@dataclass(frozen=True)
class Slice:
    """Some of the examples."""

    by: str
    """`length`, or the column."""
    name: str
    examples: Mask
    """[examples]: whether each is one of them."""


def slices(file: PredictionsFile, texts: Mapping[str, Text]) -> Iterator[Slice]:
    """Return all that is known: quarters of the lengths in words, and the values of each column.

    What says nothing is left out: a single length, a column with a single value or very many.
    """
    words = _lengths(file, texts)
    parts = {} if words is None else by_length(words)
    if len(parts) > 1:
        yield from (Slice(LENGTH, name, examples) for name, examples in parts.items())
    for column in (name for name in file.kept_columns if name not in (TEXT, SECOND_TEXT)):
        values = file.of_examples(column)
        if 1 < len(set(values)) <= MOST_VALUES:
            yield from (Slice(column, name, examples) for name, examples in by_value(values, column).items())


def _lengths(file: PredictionsFile, texts: Mapping[str, Text]) -> Integers | None:
    if file.has_words:
        return np.diff(file.starts)
    if not texts or not all(id_ in texts for id_ in file.ids):
        return None
    found = [texts[id_] for id_ in file.ids]
    return word_counts([text.first for text in found], [text.second for text in found])


@dataclass(frozen=True)
class GroupScores:
    """What a group is compared by. All groups have the same metrics, slices and labels, in the same order."""

    metrics: Sequence[Measured]
    """The headline first."""
    slices: Sequence[Measured]
    """The headline metric of each slice."""
    labels: Sequence[Statistic]
    """F1 of each label or entity type, under its name."""
    errors: Array
    """[examples]: how much of each example is wrong (`Predictions.errors`)."""

    @classmethod
    def of(cls, runs: Sequence[Predictions], metrics: Sequence[Metric], slices: Sequence[Slice]) -> "GroupScores":
        """Measure a group: its runs differ in their seed."""
        of_runs = [list(measured(run, metrics)) for run in runs]
        in_slices = [[next(measured(run, metrics[:1], slice_.examples)) for slice_ in slices] for run in runs]
        labels = [label_statistics(run) for run in runs]
        return cls(
            [mean_measured(each) for each in zip(*of_runs, strict=True)],
            [mean_measured(each) for each in zip(*in_slices, strict=True)],
            [_mean_counts(each) for each in zip(*labels, strict=True)],
            np.mean([run.errors for run in runs], axis=0),
        )

    @property
    def all(self) -> list[AnyStatistic]:
        """Everything that is resampled."""
        return [*(each.statistic for each in (*self.metrics, *self.slices)), *self.labels]


def label_statistics(predictions: Predictions) -> list[Statistic]:
    """Return F1 of each label or entity type; not defined where neither gold nor the run has it."""
    counts = predictions.basis("label_counts")
    if counts is None:
        return []
    of_labels = counts.reshape(len(counts), -1, 3)
    return [Statistic(name, of_labels[:, place], label_f1) for place, name in enumerate(predictions.labels)]


def support_of(label: Statistic) -> int:
    """Return how often a label is gold."""
    return int(label.counts[:, GOLD].sum())


class PairedResamples:
    """The scores of every group on the same resamples."""

    def __init__(self, groups: Mapping[str, GroupScores], examples: int, resamples: int) -> None:
        self._draws = Draws(examples, resamples)
        self._examples = examples
        every = [statistic for group in groups.values() for statistic in group.all]
        self._known: dict[int, Array] = {}
        """The scores of each statistic, where all are drawn at once."""
        self._sums: dict[tuple[int, ...], list[Array]] = {}
        """The sums of counts that were drawn together: several scores are functions of the same ones."""
        if self._draws.one_by_one:
            scores = self._draws.scores(every)
            self._known = {id(statistic): values for statistic, values in zip(every, scores, strict=True)}

    def interval(self, score: Measured, level: float) -> Interval | None:
        """Return the interval of a group's score at `level` of significance."""
        drawn = None if score.is_share else self._scores(score.statistic)[0]
        return score.interval(drawn, 1 - level)

    def interval_of_difference(
        self, base: AnyStatistic, other: AnyStatistic, level: float, examples: int | None = None
    ) -> Interval | None:
        """Return the interval of other less base; `examples`: how many it is of, if not of all."""
        first, second = self._scores(base, other)
        return interval(second - first, 1 - level, self._examples if examples is None else examples)

    def _scores(self, *statistics: AnyStatistic) -> list[Array]:
        if self._draws.one_by_one:
            return [self._known[id(statistic)] for statistic in statistics]
        counted = [each for each in statistics if isinstance(each, Statistic)]
        if len(counted) < len(statistics):
            return self._draws.scores(statistics)
        drawn = self._drawn_together([each.counts for each in counted])
        return [each.value(sums) for each, sums in zip(counted, drawn, strict=True)]

    def _drawn_together(self, counts: Sequence[Array]) -> list[Array]:
        """Return the sums of each resample, [resamples, k] each. The same counts are drawn only once, alone or in a pair."""
        key = tuple(map(id, counts))
        for known, sums in self._sums.items():
            if set(key) <= set(known):
                return [sums[known.index(each)] for each in key]
        self._sums[key] = self._draws.scores(
            [Statistic(str(place), each, lambda sums: sums) for place, each in enumerate(counts)]
        )
        return self._sums[key]


def mean_measured(seeds: Sequence[Measured]) -> Measured:
    """Return the metric of the mean counts over seeds; of a score that no counts add up to, its mean."""
    first = seeds[0]
    is_share = first.is_share and len(seeds) == 1
    return replace(first, statistic=_mean([each.statistic for each in seeds]), is_share=is_share)


def _mean_counts(seeds: Sequence[Statistic]) -> Statistic:
    """Return the mean over seeds of what each example counts."""
    return seeds[0] if len(seeds) == 1 else replace(seeds[0], counts=np.mean([each.counts for each in seeds], axis=0))


def _mean(seeds: Sequence[AnyStatistic]) -> AnyStatistic:
    """Return the mean over seeds of what each example counts, or of the scores where examples don't add up."""
    first = seeds[0]
    if len(seeds) == 1:
        return first
    if isinstance(first, Statistic):
        return _mean_counts([each for each in seeds if isinstance(each, Statistic)])
    parts = [each for each in seeds if isinstance(each, WeightedStatistic)]

    def weighted(columns: Array, weights: Array) -> Array:
        scores = [
            part.weighted(of_part, weights)
            for part, of_part in zip(parts, np.split(columns, len(parts), axis=1), strict=True)
        ]
        mean: Array = np.mean(scores, axis=0)
        return mean

    return WeightedStatistic(first.name, np.concatenate([part.columns for part in parts], axis=1), weighted)
