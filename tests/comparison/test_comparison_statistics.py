"""Scores as functions of sums over examples: the same numbers as scoring gives."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.comparison.aligned_files import aligned, shared_labels
from stages.comparison.comparing import compare
from stages.comparison.loaded_runs import Run
from stages.comparison.run_groups import GroupScores, slices
from stages.scoring.core.metrics import METRICS, metrics_of
from stages.scoring.core.predicted import LabelPredictions, NumberPredictions, ScoringRules
from stages.scoring.core.scores import Scores, value_of
from stages.scoring.evaluation.measured import measured
from stages.scoring.evaluation.predictions_file import PredictionsFile, read_predictions
from tests.support.scored import score_entities, score_label_sets, score_labels, score_numbers

TAGS = ["O", "B-a", "I-a", "B-b-c", "I-b-c"]
NAMES = ["x", "y", "z"]


def of_text(gold: pa.Array, predicted: pa.Array) -> PredictionsFile:
    ids = pa.array([f"test-{place}" for place in range(len(gold))])
    return read_predictions(pa.table({"id": ids, "gold": gold, "predicted": predicted}))


def of_words(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> PredictionsFile:
    words = [(f"test-{place}", word) for place, tags in enumerate(gold) for word in range(len(tags))]
    columns = {
        "id": [id_ for id_, _ in words],
        "word": pa.array([word for _, word in words], pa.int32()),
        "token": ["w"] * len(words),
        "gold": [tag for tags in gold for tag in tags],
        "predicted": [tag for tags in predicted for tag in tags],
    }
    return read_predictions(pa.table(columns))


def counted(runs: Sequence[PredictionsFile], *, together: bool = False) -> list[GroupScores]:
    """The scores of each run, or of all together as seeds of one."""
    files = aligned(runs)
    predictions = [file.predictions(ScoringRules(), shared_labels(files)) for file in files]
    metrics = metrics_of(predictions[0].form, "always")
    groups = [predictions] if together else [[each] for each in predictions]
    return [GroupScores.of(group, metrics, []) for group in groups]


def observed(scores: GroupScores) -> dict[str, float]:
    return {each.name: each.statistic.observed() for each in scores.metrics}


def require_equal(counts: GroupScores, scores: Scores) -> None:
    headline = scores.headline_json()
    assert observed(counts) == pytest.approx({name: headline[name] for name in observed(counts)}, abs=1e-9)
    per_label = {each.name: each.observed() for each in counts.labels if not np.isnan(each.observed())}
    assert per_label == pytest.approx({name: score.f1 for name, score in scores.per_label.items()}, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_entities_are_scored_as_seqeval_scores_them(seed: int) -> None:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 12, size=200)
    gold, predicted = ([generator.choice(TAGS, size=length).tolist() for length in lengths] for _ in range(2))
    require_equal(counted([of_words(gold, predicted)])[0], score_entities(predicted, gold, loss=0.0))


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_scored_as_scikit_learn_scores_them(seed: int) -> None:
    generator = np.random.default_rng(seed)
    gold, predicted = (generator.integers(3, size=50) for _ in range(2))
    gold[gold == 2] = 1  # a label that is only predicted
    run = of_text(*(pa.array([NAMES[code] for code in codes]) for codes in (gold, predicted)))
    require_equal(counted([run])[0], score_labels(predicted, gold, NAMES, loss=0.0))


def test_plain_tags_are_scored_as_labels_of_words() -> None:
    generator = np.random.default_rng(0)
    gold, predicted = ([generator.integers(3, size=7) for _ in range(30)] for _ in range(2))
    run = of_words(*([[NAMES[code] for code in codes] for codes in each] for each in (gold, predicted)))
    expected = score_labels(np.concatenate(predicted), np.concatenate(gold), NAMES, loss=0.0)
    require_equal(counted([run])[0], expected)


@pytest.mark.parametrize("seed", range(5))
def test_sets_of_labels_are_scored_as_scoring_does(seed: int) -> None:
    generator = np.random.default_rng(seed)
    gold, predicted = (generator.random((40, 3)) < 0.4 for _ in range(2))

    def lists(matrix: np.ndarray) -> pa.Array:
        return pa.array([[NAMES[code] for code in np.flatnonzero(row)] for row in matrix], pa.list_(pa.string()))

    run = of_text(lists(gold), lists(predicted))
    require_equal(counted([run])[0], score_label_sets(predicted, gold, NAMES, loss=0.0))


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=40))
def test_numbers_are_scored_as_scoring_does(pairs: list[tuple[float, float]]) -> None:
    gold, predicted = (np.array(values).round(3) for values in zip(*pairs, strict=True))
    scores, expected = (
        observed(counted([of_text(pa.array(gold), pa.array(predicted))])[0]),
        score_numbers(predicted, gold),
    )
    assert scores["mse"] == pytest.approx(expected.metrics["mse"]) and scores["mae"] == pytest.approx(
        expected.metrics["mae"]
    )
    if expected.metrics["pearson"] is not None and min(np.ptp(gold), np.ptp(predicted)) > 0.1:
        assert scores["pearson"] == pytest.approx(expected.metrics["pearson"], abs=1e-6)


def test_the_correlation_with_a_constant_is_not_defined() -> None:
    run = of_text(pa.array([1.0, 2.0, 3.0]), pa.array([0.1, 0.1, 0.1]))
    assert np.isnan(observed(counted([run])[0])["pearson"])


def test_the_loss_is_the_mean_over_words_and_known_only_if_every_run_has_it() -> None:
    columns = {"id": ["a", "a", "b"], "word": [0, 1, 0], "gold": ["O"] * 3, "predicted": ["O"] * 3}
    tables = [pa.table({**columns, "loss": [0.1, 0.2, 0.6]}), pa.table(columns)]
    with_loss, without = map(read_predictions, tables)
    assert observed(counted([with_loss])[0])["loss"] == pytest.approx(0.3)
    assert "loss" not in observed(counted([without])[0])


def test_slices_part_the_examples_by_columns_that_came_along() -> None:
    columns = {"id": ["a", "a", "b", "c"], "word": [0, 1, 0, 0], "gold": ["O"] * 4, "predicted": ["O"] * 4}
    domain = pa.array(["mail", "mail", "news", None]).dictionary_encode()
    run = read_predictions(pa.table({**columns, "domain": domain, "same": ["x"] * 4}))
    assert [(each.by, each.name, each.examples.tolist()) for each in slices(run, {}) if each.by != "length"] == [
        ("domain", "mail", [True, False, False]),
        ("domain", "news", [False, True, False]),
        ("domain", "(none)", [False, False, True]),
    ]


def test_the_mean_of_a_run_with_itself_is_that_run() -> None:
    run = of_text(pa.array(["x", "y"]), pa.array(["x", "x"]))
    assert observed(counted([run, run], together=True)[0]) == observed(counted([run])[0])


def test_seeds_are_averaged_example_by_example() -> None:
    gold = pa.array(["x", "y"])
    runs = [of_text(gold, gold), of_text(gold, pa.array(["y", "x"]))]
    mean = counted(runs, together=True)[0]
    assert observed(mean)["accuracy"] == 0.5
    assert mean.errors.tolist() == [0.5, 0.5]


def test_slices_part_the_examples_by_length() -> None:
    gold = [["O"] * length for length in (1, 1, 1, 2, 3, 3, 4, 9)]
    gold[7][0] = "B-a"
    run = of_words(gold, gold)
    parts = list(slices(run, {}))
    assert [part.name for part in parts] == ["1 word", "2 words", "3 words", "4-9 words"]
    assert np.sum([part.examples for part in parts], axis=0).tolist() == [1] * 8
    in_parts = [next(measured(run.predictions(ScoringRules()), [METRICS["accuracy"]], part.examples)) for part in parts]
    assert [each.statistic.counts[:, 1].sum() for each in in_parts] == [3, 2, 6, 13]  # type: ignore[union-attr]


def exchanged_p(form: str, metric: str, gold: Any, base: Any, other: Any) -> float:
    """The share of random exchanges of whole outputs after which scores differ as much, scored anew each time."""

    def difference(first: Any, second: Any) -> float:
        scores = [value_of(METRICS[metric], PREDICTIONS_OF[form](gold, predicted)) for predicted in (first, second)]
        assert scores[0] is not None and scores[1] is not None
        return abs(scores[1] - scores[0])

    generator, observed = np.random.default_rng(0), difference(base, other)
    exchanges = generator.random((1000, len(gold))) < 0.5
    moved = [difference(np.where(each, other, base), np.where(each, base, other)) for each in exchanges]
    return (1 + sum(value >= observed - 1e-12 for value in moved)) / (1 + len(moved))


PREDICTIONS_OF: dict[str, Callable[..., Any]] = {
    "label": lambda gold, predicted: LabelPredictions(gold, predicted, NAMES),
    "number": NumberPredictions,
}


@pytest.mark.parametrize(
    ("form", "metric"),
    [
        *(("number", metric) for metric in ("mse", "mae", "pearson", "spearman")),
        *(("label", metric) for metric in ("f1", "mcc", "balanced_accuracy")),
    ],
)
def test_p_values_are_those_of_outputs_that_are_exchanged_and_scored_anew(form: str, metric: str) -> None:
    """The sums that are exchanged must mean the same in both runs: numbers that each run scales by itself do not."""
    generator = np.random.default_rng(0)
    if form == "number":
        gold = generator.normal(size=60)
        base, other = (gold + generator.normal(size=60) * spread for spread in (0.8, 1.3))
        other[3] = 40.0  # a range of its own
        columns = [pa.array(values) for values in (gold, base, other)]
    else:
        gold = generator.integers(3, size=60)
        base, other = (np.where(generator.random(60) < share, gold, 0) for share in (0.7, 0.5))
        columns = [pa.array([NAMES[code] for code in codes]) for codes in (gold, base, other)]
    names = pa.array([f"test-{place:02}" for place in range(60)])
    runs = [
        Run(name, pa.table({"id": names, "gold": columns[0], "predicted": predicted}))
        for name, predicted in (("base", columns[1]), ("other", columns[2]))
    ]
    found = compare(runs, resamples=4000, metric=metric).pairs[0].differences[0]
    assert found.metric == metric
    assert found.p == pytest.approx(exchanged_p(form, metric, gold, base, other), abs=0.05)
