"""Intervals come from resampling whole examples, and each resample's score is that of the drawn examples."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from stages.scoring.core.formulas import ratio
from stages.scoring.core.metrics import METRICS
from stages.scoring.core.predicted import LabelPredictions, NumberPredictions, Predictions
from stages.scoring.evaluation.measured import measured
from stages.scoring.evaluation.resampling import AnyStatistic, Statistic, interval, resampled

Array = Any
RESAMPLES = 40


def drawn(examples: int, seed: int = 0) -> list[Array]:
    """The examples of each resample: those that `resampled` draws."""
    generator = np.random.default_rng(seed)
    return [generator.integers(examples, size=examples) for _ in range(RESAMPLES)]


def random_codes(labels: int, examples: int = 60) -> tuple[Array, Array]:
    generator = np.random.default_rng(labels)
    gold = generator.integers(labels, size=examples)
    return gold, np.where(generator.random(examples) < 0.6, gold, generator.integers(labels, size=examples))


def statistics(predictions: Predictions, *names: str) -> list[AnyStatistic]:
    """Metrics as `resampled` takes them."""
    return [each.statistic for each in measured(predictions, [METRICS[name] for name in names])]


def mean_statistic(name: str, total: Array, count: Array) -> Statistic:
    return Statistic(name, np.stack([total, count], axis=1), ratio)


LABEL_SCORES: dict[str, Callable[[Array, Array], float]] = {
    "precision": lambda g, p: metrics.precision_score(g, p, average="macro", zero_division=0),
    "recall": lambda g, p: metrics.recall_score(g, p, average="macro", zero_division=0),
    "f1": lambda g, p: metrics.f1_score(g, p, average="macro", zero_division=0),
    "balanced_accuracy": lambda g, p: metrics.recall_score(g, p, labels=np.unique(g), average="macro", zero_division=0),
    "mcc": metrics.matthews_corrcoef,
}


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_a_resamples_label_scores_are_scikit_learns_of_the_examples_drawn(labels: int) -> None:
    gold, predicted = random_codes(labels)
    predictions = LabelPredictions(gold, predicted, [str(label) for label in range(labels)])
    found = resampled(statistics(predictions, *LABEL_SCORES), resamples=RESAMPLES)
    for name, score in LABEL_SCORES.items():
        expected = [score(gold[rows], predicted[rows]) for rows in drawn(len(gold))]
        assert found[name] == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("name", ["micro", "macro", "weighted"])
def test_other_averages_are_scikit_learns_too(name: str) -> None:
    gold, predicted = random_codes(4)
    predictions = LabelPredictions(gold, predicted, list("abcd"))
    found = resampled(statistics(predictions, f"{name}_f1"), resamples=RESAMPLES)[f"{name}_f1"]
    expected = [metrics.f1_score(gold[rows], predicted[rows], average=name) for rows in drawn(len(gold))]
    assert found == pytest.approx(expected, abs=1e-9)


NUMBER_SCORES = ("mse", "mae", "pearson", "spearman")


@pytest.mark.parametrize("decimals", [0, 6], ids=["with ties", "without"])
def test_a_resamples_scores_of_numbers_are_scipys_of_the_examples_drawn(decimals: int) -> None:
    generator = np.random.default_rng(1)
    gold = generator.normal(size=50).round(decimals)
    predicted = (gold + generator.normal(size=50)).round(decimals)
    found = resampled(statistics(NumberPredictions(gold, predicted), *NUMBER_SCORES), resamples=RESAMPLES)
    for place, rows in enumerate(drawn(50)):
        g, p = gold[rows], predicted[rows]
        assert found["mse"][place] == pytest.approx(metrics.mean_squared_error(g, p))
        assert found["mae"][place] == pytest.approx(metrics.mean_absolute_error(g, p))
        assert found["pearson"][place] == pytest.approx(stats.pearsonr(p, g).statistic, abs=1e-9)
        assert found["spearman"][place] == pytest.approx(stats.spearmanr(p, g).statistic, abs=1e-9)


def test_a_constant_has_no_interval() -> None:
    predicted, gold = np.ones(20), np.arange(20.0)
    found = resampled(statistics(NumberPredictions(gold, predicted), *NUMBER_SCORES), resamples=RESAMPLES)
    assert interval(found["pearson"]) is None and interval(found["spearman"]) is None
    assert interval(found["mse"]) is not None


def test_words_are_drawn_by_sentence() -> None:
    """Ten sentences of a hundred words that are all right or all wrong say as much as ten words."""
    right = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0.0])
    few, many = (
        mean_statistic(name, right * words, np.full(10, words)) for name, words in (("few", 1.0), ("many", 100.0))
    )
    found = resampled([few, many], resamples=2000)
    assert interval(found["few"]) == interval(found["many"])


def test_the_interval_of_an_accuracy_is_about_the_binomial_one() -> None:
    right = np.repeat([1.0, 0.0], [800, 200])
    found = interval(resampled([mean_statistic("accuracy", right, np.ones(1000))])["accuracy"])
    assert found is not None
    margin = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert (found.low, found.high) == pytest.approx((0.8 - margin, 0.8 + margin), abs=0.003)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(200):
        right = (generator.random(120) < 0.7).astype(np.float64)
        scores = resampled([mean_statistic("accuracy", right, np.ones(120))], resamples=400)["accuracy"]
        found = interval(scores)
        assert found is not None
        held += found.low <= 0.7 <= found.high
    assert 0.9 <= held / 200 <= 0.99


def test_scores_that_share_their_sums_are_each_their_own() -> None:
    counts = np.ones((5, 2))
    one, two = Statistic("one", counts, lambda sums: sums[..., 0]), Statistic("two", counts, lambda sums: -sums[..., 1])
    found = resampled([one, two], resamples=3)
    assert found["one"].tolist() == [5, 5, 5] and found["two"].tolist() == [-5, -5, -5]
