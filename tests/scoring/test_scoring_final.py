"""Final scores come from the predictions file alone, and its headline is what validation would have shown."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from stages.columns.names import label_names
from stages.configuration.schema import Target
from stages.pipeline.errors import DataError
from stages.scoring.core.metrics import METRICS
from stages.scoring.core.predicted import LabelPredictions
from stages.scoring.core.scores import value_of
from stages.scoring.core.threshold import best_threshold, read_threshold, write_threshold
from stages.scoring.evaluation.background import Background, training_surfaces
from stages.scoring.evaluation.predictions_file import description_of
from stages.scoring.evaluation.scoring import ScoringOptions, score_predictions
from stages.scoring.metric_modules import EntityMetric, LabelMetric
from stages.tasks.task import Task, Units
from tests.support.saved_splits import save_splits
from tests.support.scored import score_entities, score_labels
from tests.support.tokenized import predictions_of, task_of
from tests.support.told import told

NAMES = ["b", "a", "c"]
IOB2 = ["O", "B-loc", "I-loc", "B-per", "I-per"]
QUICK = ScoringOptions(resamples=0)


def text_case(target: Target, texts: int = 40) -> tuple[Task, Dataset, Units]:
    """Texts with gold, and logits that are often right."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(texts, 1 if target == "number" else 3))
    codes = np.where(generator.random(texts) < 0.7, logits.argmax(axis=1), generator.integers(3, size=texts))
    noisy = logits + generator.normal(size=logits.shape)
    label: dict[Target, tuple[Any, Any]] = {
        "label": (ClassLabel(names=NAMES), codes),
        "labels": (List(ClassLabel(names=NAMES)), [np.flatnonzero(row > 0.3).tolist() for row in noisy]),
        "number": (Value("float64"), logits[:, 0] + generator.normal(size=texts)),
    }
    feature, gold = label[target]
    features = Features({"id": Value("string"), "text": Value("string"), "label": feature})
    columns = {"id": [f"t{row}" for row in range(texts)], "text": ["x"] * texts, "label": gold}
    raw = Dataset(pa.table(columns, schema=features.arrow_schema))
    return task_of("text", target), raw, Units(np.arange(texts), np.zeros(texts, int), logits.astype(np.float32))


def tokens_case(names: list[str], sentences: int = 30) -> tuple[Task, Dataset, Units]:
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, 9, size=sentences)
    lengths[3] = 0  # a sentence without words
    tags = [generator.integers(len(names), size=length).tolist() for length in lengths]
    features = Features({"id": Value("string"), "tokens": List(Value("string")), "tags": List(ClassLabel(names=names))})
    columns = {
        "id": ["same"] * sentences,
        "tokens": [[f"w{place}" for place in range(length)] for length in lengths],
        "tags": tags,
    }
    raw = Dataset(pa.table(columns, schema=features.arrow_schema))
    flat = np.concatenate([np.array(each, int) for each in tags])
    logits = generator.normal(size=(len(flat), len(names))) + 2 * np.eye(len(names))[flat]
    word = np.concatenate([np.arange(length) for length in lengths])
    return task_of("tokens"), raw, Units(np.repeat(np.arange(sentences), lengths), word, logits.astype(np.float32))


