"""Scores that were wrong without a word: each right value, as a user meets it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from stages.comparison import compare as compare_command
from stages.comparison.comparing import compare
from stages.comparison.loaded_runs import Run
from stages.pipeline.errors import DataError
from stages.scoring import score as score_command
from stages.scoring.core.metrics import METRICS
from stages.scoring.core.predicted import LabelPredictions, NumberPredictions, Predictions, ScoringRules
from stages.scoring.core.scores import scores_of
from stages.scoring.evaluation.measured import intervals_of, measured
from stages.scoring.evaluation.predictions_file import probability_structs, read_predictions
from stages.scoring.evaluation.resampling import FEWEST_EXAMPLES
from stages.scoring.evaluation.scoring import ScoringOptions, score_predictions
from tests.support.scored import headline, of_tags, score_entities, score_label_sets
from tests.support.told import told

QUICK = ScoringOptions(resamples=0)
Command = Callable[..., str]


def words(gold: list[list[str]], predicted: list[list[str]], **columns: Any) -> pa.Table:
    """A predictions file of sentences of tags, whose schema says nothing."""
    places = [(f"test-{sentence}", word) for sentence, tags in enumerate(gold) for word in range(len(tags))]
    return pa.table(
        {
            "id": [id_ for id_, _ in places],
            "word": pa.array([word for _, word in places], pa.int32()),
            "gold": [tag for tags in gold for tag in tags],
            "predicted": [tag for tags in predicted for tag in tags],
            **columns,
        }
    )


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(module: Any, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
        module.main()
        return capsys.readouterr().out

    return run


# Strict scores, wherever runs are scored

STRICT = {"evaluate.mode": "strict", "evaluate.scheme": "iob2", "task.metric": "f1"}
GOLD = [["B-x", "I-x", "O"]] * 20
MALFORMED = [["I-x", "I-x", "O"]] * 20
"""Right as CoNLL reads tags, wrong in IOB2."""


@pytest.mark.parametrize(("params", "f1"), [(STRICT, 0.0), ({}, 1.0)])
def test_runs_are_compared_as_the_base_is_evaluated(params: dict[str, Any], f1: float) -> None:
    runs = [Run("base", words(GOLD, MALFORMED), params=params), Run("other", words(GOLD, GOLD), params=params)]
    found = compare(runs, resamples=200).pairs[0]
    assert (found.differences[0].metric, found.differences[0].base, found.differences[0].other) == ("f1", f1, 1.0)
    assert [each.change for each in found.changed] == ["fixed"] * (20 if params else 0)


def test_the_command_line_can_say_how_entities_are_read(tmp_path: Path, run_command: Command) -> None:
    for name, predicted in (("base", MALFORMED), ("other", GOLD)):
        pq.write_table(words(GOLD, predicted), tmp_path / f"{name}.parquet")
    files = [str(tmp_path / f"{name}.parquet") for name in ("base", "other")]
    strict = json.loads(run_command(compare_command, *files, "--mode", "strict", "--json", "-", "--resamples", "100"))
    assert strict["pairs"][0]["differences"][0]["base"] == 0.0
    lenient = json.loads(run_command(compare_command, *files, "--json", "-", "--resamples", "100"))
    assert lenient["pairs"][0]["differences"][0]["base"] == 1.0


def test_metrics_that_are_not_those_of_the_predictions_are_told_in_strict_mode_too() -> None:
    metrics = {"evaluate.f1": 0.5}
    runs = [Run(name, words(GOLD, GOLD), params=STRICT, metrics=metrics) for name in ("base", "other")]
    assert any("metrics/evaluate.json has f1 0.5000" in note for note in compare(runs, resamples=100).notes)


def test_a_run_that_was_evaluated_otherwise_is_told() -> None:
    other = Run("other", words(GOLD, GOLD), params={**STRICT, "evaluate.mode": "conll"})
    notes = compare([Run("base", words(GOLD, GOLD), params=STRICT), other], resamples=100).notes
    assert any("other was evaluated with evaluate.mode=conll" in note for note in notes)


# Stray tags

STRAY = [[*tags[:2], "X"] for tags in GOLD]


@pytest.mark.parametrize("stray", ["X", "[PAD]", "O-x", "B"])
def test_a_stray_predicted_tag_changes_nothing_but_its_own_word(stray: str) -> None:
    predicted = [[*tags[:2], stray] for tags in GOLD]
    found = score_predictions(words(GOLD, predicted), QUICK)
    assert headline(found.scores) == headline(score_entities(GOLD, GOLD))
    assert found.headline_json()["accuracy"] == pytest.approx(2 / 3)
    assert any(f"{stray} 20" in note for note in found.notes)


def test_a_stray_tag_of_one_run_leaves_the_scores_of_others_alone() -> None:
    runs = [Run(name, words(GOLD, tags)) for name, tags in (("a", MALFORMED), ("b", GOLD), ("c", STRAY))]
    without, beside = (compare(some, resamples=100).pairs[0].differences for some in (runs[:2], runs))
    assert [(each.metric, each.base, each.other) for each in without] == [
        (each.metric, each.base, each.other) for each in beside
    ]
    assert any("c: predicted tags that mark no entity" in note for note in compare(runs, resamples=100).notes)


@given(st.lists(st.sampled_from(["NOUN", "O", "VERB"]), min_size=1, max_size=6))
def test_gold_decides_what_kind_of_tags_they_are(predicted: list[str]) -> None:
    entities, plain = ["B-x", *["O"] * (len(predicted) - 1)], ["NOUN"] * len(predicted)
    assert of_tags([predicted], [entities]).form == "entities"
    assert of_tags([["B-x"] * len(predicted)], [plain]).form == "label"


@pytest.mark.parametrize("foreign", ["S-x", "E-x", "L-x", "U-x"])
def test_gold_decides_the_scheme_of_strict_scores(foreign: str) -> None:
    """One foreign prefix among the predicted tags must not have gold read in another scheme, where it has no entities."""
    predicted = [[foreign, "O", "O"], *GOLD[1:]]
    found = score_predictions(words(GOLD, predicted), ScoringOptions(mode="strict", resamples=0))
    assert found.per_label["x"].support == 20
    assert headline(found.scores) == headline(score_entities([["O"] * 3, *GOLD[1:]], GOLD, reading="iob2"))
    assert any(f"{foreign} 1" in note for note in found.notes)
    usual = score_predictions(words(GOLD, predicted), QUICK)
    assert usual.entities is not None and usual.entities.other_readings["strict"] == headline(found.scores)


def test_gold_tags_of_no_scheme_have_no_strict_scores() -> None:
    mixed = [["B-x", "E-x", "O"], ["B-x", "L-x", "O"]]
    with pytest.raises(DataError) as error:
        score_predictions(words(mixed, mixed), ScoringOptions(mode="strict", resamples=0))
    assert "prefixes B, E, L, which no scheme has together" in told(error)
    assert score_predictions(words(mixed, mixed), QUICK).headline_json()["f1"] == 1.0


# Other spellings of entity tags


def test_bare_prefixes_are_entities_of_one_type() -> None:
    """The example of conlleval's manual: with bare tags its F1 is 66.67."""
    gold = ["B", "I", "O", "B", "O", "B", "I", "I"]
    predicted = ["B", "I", "O", "B", "O", "B", "I", "O"]
    found = score_predictions(words([gold], [predicted]), QUICK)
    assert 100 * found.headline_json()["f1"] == pytest.approx(66.67, abs=0.01)  # type: ignore[operator]
    assert list(found.per_label) == ["_"] and found.entities is not None


