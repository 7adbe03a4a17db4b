"""Final scores: everything that is told of a test split, computed from its predictions file alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TypeAlias, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.configuration.schema import SchemeChoice, ScoringMode
from stages.pipeline.errors import DataError
from stages.scoring.core.entities import EntityPairs, EntityPredictions, note_on_strays, scheme_of
from stages.scoring.core.formulas import GOLD, PREDICTED, RIGHT, micro
from stages.scoring.core.metrics import METRICS, Form, Metric, metrics_of
from stages.scoring.core.predicted import Predictions, ScoringRules
from stages.scoring.core.scores import Average, LabelScore, Scores, is_computable, scores_of, value_of
from stages.scoring.evaluation.background import Background, are_seen
from stages.scoring.evaluation.entity_errors import paired
from stages.scoring.evaluation.final_scores import EntityDetails, FinalScores, SliceScore
from stages.scoring.evaluation.measured import Measured, intervals_of, measured
from stages.scoring.evaluation.predictions_file import read_predictions
from stages.scoring.evaluation.resampling import FEWEST_EXAMPLES, RESAMPLES, Interval, Statistic
from stages.scoring.evaluation.slices import SLICED, Mask, masks_of
from stages.tags.spans import Reading

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ScoringOptions:
    """What is to be computed; the fields are `evaluate`'s own keys."""

    mode: ScoringMode = "conll"
    scheme: SchemeChoice = "auto"
    resamples: int = RESAMPLES
    slices: Sequence[str] = ()
    metric: str | None = None
    """`task.metric`, which is shown whether or not it usually is."""

    @property
    def rules(self) -> ScoringRules:
        """How predictions are scored."""
        return ScoringRules(self.metric, self.mode, self.scheme)


ScoreByPackages: TypeAlias = Callable[[Predictions], Mapping[str, float]]
"""Some metrics of predictions, as seqeval and scikit-learn compute them."""


def score_predictions(
    table: pa.Table,
    options: ScoringOptions | None = None,
    background: Background | None = None,
    by_packages: ScoreByPackages | None = None,
) -> FinalScores:
    """Score a predictions file.

    With `by_packages`, its numbers are the ones recorded. Metrics of ranks, such as `roc_auc`, are sorted anew for each
    resample, which takes seconds, so they have an interval only where they are among the headline scores. Raises
    DataError if the packages' numbers are not those that the sums over examples give, if the file lacks a column or has
    gold that is not known, for tags that the scheme does not have, or if the headline metric can't be computed.
    """
    options, background = options or ScoringOptions(), background or Background()
    file = read_predictions(table)
    predictions = file.predictions(options.rules, threshold=background.threshold)
    _require_known(options.metric, predictions)
    whole = [*measured(predictions, shown_metrics(predictions.form, options.metric))]
    masks = masks_of(file, predictions, options.slices, background.lengths)
    slices = {
        by: {part: _Slice.of(predictions, by, part, mask) for part, mask in parts.items()}
        for by, parts in masks.items()
    }
    scores = scores_of(predictions, options.metric)
    last = [part.measured[-1] for parts in slices.values() for part in parts.values()]
    drawn = [each for each in whole if isinstance(each.statistic, Statistic) or each.metric.name in scores.metrics]
    intervals = intervals_of([*drawn, *last], options.resamples) if options.resamples else {}
    details = None
    if isinstance(predictions, EntityPredictions):
        argmax = file.by_argmax(options.rules)
        assert argmax is None or isinstance(argmax, EntityPredictions)
        details = entity_details(predictions, options.mode, file.tokens, background.seen, argmax)
    if by_packages is not None:
        scores = _recorded(scores, by_packages(predictions))
    return FinalScores(
        scores,
        {metric.name: value_of(metric, predictions) for metric in metrics_of(predictions.form, "evaluation")},
        {each.name: intervals[each.name] for each in drawn} if options.resamples else {},
        {by: {name: part.score(intervals) for name, part in parts.items()} for by, parts in slices.items()},
        details,
        [*_notes(predictions, options)],
    )


