"""Final scores: everything that is told of a test split, computed from its predictions file alone."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.configuration.schema import SLICES, Kind, SchemeChoice, ScoringMode
from stages.scoring.final import predictions as columns
from stages.scoring.final.entity_details import entity_details, reading_of, scheme_of
from stages.scoring.final.number_statistics import number_statistics, spearman_statistic
from stages.scoring.final.predictions import Description, description_of
from stages.scoring.final.probabilities import probability_scores
from stages.scoring.final.resampling import RESAMPLES, Interval, Statistic, WeightedStatistic, interval, resampled
from stages.scoring.final.scores import AgreementScores, FinalScores, ProbabilityScores, SliceScore
from stages.scoring.final.slices import LABEL, LENGTH, Mask, by_label, by_length, by_value, slice_name, sliced
from stages.scoring.final.statistics import agreement_statistics, average_statistics, mean_statistic
from stages.scoring.headline.classification import label_sums, score_labels
from stages.scoring.headline.entities import EntityPairs, TaggedWords, entity_scores
from stages.scoring.headline.multilabel import label_set_sums, score_label_sets
from stages.scoring.headline.numbers import score_numbers
from stages.scoring.headline.rates import GOLD, Array, balanced_accuracy, macro, matthews_correlation, micro
from stages.scoring.headline.scores import Scores
from stages.scoring.headline.spans import Reading
from stages.tasks.schemes import are_entity_tags

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ScoringOptions:
    """What is to be computed; the fields are `evaluate`'s own keys."""

    mode: ScoringMode = "conll"
    scheme: SchemeChoice = "auto"
    resamples: int = RESAMPLES
    slices: Sequence[str] = ()


@dataclass(frozen=True)
class Background:
    """What is known of the test split besides its predictions."""

    seen: Set[str] | None = None
    """The wordings of the entities in train."""
    lengths: Integers | None = None
    """[examples]: the words of each; those of sentences are known without it."""
    threshold: float | None = None
    """The probability from which on a text was said to have a label."""


@dataclass(frozen=True)
class _Judged:
    """Scores, and what resampling and slicing need."""

    scores: Scores
    statistics: Sequence[Statistic]
    """Of the same examples; their names are those of scores."""
    sliced: Sequence[str]
    """The statistics that slices have."""
    lengths: Integers | None
    weighted: Sequence[WeightedStatistic] = ()
    has_label: Mask | None = None
    """[examples, labels]: which of `labels` each example's gold has."""
    labels: Sequence[str] = field(default_factory=tuple)


def score_predictions(
    table: pa.Table, options: ScoringOptions | None = None, background: Background | None = None
) -> FinalScores:
    """Score a predictions file.

    Raises DataError if it lacks a column, has gold that is not known, or tags that the scheme does not have.
    """
    options, background = options or ScoringOptions(), background or Background()
    description = description_of(table)
    judged = _judged(table, description, options, background)
    slices = {**_masks(judged, options.slices), **_masks_of_columns(table, description.kind, options.slices)}
    of_slices = [
        statistic
        for by, masks in slices.items()
        for statistic in sliced([each for each in judged.statistics if each.name in judged.sliced], masks, by)
    ]
    intervals = _intervals(judged, of_slices, options.resamples)
    return FinalScores(
        judged.scores,
        {name: intervals[name] for name in _with_interval(judged)} if options.resamples else {},
        _slice_scores(judged, slices, of_slices, intervals),
    )


def _judged(table: pa.Table, description: Description, options: ScoringOptions, background: Background) -> _Judged:
    names = description.names
    if description.target == "number":
        return _judged_numbers(table, background)
    if description.target == "labels":
        return _judged_label_sets(table, names, background)
    if description.kind == "text":
        return _judged_labels(table, names, background)
    words = columns.tagged_words(table, names)
    if options.scheme == "plain" or (options.scheme == "auto" and not are_entity_tags(names)):
        return _judged_tags(table, words)
    return _judged_entities(table, words, options, background)


def _judged_labels(table: pa.Table, names: Sequence[str], background: Background) -> _Judged:
    gold, predicted = (columns.codes(table, column, names) for column in (columns.GOLD, columns.PREDICTED))
    example = np.arange(len(gold))
    confidence = columns.numbers(table, columns.SCORE) if columns.SCORE in table.column_names else None
    probabilities = probability_scores(
        columns.probabilities(table, columns.PROBABILITIES, names), confidence, gold, gold == predicted
    )
    judged = _judged_units(table, TaggedWords(gold, predicted, np.ones_like(example), names), probabilities)
    return replace(judged, lengths=background.lengths)


def _judged_tags(table: pa.Table, words: TaggedWords) -> _Judged:
    confidence = columns.numbers(table, columns.SCORE) if columns.SCORE in table.column_names else None
    right = words.gold == words.predicted
    return _judged_units(table, words, probability_scores(None, confidence, words.gold, right))


def _judged_units(table: pa.Table, units: TaggedWords, probabilities: ProbabilityScores) -> _Judged:
    """Units with one label each: texts, as sentences of one word, or words with plain tags."""
    sums = label_sums(units.predicted, units.gold, units.sentence, len(units.lengths), len(units.names))
    total = sums.sum(axis=0)
    scores = score_labels(units.predicted, units.gold, units.names, loss=_mean_loss(table))
    agreement = AgreementScores(float(balanced_accuracy(total)), float(matthews_correlation(total)), probabilities)
    return _Judged(
        replace(scores, details=agreement),
        [
            *_means(table, units),
            *average_statistics(macro, sums),
            *agreement_statistics(sums),
        ],
        ("accuracy",),
        units.lengths,
        has_label=sums[..., GOLD] > 0,
        labels=units.names,
    )