def test_bmes_is_iobes_in_other_letters() -> None:
    iobes = [["B-x", "I-x", "E-x", "S-y", "O"], ["S-x", "B-y", "E-y", "O"]]
    wrong = [["B-x", "I-x", "E-x", "O", "O"], ["S-y", "B-y", "E-y", "O"]]
    bmes, wrong_bmes = (
        [[tag.replace("I-", "M-") for tag in tags] for tags in sentences] for sentences in (iobes, wrong)
    )
    for mode in ("conll", "strict"):
        rules = ScoringRules(mode=mode)  # type: ignore[arg-type]
        assert scores_of(of_tags(wrong_bmes, bmes, rules)) == scores_of(of_tags(wrong, iobes, rules))


def test_without_any_entity_the_score_is_not_1() -> None:
    found = score_predictions(words([["O", "O"]], [["O", "O"]]), QUICK)
    assert (found.headline_json()["f1"], found.headline_json()["accuracy"]) == (0.0, 1.0)


# Intervals


def test_too_few_examples_have_no_interval_and_that_is_told(tmp_path: Path, run_command: Command) -> None:
    one = words([["B-x", "I-x", "O", "O"] * 50], [["B-x", "O", "O", "O"] * 50])
    found = score_predictions(one, ScoringOptions(resamples=100))
    assert set(found.intervals.values()) == {None}
    assert any("1 example is too few for intervals" in note for note in found.notes)
    pq.write_table(one, tmp_path / "one.parquet")
    assert "too few for intervals" in run_command(score_command, str(tmp_path / "one.parquet"), "--resamples", "100")


