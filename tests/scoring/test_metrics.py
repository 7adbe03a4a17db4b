"""A metric is defined once: what is defined can be a headline, has an interval, and can be compared."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from stages.comparison.significance import randomization
from stages.configuration.kinds import rules_of
from stages.configuration.schema import ScoringMode
from stages.scoring.core.metrics import METRICS, Form, Metric, metrics_of
from stages.scoring.core.predicted import (
    LabelPredictions,
    LabelSetPredictions,
    NumberPredictions,
    Predictions,
    ScoringRules,
)
from stages.scoring.core.scores import scores_of, value_of
from stages.scoring.evaluation.measured import intervals_of, measured
from stages.scoring.evaluation.resampling import Draws, Statistic, interval, kinds_of, resampled
from tests.support.scored import of_tags

Array = Any


def labels(seed: int = 0, examples: int = 80) -> LabelPredictions:
    generator = np.random.default_rng(seed)
    gold = generator.integers(3, size=examples)
    logits = generator.normal(size=(examples, 3)) + 1.2 * np.eye(3)[gold]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -np.log(probabilities[np.arange(examples), gold])
    best = probabilities.argmax(axis=1)
    return LabelPredictions(gold, best, list("abc"), None, losses, probabilities, probabilities.max(axis=1))


def label_sets(seed: int = 0, examples: int = 80) -> LabelSetPredictions:
    generator = np.random.default_rng(seed)
    gold = generator.random((examples, 3)) < 0.4
    probabilities = np.clip(0.3 + 0.3 * gold + generator.normal(size=gold.shape) * 0.25, 0, 1)
    return LabelSetPredictions(gold, probabilities >= 0.5, list("abc"), generator.random(examples), probabilities)


def numbers(seed: int = 0, examples: int = 80) -> NumberPredictions:
    generator = np.random.default_rng(seed)
    gold = generator.normal(size=examples).round(1)
    return NumberPredictions(gold, (gold + generator.normal(size=examples)).round(1))


def entities(seed: int = 0, sentences: int = 80) -> Predictions:
    generator = np.random.default_rng(seed)
    names = ["O", "B-x", "I-x", "B-y", "I-y"]
    gold = [generator.choice(names, size=6).tolist() for _ in range(sentences)]
    predicted = [[tag if generator.random() < 0.8 else "O" for tag in tags] for tags in gold]
    return of_tags(predicted, gold)


PREDICTIONS: dict[Form, Callable[..., Predictions]] = {
    "label": labels, "entities": entities, "labels": label_sets, "number": numbers,
}  # fmt: skip
DEFINED = [(form, metric) for form in get_args(Form) for metric in metrics_of(form)]


def one_of(form: Form, metric: Metric, seed: int = 0) -> Any:
    found = list(measured(PREDICTIONS[form](seed), [metric]))
    return found[0] if found else None


# The definitions


def test_the_configuration_offers_the_metrics_that_are_defined() -> None:
    text = rules_of("text").targets
    for target, form in (("label", "label"), ("labels", "labels"), ("number", "number")):
        assert set(text[target].metrics) == {metric.name for metric in metrics_of(form)}, target  # type: ignore[arg-type]
    of_words = {metric.name for form in ("label", "entities") for metric in metrics_of(form)}  # type: ignore[arg-type]
    need_all_probabilities = {"roc_auc", "average_precision"}
    assert set(rules_of("tokens").targets["label"].metrics) == of_words - need_all_probabilities


@pytest.mark.parametrize(("form", "metric"), DEFINED, ids=lambda each: getattr(each, "name", each))
def test_a_value_is_within_its_bounds_and_better_than_the_worst(form: Form, metric: Metric) -> None:
    value = value_of(metric, PREDICTIONS[form]())
    if value is None:
        assert form == "entities" and metric.name == "loss"  # there are no probabilities
        return
    assert (metric.low is None or value >= metric.low) and (metric.high is None or value <= metric.high)
    assert metric.source and (value > metric.worst()) is metric.higher_is_better


REFERENCES: dict[tuple[Form, str], Callable[[Any], float]] = {
    ("label", "micro_f1"): lambda p: sklearn_metrics.f1_score(p.gold, p.predicted, average="micro"),
    ("label", "macro_f1"): lambda p: sklearn_metrics.f1_score(p.gold, p.predicted, average="macro"),
    ("label", "weighted_f1"): lambda p: sklearn_metrics.f1_score(p.gold, p.predicted, average="weighted"),
    ("label", "mcc"): lambda p: sklearn_metrics.matthews_corrcoef(p.gold, p.predicted),
    ("label", "balanced_accuracy"): lambda p: sklearn_metrics.balanced_accuracy_score(p.gold, p.predicted),
    ("label", "roc_auc"): lambda p: sklearn_metrics.roc_auc_score(p.gold, p.probabilities, multi_class="ovr"),
    ("label", "average_precision"): lambda p: sklearn_metrics.average_precision_score(
        np.eye(3)[p.gold], p.probabilities
    ),
    ("labels", "micro_f1"): lambda p: sklearn_metrics.f1_score(p.gold, p.predicted, average="micro"),
    ("labels", "macro_f1"): lambda p: sklearn_metrics.f1_score(p.gold, p.predicted, average="macro"),
    ("labels", "weighted_f1"): lambda p: sklearn_metrics.f1_score(p.gold, p.predicted, average="weighted"),
    ("labels", "roc_auc"): lambda p: sklearn_metrics.roc_auc_score(p.gold, p.probabilities),
    ("labels", "average_precision"): lambda p: sklearn_metrics.average_precision_score(p.gold, p.probabilities),
    ("number", "spearman"): lambda p: stats.spearmanr(p.predicted, p.gold).statistic,
    ("number", "pearson"): lambda p: stats.pearsonr(p.predicted, p.gold).statistic,
}


@pytest.mark.parametrize(("form", "name"), REFERENCES)
def test_a_value_is_that_of_the_reference(form: Form, name: str) -> None:
    predictions = PREDICTIONS[form](3)
    assert value_of(METRICS[name], predictions) == pytest.approx(REFERENCES[form, name](predictions), abs=1e-9)
    assert scores_of(predictions, name).metrics[name] == value_of(METRICS[name], predictions)


def test_a_metric_that_is_not_defined_for_the_tags_is_told() -> None:
    with pytest.raises(Exception, match=r"task\.metric=mcc is not defined for entities; choose from accuracy"):
        scores_of(entities(), "mcc")


@pytest.mark.parametrize("mode", get_args(ScoringMode))
def test_an_undefined_headline_does_not_stop_validation(mode: ScoringMode) -> None:
    one_label = LabelPredictions(np.zeros(5, int), np.zeros(5, int), ["a", "b"], probabilities=np.full((5, 2), 0.5))
    assert scores_of(one_label, "roc_auc").metrics["roc_auc"] is None
    assert of_tags([["O"]], [["O"]], ScoringRules(mode=mode)).form == "entities"


# Intervals and comparisons


@pytest.mark.parametrize(("form", "metric"), DEFINED, ids=lambda each: getattr(each, "name", each))
def test_what_is_defined_has_an_interval_and_is_compared(form: Form, metric: Metric) -> None:
    base, other = one_of(form, metric), one_of(form, metric, seed=0)
    if base is None:
        return
    found = intervals_of([base], 200)[base.name]
    assert found is not None and found.low < found.high
    assert randomization([base.statistic], [other.statistic], rounds=50) == [1.0]


@pytest.mark.parametrize(
    ("form", "name"), [("label", "roc_auc"), ("labels", "average_precision"), ("number", "spearman")]
)
def test_scores_of_ranks_are_told_apart_by_exchanging_examples(form: Form, name: str) -> None:
    """By hand: each exchange makes two new systems, which are scored anew."""
    good, bad = PREDICTIONS[form](0, 40), PREDICTIONS[form](0, 40)
    basis = METRICS[name].formulas[form].basis
    statistic = next(measured(good, [METRICS[name]])).statistic
    columns = good.basis(basis), bad.basis(basis).copy()  # type: ignore[union-attr]
    columns[1][:, 0] = np.random.default_rng(1).permutation(columns[1][:, 0])
    base, other = (type(statistic)(name, each, statistic.weighted) for each in columns)  # type: ignore[union-attr, call-arg]
    found = randomization([base], [other], rounds=300)[0]
    generator, observed = np.random.default_rng(0), other.observed() - base.observed()
    as_large = 0
    for swap in generator.integers(0, 2, size=(300, 40), dtype=np.int8).astype(bool):
        parts = (np.where(swap[:, None], b, a) for a, b in (columns, columns[::-1]))
        first, second = (type(statistic)(name, each, statistic.weighted).observed() for each in parts)  # type: ignore[union-attr, call-arg]
        as_large += abs(second - first) >= abs(observed) - 1e-12
    assert found == pytest.approx((as_large + 1) / 301)


# Drawing kinds of example


def drawn(statistic: Statistic, *, one_by_one: int, resamples: int = 4000, seed: int = 0) -> Array:
    return resampled([statistic], resamples=resamples, seed=seed, one_by_one=one_by_one)[statistic.name]


@pytest.mark.parametrize(("form", "metric"), DEFINED, ids=lambda each: getattr(each, "name", each))
def test_drawing_kinds_gives_the_same_distribution(form: Form, metric: Metric) -> None:
    """Kolmogorov and Smirnov's test of 2,000 resamples each; the seeds are fixed, so it can't fail by chance."""
    statistic = one_of(form, metric)
    if statistic is None:
        return
    examples, kinds = (
        drawn(statistic.statistic, one_by_one=limit, resamples=2000, seed=seed) for limit, seed in ((1000, 1), (0, 2))
    )
    assert stats.ks_2samp(examples, kinds).pvalue > 0.001
    assert np.mean(examples) == pytest.approx(np.mean(kinds), abs=4 * np.std(examples) / np.sqrt(1000))


def test_a_continuous_column_keeps_its_mean_and_spread_when_it_is_rounded() -> None:
    losses = np.random.default_rng(0).gamma(0.5, size=40_000)
    counts = np.stack([losses, np.ones_like(losses)], axis=1)
    kinds = kinds_of([counts])
    assert kinds.is_rounded and len(kinds.counts) < 2_000
    assert kinds.counts @ kinds.rows[0] == pytest.approx(counts.sum(axis=0))
    spread = np.sqrt(np.average(np.square(kinds.rows[0][:, 0] - losses.mean()), weights=kinds.counts))
    assert spread == pytest.approx(losses.std(), rel=1e-4)


def test_a_small_difference_of_two_runs_outlives_the_rounding() -> None:
    """Two runs whose losses are almost equal: it is their difference that is rounded, by its own spread."""
    generator = np.random.default_rng(0)
    first = generator.gamma(0.5, size=30_000)
    second = first + generator.normal(size=30_000) * 1e-4
    ones = np.ones_like(first)
    pair = [
        Statistic(name, np.stack([losses, ones], axis=1), lambda sums: sums[..., 0] / sums[..., 1])
        for name, losses in (("first", first), ("second", second))
    ]
    one, two = Draws(30_000, 2000).scores(pair)
    assert np.std(two - one) == pytest.approx(np.std(second - first) / np.sqrt(30_000), rel=0.1)
    found = interval(two - one)
    assert found is not None and found.high - found.low < 1e-5


def test_many_examples_are_exchanged_by_kind_with_the_same_p() -> None:
    generator = np.random.default_rng(0)
    right = generator.random((2, 3000)) < [[0.70], [0.715]]
    pair = [
        Statistic(
            "accuracy", np.stack([each, np.ones(3000)], axis=1).astype(float), lambda sums: sums[..., 0] / sums[..., 1]
        )
        for each in right
    ]
    one_by_one, by_kind = (randomization(pair[:1], pair[1:], rounds=4000, one_by_one=limit)[0] for limit in (10_000, 0))
    assert by_kind == pytest.approx(one_by_one, abs=0.03)
