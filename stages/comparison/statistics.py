"""Scores of a predictions file as functions of sums over examples, under the names of `metrics/evaluate.json`.

An example is a text or a whole sentence, since words of a sentence are not independent. A score without a denominator
counts as 0, as it does in `stages.scoring`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.comparison.predictions import Integers, Predictions
from stages.scoring.final.resampling import Array, Statistic
from stages.scoring.headline.entities import EntityPairs, TaggedWords
from stages.tasks.schemes import are_entity_tags

_LOWER_IS_BETTER = {"loss", "mse", "mae"}


@dataclass(frozen=True)
class Counts:
    """What each example of one run adds to the sums that its scores are functions of."""

    metrics: Sequence[Statistic]
    labels: Sequence[Statistic]
    """F1 of each label or entity type, under its name."""
    errors: Array
    """[examples]: how much of it is wrong, as `ChangedExample.base_errors` says."""


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better."""
    return metric not in _LOWER_IS_BETTER


def counted(runs: Sequence[Predictions]) -> list[Counts]:
    """The counts of runs on the same examples. All have the same labels: those that gold or any run has.

    `loss` is among the metrics if every run's predictions tell it.
    """
    counts = _scored(runs)
    losses = [statistic for run in runs if (statistic := _loss(run)) is not None]
    if len(losses) < len(runs):
        return counts
    return [replace(each, metrics=[*each.metrics, loss]) for each, loss in zip(counts, losses, strict=True)]


def _scored(runs: Sequence[Predictions]) -> list[Counts]:
    if runs[0].target == "number":
        return [_of_numbers(run) for run in runs]
    names = names_of(runs)
    if has_entities(runs):
        return [_of_entities(run, names) for run in runs]
    if runs[0].target == "labels":
        return [_of_label_sets(run, names) for run in runs]
    return [_of_labels(run, names) for run in runs]


def averaged(seeds: Sequence[Counts]) -> Counts:
    """The mean of runs that differ in their seed: each example adds what it adds on average.

    So F1 is that of the mean counts, which is close to the mean F1 but not the same.
    """
    if len(seeds) == 1:
        return seeds[0]
    return Counts(
        [_mean([counts.metrics[place] for counts in seeds]) for place in range(len(seeds[0].metrics))],
        [_mean([counts.labels[place] for counts in seeds]) for place in range(len(seeds[0].labels))],
        np.mean([counts.errors for counts in seeds], axis=0),
    )


def names_of(runs: Sequence[Predictions]) -> list[str]:
    """The labels that occur, sorted."""
    columns = [_names(column) for column in (runs[0].gold, *(run.predicted for run in runs))]
    return sorted({name for column in columns for name in pc.unique(column).to_pylist()})


def has_entities(runs: Sequence[Predictions]) -> bool:
    """Whether words have entity tags (B-, I-, …), not plain ones such as parts of speech."""
    return runs[0].kind == "tokens" and are_entity_tags(names_of(runs))


def within(statistic: Statistic, examples: NDArray[np.bool_]) -> Statistic:
    """The same score of some examples only; `examples` has shape [examples]. Other examples add nothing."""
    return replace(statistic, counts=statistic.counts * examples[:, None])


def _mean(statistics: Sequence[Statistic]) -> Statistic:
    return replace(statistics[0], counts=np.mean([statistic.counts for statistic in statistics], axis=0))


def _of_labels(run: Predictions, names: Sequence[str]) -> Counts:
    """One label a text or word."""
    codes = pa.array(names, pa.string())
    gold, predicted = (
        pc.index_in(column.cast(pa.string()), codes).to_numpy().astype(np.int64) for column in (run.gold, run.predicted)
    )
    right = gold == predicted
    row = np.repeat(np.arange(run.examples), np.diff(run.start))
    shape = (run.examples, len(names))
    parts = [_table(row[right], gold[right], shape), _table(row, predicted, shape), _table(row, gold, shape)]
    counts = np.stack(parts, axis=2)
    units, hits = counts[..., 2].sum(axis=1), counts[..., 0].sum(axis=1)
    return Counts([_accuracy(hits, units), *_macro(counts)], [*_per_label(counts, names)], units - hits)


def _table(row: Integers, column: Integers, shape: tuple[int, int]) -> Array:
    """How often each pair of a row and a column occurs."""
    counts = np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1])
    return counts.reshape(shape).astype(np.float64)


def _of_label_sets(run: Predictions, names: Sequence[str]) -> Counts:
    """Any number of labels a text."""
    gold, predicted = (_indicators(column, names) for column in (run.gold, run.predicted))
    counts = np.stack([gold & predicted, predicted, gold], axis=2).astype(float)
    wrong = (gold != predicted).sum(axis=1).astype(float)
    exact = _accuracy((wrong == 0).astype(float), np.ones(run.examples))
    return Counts([exact, *_macro(counts)], [*_per_label(counts, names)], wrong)


def _indicators(column: pa.Array, names: Sequence[str]) -> NDArray[np.bool_]:
    matrix = np.zeros((len(column), len(names)), bool)
    row = np.repeat(np.arange(len(column)), pc.fill_null(pc.list_value_length(column), 0).to_numpy())
    matrix[row, pc.index_in(_names(column), pa.array(names, pa.string())).to_numpy().astype(np.int64)] = True
    return matrix