def test_an_interval_has_a_width() -> None:
    """Of 30 texts that are all right, every resample is all right: Wilson's interval of accuracy says how much that is."""
    right = np.zeros(30, np.int64)
    predictions = LabelPredictions(right, right, ["a", "b"])
    found = intervals_of([*measured(predictions, [METRICS["accuracy"], METRICS["f1"]])], 200)
    assert found["f1"] is None
    assert found["accuracy"] is not None and found["accuracy"].high == 1.0
    assert found["accuracy"].low == pytest.approx(
        0.8865, abs=1e-4
    )  # statsmodels: proportion_confint(30, 30, method="wilson")


def test_an_interval_of_a_correlation_knows_that_one_number_makes_it() -> None:
    """Resamples without the one that is far off have a correlation too, of numbers that are all close to each other."""
    gold, predicted = np.append(np.random.default_rng(0).normal(size=(2, 50)), [[1e7], [1e7]], axis=1)
    metrics = [METRICS["pearson"]]
    found = intervals_of([*measured(NumberPredictions(gold, predicted), metrics)], 500)["pearson"]
    assert found is not None and found.low < 0.3 and found.high == pytest.approx(1.0)


@pytest.mark.parametrize(("share", "least"), [(0.7, 0.9), (0.9, 0.9)])
def test_few_examples_are_covered(share: float, least: float) -> None:
    """Accuracy of 30 texts: the percentile interval held 88 % of true values where the errors are few."""
    generator, held = np.random.default_rng(0), 0
    for _ in range(400):
        predicted = (generator.random(30) >= share).astype(np.int64)
        predictions = LabelPredictions(np.zeros(30, np.int64), predicted, ["a", "b"])
        found = intervals_of([*measured(predictions, [METRICS["accuracy"]])], 10)["accuracy"]
        assert found is not None
        held += found.low <= share <= found.high
    assert held / 400 >= least


def test_as_many_examples_as_are_needed_have_an_interval() -> None:
    gold = [["B-x", "O"]] * FEWEST_EXAMPLES
    predicted = [["B-x", "O"], *[["O", "O"]] * (FEWEST_EXAMPLES - 1)]
    for examples in (FEWEST_EXAMPLES - 1, FEWEST_EXAMPLES):
        found = score_predictions(words(gold[:examples], predicted[:examples]), ScoringOptions(resamples=300))
        assert (found.intervals["f1"] is not None) is (examples == FEWEST_EXAMPLES)


@pytest.mark.parametrize("metric", [None, "roc_auc"])
def test_a_metric_of_ranks_has_an_interval_as_the_headline(metric: str | None) -> None:
    """It is sorted anew for each resample: too slow for what nobody asked for."""
    generator = np.random.default_rng(0)
    shares, gold = generator.random(40), generator.integers(2, size=40)
    probabilities = [{"a": 1 - share, "b": share} for share in shares.tolist()]
    texts = pa.table(
        {
            "id": [f"test-{place:02}" for place in range(40)],
            "gold": ["ab"[code] for code in gold],
            "predicted": ["ab"[int(share > 0.5)] for share in shares],
            "probabilities": probabilities,
        }
    )
    found = score_predictions(texts, ScoringOptions(resamples=200, metric=metric))
    assert ("roc_auc" in found.intervals) is (metric == "roc_auc")
    expected = sklearn_metrics.roc_auc_score(gold, shares)
    assert found.to_json()["roc_auc"] == pytest.approx(expected, abs=1e-6)


def test_a_model_that_is_sure_is_ranked_as_by_its_logits() -> None:
    """To six decimals most of its probabilities are 0 or 1, which would tie."""
    generator = np.random.default_rng(0)
    gold = generator.integers(2, size=200)
    logits = np.stack([np.zeros(200), generator.normal(16 + 3 * gold, 2)], axis=1)
    probabilities = np.exp(logits - np.logaddexp(*logits.T)[:, None])
    texts = pa.table(
        {
            "id": [f"test-{place:03}" for place in range(200)],
            "gold": ["ab"[code] for code in gold],
            "predicted": ["b"] * 200,
            "probabilities": probability_structs(probabilities, ["a", "b"]),
        }
    )
    found = score_predictions(texts, ScoringOptions(resamples=100)).to_json()
    assert sklearn_metrics.roc_auc_score(gold, probabilities[:, 1].round(6)) < 0.7
    assert found["roc_auc"] == pytest.approx(sklearn_metrics.roc_auc_score(gold, logits[:, 1]), abs=1e-3)