def _require_known(metric: str | None, predictions: Predictions) -> None:
    """Raise DataError if the metric that was asked for can't be computed."""
    defined = metrics_of(predictions.form)
    if metric is None or any(each.name == metric and is_computable(each, [predictions]) for each in defined):
        return
    known = ", ".join(each.name for each in defined if is_computable(each, [predictions]))
    raise DataError(f"metric {metric}: can't be computed from these predictions; choose from {known}")


def _recorded(scores: Scores, by_packages: Mapping[str, float]) -> Scores:
    for name, value in by_packages.items():
        counted = scores.metrics[name]
        if counted is None or abs(counted - value) > _AGREEMENT:
            raise DataError(
                f"predictions: {name} is {value:.9f} by seqeval or scikit-learn and {counted} by the sums over examples; one of "
                "them is wrong: please report this, with the predictions file"
            )
    return replace(scores, metrics={**scores.metrics, **by_packages})


_AGREEMENT = 1e-9
"""How far the packages' numbers may be from ours, which are sums in another order."""


def shown_metrics(form: Form, metric: str | None = None) -> list[Metric]:
    """Return the metrics of a test split in the order in which they are shown; `metric` is `task.metric`."""
    shown = [*metrics_of(form, "always"), *metrics_of(form, "evaluation")]
    return shown if metric is None or METRICS[metric] in shown else [*shown, METRICS[metric]]


@dataclass(frozen=True)
class _Slice:
    """A part of the examples."""

    measured: Sequence[Measured]
    """The last one has an interval."""
    support: int

    @classmethod
    def of(cls, predictions: Predictions, by: str, part: str, mask: Mask) -> "_Slice":
        metrics = [METRICS[name] for name in SLICED[predictions.form]]
        return cls([*measured(predictions, metrics, mask, f"{by}/{part}/")], int(mask.sum()))

    def score(self, intervals: Mapping[str, Interval | None]) -> SliceScore:
        scores = {each.metric.name: each.observed() for each in self.measured}
        return SliceScore(scores, intervals.get(self.measured[-1].name), self.support)


def _notes(predictions: Predictions, options: ScoringOptions) -> Iterator[str]:
    """Yield what a reader must know, as sentences."""
    if options.resamples and predictions.examples < FEWEST_EXAMPLES:
        several = predictions.examples > 1
        yield (
            f"{predictions.examples} example{'s are' if several else ' is'} too few for intervals, which need at least "
            f"{FEWEST_EXAMPLES}; of words an example is a sentence"
        )
    if strays := note_on_strays(predictions):
        yield strays


def entity_details(
    predictions: EntityPredictions,
    mode: ScoringMode,
    tokens: Sequence[str] = (),
    seen: Set[str] | None = None,
    argmax: EntityPredictions | None = None,
) -> EntityDetails:
    """Return what else there is to tell.

    `tokens`, [words]; `seen`: the wordings of entities in train; `argmax`: the most probable tags, where others are predicted.
    """
    pairs = predictions.pairs
    halves: tuple[LabelScore | None, LabelScore | None] = (None, None)
    if tokens and seen is not None:
        sums = np.zeros((2, 3))  # of the entities whose wording is not seen, and of those whose is, of all types
        for which, spans in ((RIGHT, pairs.right), (PREDICTED, pairs.predicted), (GOLD, pairs.gold)):
            sums[:, which] = np.bincount(are_seen(spans, tokens, seen), minlength=2)
        halves = LabelScore.of(sums[1]), LabelScore.of(sums[0])
    by_mode = _by_mode(predictions, mode)
    others = {
        name: average
        for name, average in by_mode.items()
        if name != mode and (argmax is not None or average != by_mode[mode])
    }
    errors = paired(pairs.gold, pairs.predicted).counts()
    return EntityDetails(errors, others, {} if argmax is None else _by_mode(argmax, mode), *halves)


def _by_mode(predictions: EntityPredictions, mode: ScoringMode) -> dict[str, Average]:
    """Return the micro average in each mode. `mode`: the one that the predictions are read in."""
    other: ScoringMode = "conll" if mode == "strict" else "strict"
    reading: Reading = "conll" if mode == "strict" else scheme_of(predictions.entity_tags, predictions.scheme)
    pairs = {mode: predictions.pairs, other: EntityPairs.read(predictions.tags_read_in(reading), reading)}
    return {name: Average.of(micro, pairs[name].sums().sum(axis=0)) for name in get_args(ScoringMode)}