def _judged_entities(table: pa.Table, words: TaggedWords, options: ScoringOptions, background: Background) -> _Judged:
    pairs = EntityPairs.read(words, reading_of(options.mode, words, options.scheme))
    sums = pairs.sums()
    tokens = table[columns.TOKEN].to_pylist() if columns.TOKEN in table.column_names else None
    strict: Reading = scheme_of(words, options.scheme)
    other: tuple[str, Reading] = ("conll", "conll") if options.mode == "strict" else ("strict", strict)
    details = entity_details(words, pairs, other, tokens, background.seen)
    return _Judged(
        replace(entity_scores(words, pairs, loss=_mean_loss(table)), details=details),
        [*_means(table, words), *average_statistics(micro, sums.sum(axis=1, keepdims=True))],
        ("precision", "recall", "f1"),
        words.lengths,
        has_label=sums[..., GOLD] > 0,
        labels=pairs.types,
    )


def _judged_label_sets(table: pa.Table, names: Sequence[str], background: Background) -> _Judged:
    gold, predicted = (columns.label_matrix(table, column, names) for column in (columns.GOLD, columns.PREDICTED))
    sums, loss = label_set_sums(predicted, gold), columns.losses(table)
    ones = np.ones(len(gold))
    micro_f1 = average_statistics(micro, sums.sum(axis=1, keepdims=True))[-1]
    return _Judged(
        score_label_sets(predicted, gold, names, loss=_mean_loss(table), threshold=background.threshold),
        [
            mean_statistic("accuracy", (predicted == gold).all(axis=1).astype(np.float64), ones),
            *([] if loss is None else [mean_statistic("loss", loss, ones)]),
            *average_statistics(macro, sums),
            replace(micro_f1, name="micro_f1"),
        ],
        ("accuracy", "micro_f1"),
        background.lengths,
        has_label=gold,
        labels=names,
    )


def _judged_numbers(table: pa.Table, background: Background) -> _Judged:
    gold, predicted = (columns.numbers(table, column) for column in (columns.GOLD, columns.PREDICTED))
    return _Judged(
        score_numbers(predicted, gold),
        number_statistics(predicted, gold),
        ("mse", "mae", "pearson"),
        background.lengths,
        weighted=[spearman_statistic(predicted, gold)],
    )


def _means(table: pa.Table, units: TaggedWords) -> list[Statistic]:
    """`accuracy`, and `loss` where it is known, as means over units; examples are sentences."""
    count = units.lengths.astype(np.float64)

    def of(name: str, values: Array) -> Statistic:
        total = np.bincount(units.sentence, weights=values, minlength=len(count)).astype(np.float64)
        return mean_statistic(name, total, count)

    loss = columns.losses(table)
    accuracy = of("accuracy", (units.gold == units.predicted).astype(np.float64))
    return [accuracy] if loss is None else [accuracy, of("loss", loss)]


def _mean_loss(table: pa.Table) -> float | None:
    loss = columns.losses(table)
    return None if loss is None else float(loss.mean())


def _with_interval(judged: _Judged) -> list[str]:
    """The names of all resampled scores: the headline in its own order, then the others."""
    known = [each.name for each in judged.statistics] + [each.name for each in judged.weighted]
    headline = [name for name in judged.scores.headline_json() if name in known]
    return [*headline, *(name for name in known if name not in headline)]


def _intervals(judged: _Judged, of_slices: Sequence[Statistic], resamples: int) -> Mapping[str, Interval | None]:
    """By the name of the statistic. Of slices only what `SliceScore.interval` is of."""
    if resamples == 0:
        return {}
    last = [statistic for statistic in of_slices if statistic.name.endswith(f"/{judged.sliced[-1]}")]
    scores = resampled([*judged.statistics, *last], judged.weighted, resamples=resamples)
    return {name: interval(values) for name, values in scores.items()}


def _masks(judged: _Judged, by: Sequence[str]) -> dict[str, dict[str, Mask]]:
    """By what examples are sliced, as far as it is known, and for each slice which examples it has."""
    masks: dict[str, dict[str, Mask]] = {}
    if LENGTH in by and judged.lengths is not None:
        masks[LENGTH] = by_length(judged.lengths)
    if LABEL in by and judged.has_label is not None:
        masks[LABEL] = by_label(judged.has_label, judged.labels)
    return masks


def _masks_of_columns(table: pa.Table, kind: Kind, by: Sequence[str]) -> dict[str, dict[str, Mask]]:
    """The same for columns that came along with the data."""
    return {name: by_value(columns.of_examples(table, name, kind), name) for name in by if name not in SLICES}


def _slice_scores(
    judged: _Judged,
    slices: Mapping[str, Mapping[str, Mask]],
    of_slices: Sequence[Statistic],
    intervals: Mapping[str, Interval | None],
) -> dict[str, dict[str, SliceScore]]:
    observed = {statistic.name: _defined(statistic.observed()) for statistic in of_slices}
    return {
        by: {
            part: SliceScore(
                {score: observed[slice_name(by, part, score)] for score in judged.sliced},
                intervals.get(slice_name(by, part, judged.sliced[-1])),
                int(mask.sum()),
            )
            for part, mask in masks.items()
        }
        for by, masks in slices.items()
    }


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