CASES = {
    "label": lambda: text_case("label"),
    "labels": lambda: text_case("labels"),
    "number": lambda: text_case("number"),
    "entities": lambda: tokens_case(IOB2),
    "plain tags": lambda: tokens_case(["NOUN", "O", "VERB"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_headline_of_the_file_is_that_of_validation(case: str, tmp_path: Path) -> None:
    task, raw, units = CASES[case]()
    names = label_names(raw.features)
    quick = task.score(units, task.raw_gold(raw), names)
    threshold = getattr(quick, "threshold", None)
    target: Target = case if case in get_args(Target) else "label"  # type: ignore[assignment]
    pq.write_table(predictions_of(raw, units, target, threshold), tmp_path / "test.parquet")
    table = pq.read_table(tmp_path / "test.parquet")
    final = score_predictions(table, ScoringOptions(resamples=200), Background(threshold=threshold))
    assert final.headline_json() == pytest.approx(quick.headline_json(), abs=1e-9)
    assert final.per_label == quick.per_label
    assert (description_of(table).kind, list(description_of(table).names)) == (task.config.kind, names)
    content: Any = final.to_json()
    assert set(final.headline_json()) <= set(content["intervals"])
    for name, (low, high) in content["intervals"].items():
        assert low < high, name
    again = score_predictions(table, ScoringOptions(resamples=200), Background(threshold=threshold))
    assert again.to_json() == content


def test_the_local_metrics_of_evaluate_give_the_same_scores() -> None:
    predicted, gold = [["B-x", "O"], ["I-y"]], [["B-x", "I-x"], ["B-y"]]
    for reading in ("conll", "iob2"):
        result = EntityMetric(keep_in_memory=True).compute(predictions=predicted, references=gold, reading=reading)
        expected = score_entities(predicted, gold, reading=reading).metrics
        assert result == {name: expected[name] for name in ("accuracy", "precision", "recall", "f1")}
    codes = np.array([0, 1, 1]), np.array([0, 1, 0])
    result = LabelMetric(keep_in_memory=True).compute(predictions=codes[0], references=codes[1])
    expected = score_labels(*codes, ["n", "y"]).metrics
    assert result == pytest.approx({name: expected[name] for name in ("accuracy", "precision", "recall", "f1")})


# One label


def label_table(labels: int, texts: int = 200) -> tuple[pa.Table, Any, Any, Any]:
    generator = np.random.default_rng(labels)
    names = np.array([f"n{code}" for code in range(labels)])
    gold = generator.integers(labels, size=texts)
    probabilities = generator.dirichlet(np.ones(labels), size=texts)
    probabilities = (probabilities + 0.3 * np.eye(labels)[gold]) / 1.3
    structs = pa.StructArray.from_arrays([pa.array(column) for column in probabilities.T], names.tolist())
    predicted = probabilities.argmax(axis=1)
    columns = {"id": [str(row) for row in range(texts)], "gold": names[gold], "predicted": names[predicted]}
    return (
        pa.table({**columns, "score": probabilities.max(axis=1), "probabilities": structs}),
        gold,
        predicted,
        probabilities,
    )


@pytest.mark.parametrize("labels", [2, 3, 6])
def test_all_scores_of_labels_are_scikit_learns(labels: int) -> None:
    table, gold, predicted, probabilities = label_table(labels)
    found: Any = score_predictions(table, QUICK).to_json()
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(gold, predicted), abs=1e-9)
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(gold, predicted), abs=1e-9)
    assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(gold, predicted), abs=1e-9)
    report = metrics.classification_report(gold, predicted, output_dict=True, zero_division=0)
    for ours, theirs in (("macro", "macro avg"), ("weighted", "weighted avg")):
        expected = [report[theirs][score] for score in ("precision", "recall", "f1-score")]
        assert list(found[ours].values()) == pytest.approx(expected, abs=1e-9)
    scores = probabilities[:, 1] if labels == 2 else probabilities
    one_hot = gold if labels == 2 else np.eye(labels)[gold]
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(gold, scores, multi_class="ovr"), abs=1e-9)
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(one_hot, scores), abs=1e-9)
    assert "intervals" not in found and found["loss"] is None


def test_ranking_is_not_defined_where_a_label_has_no_example() -> None:
    table = label_table(3)[0]
    few = table.filter(pa.compute.not_equal(table["gold"], "n1"))
    found = score_predictions(few, QUICK).to_json()
    assert found["roc_auc"] is None and found["average_precision"] is None
    assert isinstance(found["calibration_error"], float)


@given(arrays(float, 25, elements=st.floats(0, 1)), arrays(bool, 25))
def test_the_calibration_error_is_that_of_the_paper(confidence: Any, right: Any) -> None:
    expected = 0.0
    for place in range(15):
        low, high = place / 15, (place + 1) / 15
        inside = (confidence > low) & (confidence <= high) if place else confidence <= high
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    gold = np.zeros(len(right), int)
    predictions = LabelPredictions(gold, np.where(right, 0, 1), ["x", "y"], confidence=confidence)
    found = value_of(METRICS["calibration_error"], predictions)
    edges = np.abs(confidence * 15 - np.round(confidence * 15)).min() < 1e-9  # float division may differ there
    assert edges or found == pytest.approx(expected, abs=1e-9)


# Several labels


@given(arrays(float, (6, 2), elements=st.sampled_from([0.1, 0.2, 0.45, 0.5, 0.9])), arrays(bool, (6, 2)))
def test_no_threshold_has_a_better_micro_f1(probabilities: Any, gold: Any) -> None:
    best = best_threshold(probabilities, gold)

    def f1(threshold: float) -> float:
        return metrics.f1_score(gold.ravel(), (probabilities >= threshold).ravel(), zero_division=0)

    assert f1(best) == pytest.approx(max(f1(threshold) for threshold in np.linspace(0, 1, 101)))


