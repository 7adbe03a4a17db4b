"""Scores are the field's own, computed here and once for each entity: no label of sub-words, no lenient or downloaded metric."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, classification_report, f1_score, precision_score, recall_score
from sklearn import metrics

from stages.pipeline.json_files import write_json
from stages.scoring.core.scores import Scores
from stages.scoring.evaluation.plots import label_confusion, write_confusion, write_per_label
from stages.tags.schemes import are_entity_tags
from stages.tasks.task import Gold, Units
from tests.support.scored import headline, score_entities, score_labels
from tests.support.tokenized import task_of

IOB2 = ["O", "B-loc", "I-loc", "B-per", "I-per", "B-per-name", "I-per-name"]

Sentences = list[list[str]]


@st.composite
def predicted_and_gold(draw: st.DrawFn, tags: Sequence[str]) -> tuple[Sentences, Sentences]:
    """Sentences of tags in any order: many are malformed, such as I- after O or after another type."""
    lengths = draw(st.lists(st.integers(1, 10), min_size=1, max_size=6))
    tag = st.sampled_from(tags)
    predicted, gold = ([draw(st.lists(tag, min_size=size, max_size=size)) for size in lengths] for _ in range(2))
    return predicted, gold


def has_entity(sentences: Sentences) -> bool:
    return any(tag != "O" for sentence in sentences for tag in sentence)


# Entities


@given(predicted_and_gold(IOB2))
def test_entity_scores_are_seqevals_own_for_malformed_sequences_too(pair: tuple[Sentences, Sentences]) -> None:
    predicted, gold = pair
    assume(has_entity(predicted) or has_entity(gold))
    scores = score_entities(predicted, gold, loss=0.5)
    assert scores.metrics["accuracy"] == accuracy_score(gold, predicted)
    assert scores.metrics["precision"] == precision_score(gold, predicted, zero_division=0)
    assert scores.metrics["recall"] == recall_score(gold, predicted, zero_division=0)
    assert scores.metrics["f1"] == f1_score(gold, predicted, zero_division=0)
    report = classification_report(gold, predicted, output_dict=True, zero_division=0)
    for average, name in ((scores.averages["macro"], "macro avg"), (scores.averages["weighted"], "weighted avg")):
        expected = report.pop(name)
        assert (average.precision, average.recall, average.f1) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"])
        )
    del report["micro avg"]
    assert {name: tuple(vars(score).values()) for name, score in scores.per_label.items()} == {
        name: (row["precision"], row["recall"], row["f1-score"], row["support"]) for name, row in report.items()
    }
    assert scores.metrics["loss"] == 0.5


@settings(max_examples=30)
@given(predicted_and_gold(IOB2))
def test_a_perfect_prediction_scores_one(pair: tuple[Sentences, Sentences]) -> None:
    gold, _ = pair
    assume(has_entity(gold))
    scores = score_entities(gold, gold, loss=0.0)
    assert headline(scores) == scores.averages["macro"] == scores.averages["weighted"]
    assert (
        scores.metrics["accuracy"],
        scores.metrics["precision"],
        scores.metrics["recall"],
        scores.metrics["f1"],
    ) == (1, 1, 1, 1)


def test_without_any_entity_there_is_no_type_and_no_score_but_accuracy() -> None:
    scores = score_entities([["O", "O"], ["O"]], [["O", "O"], ["O"]], loss=0.0)
    assert scores.metrics["accuracy"] == 1.0
    assert headline(scores) == scores.averages["macro"] == scores.averages["weighted"]
    assert (scores.metrics["precision"], scores.metrics["recall"], scores.metrics["f1"]) == (0.0, 0.0, 0.0)
    assert scores.per_label == {}


@pytest.mark.parametrize(("predicted", "gold"), [("B-loc", "O"), ("O", "B-loc")])
def test_entities_on_one_side_only_score_zero(predicted: str, gold: str) -> None:
    scores = score_entities([[predicted, "O"]], [[gold, "O"]], loss=0.0)
    assert (scores.metrics["precision"], scores.metrics["recall"], scores.metrics["f1"]) == (0.0, 0.0, 0.0)
    assert scores.per_label["loc"].support == (gold != "O")
    assert scores.metrics["accuracy"] == 0.5


def test_an_entity_of_many_words_counts_once() -> None:
    gold = [["B-loc", "I-loc", "I-loc", "O", "B-loc"]]
    scores = score_entities([["B-loc", "I-loc", "I-loc", "O", "O"]], gold, loss=0.0)
    assert scores.per_label["loc"].support == 2
    assert (scores.metrics["precision"], scores.metrics["recall"]) == (1.0, 0.5)


def test_an_entity_with_a_wrong_end_or_type_is_not_found() -> None:
    gold = [["B-loc", "I-loc", "O"], ["B-loc", "O", "O"]]
    assert score_entities([["B-loc", "O", "O"], ["B-loc", "I-loc", "O"]], gold, loss=0.0).metrics["f1"] == 0.0
    assert score_entities([["B-per", "I-per", "O"], ["B-per", "O", "O"]], gold, loss=0.0).metrics["f1"] == 0.0


def test_an_entity_does_not_run_on_into_the_next_sentence() -> None:
    names = ["O", "B-loc", "I-loc"]
    gold = Gold(example=np.array([0, 0, 1, 1]), label=np.array([0, 1, 2, 0]))
    units = Units(gold.example, np.array([0, 1, 0, 1]), np.eye(3, dtype=np.float32)[gold.label])
    assert task_of("tokens").score(units, gold, names).per_label["loc"].support == 2


@pytest.mark.parametrize(("end", "single"), [("L", "U"), ("E", "S")], ids=["BILOU", "IOBES"])
def test_bilou_and_iobes_name_the_same_entities(end: str, single: str) -> None:
    gold = ["B-per", f"{end}-per", f"{single}-per", f"{single}-per", "O", "B-loc", "I-loc", f"{end}-loc"]
    scores = score_entities([gold], [gold], loss=0.0)
    assert {name: score.support for name, score in scores.per_label.items()} == {"loc": 1, "per": 3}
    one_missed = [*gold[:3], "O", *gold[4:]]
    assert score_entities([one_missed], [gold], loss=0.0).per_label["per"].recall == pytest.approx(2 / 3)


# Plain tags


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["O", "B-loc", "I-loc"], True),
        (["B-loc", "I-loc"], True),
        (["O", "S-loc", "B-loc", "E-loc", "I-loc"], True),
        (["NOUN", "VERB"], False),
        (["O", "NOUN"], False),
        (["O", "B-loc", "NOUN"], False),
        (["O"], False),
        (["B", "I", "O"], False),
        (["B-", "O"], False),
    ],
)
def test_entity_tags_are_told_from_plain_ones(names: list[str], expected: bool) -> None:
    assert are_entity_tags(names) is expected


def test_plain_tags_are_scored_as_labels_and_get_no_types_of_seqevals_making() -> None:
    names = ["NOUN", "PUNCT", "VERB"]
    gold = Gold(example=np.array([0, 0, 1, 1]), label=np.array([0, 2, 0, 1]))
    predicted = np.array([0, 2, 2, 1])
    units = Units(gold.example, np.array([0, 1, 0, 1]), np.eye(3, dtype=np.float32)[predicted])
    scores = task_of("tokens").score(units, gold, names)
    assert list(scores.per_label) == names
    assert scores.metrics["accuracy"] == 0.75
    assert scores.metrics["f1"] == pytest.approx(metrics.f1_score(gold.label, predicted, average="macro"))


# Labels

codes = st.integers(1, 40).flatmap(
    lambda size: st.tuples(*(st.lists(st.integers(0, 3), min_size=size, max_size=size) for _ in range(2)))
)


@settings(max_examples=40)
@given(codes)
def test_label_scores_are_scikit_learns_own(pair: tuple[list[int], list[int]]) -> None:
    predicted, gold = (np.array(values) for values in pair)
    names = ["a", "b", "c", "d"]
    scores = score_labels(predicted, gold, names, loss=0.25)
    assert scores.metrics["accuracy"] == metrics.accuracy_score(gold, predicted)
    for average, found in (
        ("macro", headline(scores)),
        ("macro", scores.averages["macro"]),
        ("weighted", scores.averages["weighted"]),
    ):
        expected = metrics.precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)
        assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3])
    present = sorted({*predicted.tolist(), *gold.tolist()})
    rows = metrics.precision_recall_fscore_support(gold, predicted, labels=present, zero_division=0)
    assert list(scores.per_label) == [names[code] for code in present]
    for score, *expected_row in zip(scores.per_label.values(), *rows, strict=True):
        assert list(vars(score).values()) == pytest.approx(expected_row)
    assert scores.metrics["loss"] == 0.25


def test_a_perfect_classification_scores_one() -> None:
    gold = np.array([0, 2, 2])
    scores = score_labels(gold, gold, ["a", "b", "c"], loss=0.0)
    assert headline(scores) == scores.averages["weighted"]
    assert (
        scores.metrics["accuracy"],
        scores.metrics["precision"],
        scores.metrics["recall"],
        scores.metrics["f1"],
    ) == (1, 1, 1, 1)


def test_the_text_task_scores_the_most_probable_label_and_the_loss_of_the_gold_one() -> None:
    logits = np.log(np.array([[0.9, 0.1], [0.6, 0.4]], np.float32))
    units = Units(np.array([0, 1]), np.array([0, 0]), logits)
    scores = task_of("text").score(units, Gold(np.array([0, 1]), np.array([0, 1])), ["no", "yes"])
    assert scores.metrics["accuracy"] == 0.5
    assert scores.metrics["loss"] == pytest.approx(-(np.log(0.9) + np.log(0.4)) / 2)
    assert units.score == pytest.approx([0.9, 0.6])


@given(st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_probabilities_are_a_softmax_of_the_logits_however_large(rows: list[list[float]]) -> None:
    units = Units(np.zeros(len(rows), int), np.arange(len(rows)), np.array(rows, np.float32))
    probabilities = np.exp(units.log_probabilities)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    assert units.score == pytest.approx(probabilities.max(axis=1))
    assert units.predicted.tolist() == np.array(rows, np.float32).argmax(axis=1).tolist()


# Files

ENTITY_SCORES = score_entities(
    [["B-loc", "I-loc", "O"], ["O", "B-per", "O"]], [["B-loc", "I-loc", "B-per"], ["O", "B-per", "O"]], loss=0.1
)
LABEL_SCORES = score_labels(np.array([0, 1, 1]), np.array([0, 1, 0]), ["no", "yes"], loss=0.1)


@pytest.mark.parametrize("scores", [ENTITY_SCORES, LABEL_SCORES], ids=["entities", "labels"])
def test_scores_are_plain_numbers_that_any_json_reader_takes(scores: Scores, tmp_path: Path) -> None:
    assert {type(value) for value in leaves(scores.to_json())} == {float, int}
    write_json(tmp_path / "metrics.json", scores.to_json())
    read = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert list(read) == ["accuracy", "precision", "recall", "f1", "loss", "macro", "weighted", "per_label"]
    assert read["f1"] == pytest.approx(scores.metrics["f1"], abs=1e-6)


def leaves(tree: Any) -> list[Any]:
    return [leaf for value in tree.values() for leaf in leaves(value)] if isinstance(tree, Mapping) else [tree]


def rows_of(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    assert b"\r" not in content
    return list(csv.DictReader(content.decode().splitlines()))


def test_the_confusion_file_counts_every_pair_of_gold_and_predicted(tmp_path: Path) -> None:
    gold, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
    write_confusion(label_confusion(gold, predicted, ['a "b", c', "yes", "O"]), tmp_path / "plots" / "confusion.csv")
    counts = {(row["gold"], row["predicted"]): int(row["count"]) for row in rows_of(tmp_path / "plots/confusion.csv")}
    first = 'a "b", c'
    assert {pair: count for pair, count in counts.items() if count} == {
        (first, first): 1,
        (first, "yes"): 1,
        ("yes", "yes"): 1,
        ("O", "O"): 2,
        ("O", first): 1,
    }


def test_the_confusion_file_begins_with_all_labels_in_their_order(tmp_path: Path) -> None:
    """Charts put an axis in the order in which its values come."""
    names = ["10", "9", "8"]
    write_confusion(label_confusion(np.array([2]), np.array([2]), names), tmp_path / "confusion.csv")
    rows = rows_of(tmp_path / "confusion.csv")
    assert list(dict.fromkeys(row["predicted"] for row in rows)) == names
    assert list(dict.fromkeys(row["gold"] for row in rows)) == names


def test_the_per_label_file_has_three_scores_a_label(tmp_path: Path) -> None:
    write_per_label(ENTITY_SCORES.per_label, tmp_path / "per_label.csv")
    values = {(row["label"], row["score"]): float(row["value"]) for row in rows_of(tmp_path / "per_label.csv")}
    assert values == {
        ("loc", "precision"): 1.0,
        ("loc", "recall"): 1.0,
        ("loc", "f1"): 1.0,
        ("per", "precision"): 1.0,
        ("per", "recall"): 0.5,
        ("per", "f1"): pytest.approx(2 / 3, abs=1e-6),
    }


def test_the_per_label_file_of_no_labels_has_its_header(tmp_path: Path) -> None:
    write_per_label(score_entities([["O"]], [["O"]], loss=0.0).per_label, tmp_path / "per_label.csv")
    assert (tmp_path / "per_label.csv").read_text(encoding="utf-8") == "label,score,value\n"