def _of_entities(run: Predictions, names: Sequence[str]) -> Counts:
    """Entities, read as CoNLL does: right if type and both ends are."""
    codes = (pc.index_in(column, pa.array(names, pa.string())).to_numpy() for column in (run.gold, run.predicted))
    gold, predicted = (each.astype(np.int64) for each in codes)
    pairs = EntityPairs.read(TaggedWords(gold, predicted, np.diff(run.start), names), "conll")
    counts = pairs.sums()
    right = pc.equal(run.gold, run.predicted).to_numpy(zero_copy_only=False)
    words = np.diff(run.start).astype(float)
    hits = np.add.reduceat(right.astype(float), run.start[:-1])
    overall = counts.sum(axis=1)
    metrics = [
        Statistic("f1", overall, lambda sums: _share(2 * sums[..., 0], sums[..., 1] + sums[..., 2])),
        Statistic("precision", overall, lambda sums: _share(sums[..., 0], sums[..., 1])),
        Statistic("recall", overall, lambda sums: _share(sums[..., 0], sums[..., 2])),
        _accuracy(hits, words),
    ]
    return Counts(metrics, [*_per_label(counts, pairs.types)], overall @ np.array([-2.0, 1.0, 1.0]))


def _of_numbers(run: Predictions) -> Counts:
    """Numbers. Sums are of numbers less gold's mean, so that squares don't cancel."""
    gold, predicted = (column.to_numpy(zero_copy_only=False).astype(float) for column in (run.gold, run.predicted))
    x, y = gold - gold.mean(), predicted - gold.mean()
    error, one = predicted - gold, np.ones(run.examples)
    metrics = [
        Statistic("mse", np.stack([np.square(error), one], axis=1), _ratio),
        Statistic("mae", np.stack([np.abs(error), one], axis=1), _ratio),
        Statistic("pearson", np.stack([x, y, x * x, y * y, x * y, one], axis=1), _pearson),
    ]
    return Counts(metrics, [], np.abs(error))


def _loss(run: Predictions) -> Statistic | None:
    if run.loss is None:
        return None
    return Statistic("loss", np.stack([np.add.reduceat(run.loss, run.start[:-1]), np.diff(run.start)], axis=1), _ratio)


def _accuracy(hits: Array, units: Array) -> Statistic:
    return Statistic("accuracy", np.stack([hits, units], axis=1), _ratio)


def _macro(counts: Array) -> Iterator[Statistic]:
    """Averages over the labels that occur in either, from counts [examples, labels, 3]: right, predicted, gold."""
    labels = counts.shape[1]
    flat = counts.reshape(len(counts), -1)

    def average(numerator: Callable[[Array], Array], denominator: Callable[[Array], Array]) -> Callable[[Array], Array]:
        def value(sums: Array) -> Array:
            each = sums.reshape(*sums.shape[:-1], labels, 3)
            occurs = each[..., 1] + each[..., 2] > 0
            scores = _share(numerator(each), denominator(each))
            return _ratio(np.stack([(scores * occurs).sum(axis=-1), occurs.sum(axis=-1)], axis=-1))

        return value

    yield Statistic("f1", flat, average(lambda each: 2 * each[..., 0], lambda each: each[..., 1] + each[..., 2]))
    yield Statistic("precision", flat, average(lambda each: each[..., 0], lambda each: each[..., 1]))
    yield Statistic("recall", flat, average(lambda each: each[..., 0], lambda each: each[..., 2]))


def _per_label(counts: Array, names: Sequence[str]) -> Iterator[Statistic]:
    """F1 of each label; not defined where neither gold nor the run has it."""
    for place, name in enumerate(names):
        yield Statistic(name, counts[:, place], lambda sums: _ratio(_f1_parts(sums)))


def _f1_parts(sums: Array) -> Array:
    parts: Array = np.stack([2 * sums[..., 0], sums[..., 1] + sums[..., 2]], axis=-1)
    return parts


def _share(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)


def _ratio(sums: Array) -> Array:
    """[..., 2] to [...]; NaN where there is nothing to divide by."""
    undefined = np.full(sums.shape[:-1], np.nan)
    ratio: Array = np.divide(sums[..., 0], sums[..., 1], out=undefined, where=sums[..., 1] > 0)
    return ratio


def _pearson(sums: Array) -> Array:
    """From the sums of x, y, x², y², xy and 1; NaN where either is constant."""
    x, y, xx, yy, xy, n = np.moveaxis(sums, -1, 0)
    variances = (n * xx - x * x, n * yy - y * y)
    # less than rounding leaves behind is no variance
    defined = (variances[0] > 1e-12 * n * xx) & (variances[1] > 1e-12 * n * yy)
    scale = np.sqrt(np.where(defined, variances[0] * variances[1], 1.0))
    correlation: Array = np.where(defined, np.clip((n * xy - x * y) / scale, -1.0, 1.0), np.nan)
    return correlation


def _names(column: pa.Array) -> pa.Array:
    flat = pc.list_flatten(column) if pa.types.is_nested(column.type) else column
    return flat.cast(pa.string())