# What is no number

TEXTS = {"id": ["a", "b"], "gold": ["x", "y"], "predicted": ["x", "x"]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"gold": [1.0, 2.0], "predicted": [1.0, float("nan")]}, "row 2: predicted is nan"),
        ({"gold": [float("inf"), 2.0], "predicted": [1.0, 2.0]}, "row 1: gold is inf"),
        ({"score": [0.5, 9.0]}, "row 2: score is 9, which is not a probability"),
        ({"score": [-0.1, 0.5]}, "row 1: score is -0.1"),
        ({"score": [0.5, float("nan")]}, "row 2: score is nan"),
        ({"loss": [0.5, float("inf")]}, "row 2: loss is inf"),
        ({"probabilities": [{"x": 0.5, "y": 0.5}, {"x": 1.5, "y": -0.5}]}, "row 2: probabilities of x is 1.5"),
    ],
)
def test_what_is_no_number_or_no_probability_is_told(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        read_predictions(pa.table({**TEXTS, **columns}), "run.parquet")
    assert message in told(error) and told(error).startswith("run.parquet")


# Averages over labels that are absent


def test_the_macro_average_of_label_sets_counts_labels_that_are_absent() -> None:
    generator = np.random.default_rng(0)
    gold, predicted = (generator.random((40, 4)) < 0.4 for _ in range(2))
    gold[:, 3] = predicted[:, 3] = False
    expected = sklearn_metrics.precision_recall_fscore_support(gold, predicted, average="macro", zero_division=0)
    scores = score_label_sets(predicted, gold, list("abcd"))
    assert list(vars(headline(scores)).values()) == pytest.approx(expected[:3])
    assert headline(scores) == scores.averages["macro"]


# The packages do the recorded scores


@pytest.mark.parametrize(("extra", "is_told"), [("zz", True), ("b", False)])
def test_labels_that_only_another_run_has_are_told(extra: str, is_told: bool) -> None:
    """They count as 0 in macro averages, so a run's score depends on the runs beside it."""
    gold = [["a"], ["b"]] * 10
    tables = [
        pa.table({"id": [f"test-{place:02}" for place in range(20)], "gold": gold, "predicted": predicted})
        for predicted in (gold, [[*labels, extra] if "a" in labels else labels for labels in gold])
    ]
    found = compare([Run(f"run {place}", table) for place, table in enumerate(tables)], resamples=100, metric="f1")
    assert any("over all 3 labels of all runs" in note for note in found.notes) is is_told
    assert found.pairs[0].differences[0].base == pytest.approx(2 / 3 if is_told else 1.0)


def test_runs_are_compared_by_what_all_of_them_hold() -> None:
    """A metric of which one run lacks what it is computed from is left out; asked for, it is refused."""
    columns = {"id": [f"test-{place:02}" for place in range(20)], "gold": ["a", "b"] * 10, "predicted": ["a"] * 20}
    runs = [Run("base", pa.table({**columns, "loss": [0.5] * 20})), Run("other", pa.table(columns))]
    assert "loss" not in [each.metric for each in compare(runs, resamples=100).pairs[0].differences]
    for metric in ("loss", "roc_auc"):
        with pytest.raises(DataError) as error:
            compare(runs, resamples=100, metric=metric)
        assert (
            f"metric {metric}: can't be computed from these predictions; choose another with --metric from accuracy"
            in told(error)
        )


def test_a_difference_to_the_packages_ends_the_stage() -> None:
    def wrong(_: Predictions) -> dict[str, float]:
        return {"f1": 0.25}

    table = words(GOLD, GOLD)
    with pytest.raises(DataError) as error:
        score_predictions(table, QUICK, by_packages=wrong)
    assert "f1 is 0.250000000 by seqeval or scikit-learn and 1.0 by the sums over examples" in told(error)
    recorded = score_predictions(table, QUICK, by_packages=lambda _: {"f1": 1.0 - 1e-12})
    assert recorded.headline_json()["f1"] == 1.0 - 1e-12  # the package's own number
