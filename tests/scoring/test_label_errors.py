"""Gold labels that are probably wrong: the paper's formulas, the ranking, and what is looked at in each kind of task."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.scoring.core.predicted import ScoringRules
from stages.scoring.evaluation.predictions_file import (
    Description,
    PredictionsFile,
    described,
    probability_structs,
    read_predictions,
)
from stages.scoring.label_errors.confident_learning import (
    TOLERANCE,
    confident_joint,
    expected_counts,
    label_errors,
    margins_of,
    thresholds,
)
from stages.scoring.label_errors.issue_table import Source, issue_table
from stages.scoring.label_errors.ranking import LabelIssue, Marked, label_issues
from tests.support.told import told

# --- a slow, literal reading of the paper ---------------------------------------------------------------------------

Rows = Sequence[Sequence[float]]


def reference_thresholds(labels: Sequence[int], rows: Rows) -> list[float]:
    """Equation 2: t_j is the mean of p_j over X_j, the examples that are given j."""
    found = []
    for j in range(len(rows[0])):
        of_j = [row[j] for row, label in zip(rows, labels, strict=True) if label == j]
        found.append(sum(of_j) / len(of_j) if of_j else math.inf)
    return found


def reference_joint(labels: Sequence[int], rows: Rows) -> list[list[int]]:
    """Equation 1: C_ij counts the x in X_i whose most probable label among those with p_l >= t_l is j."""
    size, limits = len(rows[0]), reference_thresholds(labels, rows)
    joint = [[0] * size for _ in range(size)]
    for label, row in zip(labels, rows, strict=True):
        above = [j for j in range(size) if row[j] >= limits[j] - TOLERANCE]
        if above:
            joint[label][max(above, key=lambda j: row[j])] += 1
    return joint


def reference_counts(labels: Sequence[int], rows: Rows) -> list[list[float]]:
    """Equation 3, times n: each row of C sums to the number of examples that are given its label."""
    joint = reference_joint(labels, rows)
    return [
        [count / sum(row) * list(labels).count(i) if sum(row) else 0.0 for count in row] for i, row in enumerate(joint)
    ]


def reference_errors(labels: Sequence[int], rows: Rows) -> list[bool]:
    """Prune by noise rate (section 3.2): for i and j, the n Q_ij examples of X_i with the largest margin p_j - p_i."""
    named = set()
    for i, counts in enumerate(reference_counts(labels, rows)):
        for j, count in enumerate(counts):
            if i != j:
                of_i = [x for x, label in enumerate(labels) if label == i]
                of_i.sort(key=lambda x: rows[x][i] - rows[x][j])
                named |= set(of_i[: round(count)])
    return [x in named and max(row) > row[labels[x]] for x, row in enumerate(rows)]


@st.composite
def labelled_probabilities(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    size, rows = draw(st.integers(2, 5)), draw(st.integers(1, 40))
    parts = st.lists(st.integers(0, 8), min_size=size, max_size=size).filter(any)
    weights = np.array(draw(st.lists(parts, min_size=rows, max_size=rows)), np.float64)
    labels = draw(st.lists(st.integers(0, size - 1), min_size=rows, max_size=rows))
    return np.array(labels, np.int64), (weights / weights.sum(axis=1, keepdims=True)).round(6)


@given(labelled_probabilities())
def test_thresholds_joint_counts_and_errors_are_the_papers(made: tuple[NDArray[np.int64], NDArray[np.float64]]) -> None:
    labels, probabilities = made
    as_lists = labels.tolist(), probabilities.tolist()
    np.testing.assert_allclose(thresholds(labels, probabilities), reference_thresholds(*as_lists), rtol=1e-12)
    assert confident_joint(labels, probabilities).tolist() == reference_joint(*as_lists)
    np.testing.assert_allclose(expected_counts(labels, probabilities), reference_counts(*as_lists), rtol=1e-12)
    assert label_errors(labels, probabilities).tolist() == reference_errors(*as_lists)
    margins = [row[label] - max(row[:label] + row[label + 1 :]) for label, row in zip(*as_lists, strict=True)]
    assert margins_of(labels, probabilities).tolist() == margins


@given(labelled_probabilities(), st.randoms(use_true_random=False))
def test_nothing_depends_on_the_order_of_labels(
    made: tuple[NDArray[np.int64], NDArray[np.float64]], random: Any
) -> None:
    labels, probabilities = made
    order = list(range(probabilities.shape[1]))
    random.shuffle(order)
    renamed = np.argsort(order)[labels]
    np.testing.assert_allclose(thresholds(renamed, probabilities[:, order]), thresholds(labels, probabilities)[order])
    np.testing.assert_array_equal(margins_of(renamed, probabilities[:, order]), margins_of(labels, probabilities))


# --- files of each kind ---------------------------------------------------------------------------------------------


def text_file(labels: Sequence[str], probabilities: Any, names: Sequence[str], split: str = "test") -> PredictionsFile:
    rows = np.asarray(probabilities, np.float64)
    columns = {
        "id": [f"{split}-{place}" for place in range(len(rows))],
        "gold": list(labels),
        "predicted": [names[code] for code in rows.argmax(axis=1)],
        "probabilities": probability_structs(rows, names),
    }
    return read_predictions(described(pa.table(columns), Description("text", "label", names)))


def words_file(sentences: Sequence[tuple[str, Sequence[str], Any]], names: Sequence[str]) -> PredictionsFile:
    """`sentences`: words in one string, their gold tags, and for each word the probabilities of all tags."""
    rows = np.concatenate([np.asarray(each, np.float64) for _, _, each in sentences])
    words = [text.split() for text, _, _ in sentences]
    columns = {
        "id": [f"test-{place}" for place, each in enumerate(words) for _ in each],
        "word": pa.array([place for each in words for place in range(len(each))], pa.int32()),
        "token": [word for each in words for word in each],
        "gold": [tag for _, tags, _ in sentences for tag in tags],
        "predicted": [names[code] for code in rows.argmax(axis=1)],
        "probabilities": probability_structs(rows, names),
    }
    return read_predictions(described(pa.table(columns), Description("tokens", "label", names)))


def calibrated(seed: int, rows: int, names: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Labels drawn from their own probabilities: a model that is right as often as it says."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(len(names), 0.15), rows).round(6)
    labels = [names[generator.choice(len(names), p=row / row.sum())] for row in probabilities]
    return labels, probabilities


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_flipped_labels_rank_above_clean_ones(seed: int, size: int) -> None:
    """With a calibrated model, a flipped label is likelier to be named than a clean one, and most of the first are flipped."""
    names = [f"label-{place}" for place in range(size)]
    labels, probabilities = calibrated(seed, 2000, names)
    generator = np.random.default_rng(seed + 1)
    flipped = set(generator.choice(len(labels), 200, replace=False).tolist())
    given_labels = [
        names[(names.index(label) + int(generator.integers(1, size))) % size] if place in flipped else label
        for place, label in enumerate(labels)
    ]
    issues = label_issues([text_file(given_labels, probabilities, names)], ScoringRules())
    errors = {issue.example for issue in issues if issue.is_error}
    clean = len(labels) - len(flipped)
    assert len(errors & flipped) / len(flipped) > 2 * len(errors - flipped) / clean
    first = [issue.example in flipped for issue in issues[:50]]
    assert np.mean(first) > 0.5, "a tenth of all labels is flipped"


def test_the_surest_errors_come_first_and_those_of_the_model_alone_behind() -> None:
    labels, probabilities = calibrated(3, 500, ["a", "b", "c"])
    issues = label_issues([text_file(labels, probabilities, ["a", "b", "c"])], ScoringRules())
    keys = [(not issue.is_error, issue.margin) for issue in issues]
    assert keys == sorted(keys) and {True, False} == {issue.is_error for issue in issues}
    assert all(-1 <= issue.margin < 0 for issue in issues)
    predicted_otherwise = probabilities.argmax(axis=1) != [["a", "b", "c"].index(label) for label in labels]
    assert sorted(issue.example for issue in issues) == np.flatnonzero(predicted_otherwise).tolist()


def test_several_files_are_ranked_as_one() -> None:
    labels, probabilities = calibrated(5, 300, ["a", "b"])
    whole = label_issues([text_file(labels, probabilities, ["a", "b"])], ScoringRules())
    parts = [text_file(labels[:100], probabilities[:100], ["a", "b"])]
    parts.append(
        text_file(labels[100:], probabilities[100:, ::-1], ["b", "a"])
    )  # its model names them the other way round
    found = label_issues(parts, ScoringRules())
    assert [issue.example + 100 * issue.file for issue in found] == [issue.example for issue in whole]
    assert [(issue.margin, issue.is_error) for issue in found] == [(issue.margin, issue.is_error) for issue in whole]


TAGS = ["O", "B-A", "I-A", "B-B", "I-B"]


def sure(*tags: str, of: float = 0.9) -> NDArray[np.float64]:
    """One row a word: its tag is sure, the others are equally improbable."""
    rows = np.full((len(tags), len(TAGS)), (1 - of) / (len(TAGS) - 1))
    rows[np.arange(len(tags)), [TAGS.index(tag) for tag in tags]] = of
    return rows.round(6)


def entity_issues(gold: str, predicted: NDArray[np.float64]) -> list[LabelIssue]:
    tags = gold.split()
    return label_issues([words_file([(" ".join("abcdefgh"[: len(tags)]), tags, predicted)], TAGS)], ScoringRules())


def test_each_kind_of_entity_issue() -> None:
    cases = {
        ("O B-A I-A O", "O B-B I-B O"): ("wrong type", Marked("A", 1, 3), Marked("B", 1, 3)),
        ("O B-A I-A O", "O B-A O O"): ("wrong span", Marked("A", 1, 3), Marked("A", 1, 2)),
        ("O B-A I-A O", "B-B I-B O O"): ("wrong type and span", Marked("A", 1, 3), Marked("B", 0, 2)),
        ("O B-A I-A O", "O O O O"): ("no entity", Marked("A", 1, 3), None),
        ("O O O O", "O O B-B O"): ("missed entity", None, Marked("B", 2, 3)),
    }
    for (gold, predicted), expected in cases.items():
        (issue,) = entity_issues(gold, sure(*predicted.split()))
        assert (issue.kind, issue.given, issue.suggested) == expected
    assert entity_issues("O B-A I-A O", sure("O", "B-A", "I-A", "O")) == []


def test_an_entity_is_as_sure_as_the_words_that_it_turns_on() -> None:
    """Its second word is right in gold as in the prediction: it says nothing for either."""
    rows = np.concatenate([sure("O"), sure("B-A", of=0.8), sure("O", of=0.6), sure("O", of=0.9)])
    (issue,) = entity_issues("O B-A I-A I-A", rows)
    assert issue.given_probability == pytest.approx((0.1 + 0.025) / 2)
    assert issue.suggested_probability == pytest.approx((0.6 + 0.9) / 2)


def test_plain_tags_are_looked_at_word_by_word() -> None:
    rows = [[0.9, 0.1], [0.2, 0.8], [0.95, 0.05]]
    file = words_file([("a b c", ["NOUN", "NOUN", "VERB"], rows)], ["NOUN", "VERB"])
    found = label_issues([file], ScoringRules())
    assert [(issue.kind, issue.given, issue.suggested) for issue in found] == [
        ("wrong tag", Marked("VERB", 2, 3), Marked("NOUN", 2, 3)),
        ("wrong tag", Marked("NOUN", 1, 2), Marked("VERB", 1, 2)),
    ]


def test_several_labels_are_looked_at_one_by_one() -> None:
    scores = np.array([[0.9, 0.2], [0.1, 0.95], [0.98, 0.9], [0.1, 0.1]])
    golds = [["x"], ["x"], ["x", "y"], ["y"]]
    columns = {
        "id": ["a", "b", "c", "d"],
        "gold": golds,
        "predicted": [["x"], ["y"], ["x", "y"], []],
        "score": probability_structs(scores, ["x", "y"]),
    }
    file = read_predictions(described(pa.table(columns), Description("text", "labels", ["x", "y"])))
    table = issue_table([Source("test", file, [("t",)] * 4)], ScoringRules())
    found = {(each.id, each.kind): each for each in table.issues}
    assert set(found) == {("b", "extra label"), ("b", "missing label"), ("d", "extra label")}
    assert [round(each.issue.margin, 6) for each in table.issues] == [-0.9, -0.8, -0.8]
    extra, missing = found["b", "extra label"], found["b", "missing label"]
    assert (extra.given, extra.suggested) == ("x", "(none)") and (missing.given, missing.suggested) == ("x", "x, y")
    assert missing.to_json()["suggested"] == ["x", "y"]


def labels_file(golds: Sequence[Sequence[str]], scores: Any, names: Sequence[str]) -> PredictionsFile:
    columns = {
        "gold": pa.array(golds, pa.list_(pa.string())),
        "predicted": [[name for name, score in zip(names, row, strict=True) if score >= 0.5] for row in scores],
        "score": probability_structs(np.asarray(scores), names),
    }
    return read_predictions(described(pa.table(columns), Description("text", "labels", names)))


@pytest.mark.parametrize("others", [["z", "x", "y"], ["x", "z"], ["x", "y", "z", "w"]])
def test_the_same_label_is_looked_at_in_files_that_have_others_or_another_order(others: list[str]) -> None:
    """A fold has the labels of its own train first, so that one which this lacks comes last."""
    generator, names = np.random.default_rng(0), ["x", "y", "z"]
    scores = [generator.random((30, 3)), generator.random((30, len(others)))]
    golds = [[[name for name in known if generator.random() < 0.5] for _ in range(30)] for known in (names, others)]
    every = ["w", *names]
    whole = [np.zeros((30, 4)), np.zeros((30, 4))]
    for place, known in enumerate((names, others)):
        whole[place][:, [every.index(name) for name in known]] = scores[place]
    found = label_issues(
        [labels_file(golds[0], scores[0], names), labels_file(golds[1], scores[1], others)], ScoringRules()
    )
    alike = label_issues([labels_file(golds[place], whole[place], every) for place in range(2)], ScoringRules())
    assert len(found) > 20 and found == alike


# --- what can't be ranked -------------------------------------------------------------------------------------------


def test_numbers_and_files_without_probabilities_are_refused() -> None:
    numbers = read_predictions(pa.table({"gold": [1.0, 2.0], "predicted": [1.5, 2.5]}), "scores.parquet")
    with pytest.raises(DataError) as error:
        label_issues([numbers], ScoringRules())
    assert "scores.parquet: holds numbers" in told(error)
    labels = read_predictions(pa.table({"gold": ["a", "b"], "predicted": ["a", "a"]}), "labels.parquet")
    with pytest.raises(DataError) as error:
        label_issues([labels], ScoringRules())
    assert "labels.parquet: has no probability of every label" in told(error)