def test_a_threshold_is_read_as_it_was_written_and_a_missing_one_is_told(tmp_path: Path) -> None:
    write_threshold(tmp_path, 0.123456789)
    assert read_threshold(tmp_path) == 0.123456789
    (tmp_path / "threshold.json").write_text("{}")
    with pytest.raises(DataError) as error:
        read_threshold(tmp_path)
    assert "names no threshold" in told(error)


# Slices


def test_a_slice_has_the_scores_of_its_examples_alone() -> None:
    _, raw, units = tokens_case(IOB2, sentences=200)
    table = predictions_of(raw, units)
    found = score_predictions(table, ScoringOptions(resamples=100, slices=["length", "label"])).slices
    lengths = np.bincount(units.example)
    assert sum(score.support for score in found["length"].values()) == (lengths > 0).sum()
    assert set(found["label"]) == {"loc", "per"}
    for name, score in found["length"].items():
        low, _, high = name.partition(" ")[0].partition("-")
        inside = (lengths >= int(low)) & (lengths <= int(high or low)) & (lengths > 0)
        assert score.support == inside.sum()
        alone = score_predictions(table.filter(pa.array(inside[units.example])), QUICK).headline_json()
        assert dict(score.scores) == pytest.approx({key: alone[key] for key in ("precision", "recall", "f1")})
        assert score.interval is not None
        assert score.interval.low <= alone["f1"] <= score.interval.high  # type: ignore[operator]


def test_lengths_that_are_mostly_equal_make_fewer_slices() -> None:
    table = label_table(2, texts=8)[0]
    options = ScoringOptions(resamples=0, slices=["length"])
    slices = score_predictions(table, options, Background(lengths=np.array([3] * 7 + [9]))).slices["length"]
    assert {name: score.support for name, score in slices.items()} == {"3 words": 7, "9 words": 1}
    assert all(score.interval is None for score in slices.values())


def test_words_are_sliced_by_a_column_of_their_sentences() -> None:
    _, raw, units = tokens_case(IOB2)
    domain = np.array([("mail", "news", None)[example % 3] for example in range(raw.num_rows)], dtype=object)
    table = predictions_of(raw, units).append_column("domain", pa.array(domain[units.example], pa.string()))
    found = score_predictions(table, ScoringOptions(resamples=100, slices=["domain"])).slices["domain"]
    assert list(found) == ["mail", "news", "(none)"]
    occurring = np.unique(units.example)
    for name, score in found.items():
        inside = domain == (None if name == "(none)" else name)
        assert score.support == inside[occurring].sum()
        alone = score_predictions(table.filter(pa.array(inside[units.example])), QUICK).headline_json()
        assert dict(score.scores) == pytest.approx({key: alone[key] for key in ("precision", "recall", "f1")})


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("source", "no column 'source' to slice by; name it in data.keep_columns"),
        ("id", "id has 60 values in the test split, too many to slice by (at most 50)"),
    ],
)
def test_what_nothing_can_be_sliced_by_is_told(column: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        score_predictions(label_table(2, texts=60)[0], ScoringOptions(resamples=0, slices=[column]))
    assert message in told(error)


# What is odd


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"gold": ["a"]}, "no column 'predicted'"),
        ({"gold": ["a", None], "predicted": ["a", "a"]}, "row 2: gold is not known"),
        ({"gold": pa.array([], pa.string()), "predicted": pa.array([], pa.string())}, "hold no row"),
    ],
)
def test_a_file_that_can_not_be_scored_is_told(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        score_predictions(pa.table(columns))
    assert message in told(error)


def test_plain_scores_tags_as_labels() -> None:
    _, raw, units = tokens_case(IOB2)
    found = score_predictions(predictions_of(raw, units), ScoringOptions(scheme="plain", resamples=0))
    assert set(found.per_label) == set(IOB2)
    assert "errors" not in found.to_json()


def test_wordings_in_train_are_case_folded_and_of_entities_alone(tmp_path: Path) -> None:
    features = Features({"id": Value("string"), "tokens": List(Value("string")), "tags": List(ClassLabel(names=IOB2))})
    columns = {
        "id": ["1", "2"],
        "tokens": [["New", "York", "is", "STRASSE"], ["Straße", "x"]],
        "tags": [[1, 2, 0, 0], [3, -1]],
    }
    split = Dataset(pa.table(columns, schema=features.arrow_schema))
    save_splits({"train": split, "test": split}, tmp_path / "raw")
    assert training_surfaces(tmp_path / "raw") == {"new york", "strasse"}
    assert training_surfaces(tmp_path / "raw", "plain") == frozenset()
