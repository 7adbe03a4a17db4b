"""`task.decode=viterbi`: over whole sentences, in the scheme that the tags of train are in, with what it gains beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from sklearn.metrics import log_loss

from stages.configuration.schema import SchemeChoice
from stages.pipeline.errors import DataError, ModelError
from stages.scoring.core.scores import Average
from stages.scoring.evaluation.scoring import ScoringOptions, score_predictions
from stages.scoring.score import table as printed
from stages.tasks.task import Task
from stages.tasks.tokens_task import TokensTask
from tests.support.tokenized import predictions_of, task_of, tokenized_rows

NAMES = ("O", "B-x", "I-x", "B-y", "I-y")


def rows_of(*rows: dict[str, Any], names: tuple[str, ...] = NAMES) -> Dataset:
    """A tokenized split without special sub-words."""
    columns = {name: [row[name] for row in rows] for name in ("example", "labels", "words")}
    columns |= {"subwords": [len(row["words"]) for row in rows], "input_ids": columns["words"]}
    return tokenized_rows("tokens", names, columns)


def sentences(*tags: str, names: tuple[str, ...] = NAMES) -> Dataset:
    codes = [[names.index(tag) for tag in sentence.split()] for sentence in tags]
    rows = ({"example": place, "labels": own, "words": [*range(len(own))]} for place, own in enumerate(codes))
    return rows_of(*rows, names=names)


def fitted_to(train: Dataset, scheme: SchemeChoice = "auto") -> TokensTask:
    task = task_of("tokens", decode="viterbi", scheme=scheme).fitted_to(train)
    assert isinstance(task, TokensTask)
    return task


# The scheme


@pytest.mark.parametrize(
    ("train", "scheme"),
    [
        (sentences("B-x I-x O", "O B-y"), "iob2"),
        (sentences("I-x I-x O", "O I-y B-y"), "iob1"),
        (sentences("B I O", "O B", names=("O", "B", "I")), "iob2"),
        (sentences("B-x E-x S-x", names=("O", "B-x", "M-x", "E-x", "S-x")), "iobes"),
        (sentences("B-x L-x U-x O", names=("O", "B-x", "I-x", "L-x", "U-x")), "bilou"),
    ],
)
def test_the_scheme_is_that_of_the_tags_of_train_and_stands_beside_the_weights(
    train: Dataset, scheme: str, tmp_path: Path
) -> None:
    task = fitted_to(train)
    assert task.scheme == scheme
    task.write(tmp_path)
    again = task_of("tokens", decode="viterbi").trained(tmp_path)
    assert isinstance(again, TokensTask) and again.scheme == scheme


def test_the_scheme_of_windows_is_that_of_their_whole_sentence() -> None:
    """Read by itself, the second window would begin with an `I-`, as in IOB1."""
    train = rows_of(
        {"example": 0, "labels": [1, 2, 2], "words": [0, 1, 2]}, {"example": 0, "labels": [2, 2, 2], "words": [1, 2, 3]}
    )
    assert fitted_to(train).scheme == "iob2"


def test_a_scheme_can_be_named() -> None:
    assert fitted_to(sentences("B-x I-x O"), "iob1").scheme == "iob1"


@pytest.mark.parametrize(
    ("train", "scheme"),
    [
        (sentences("NOUN VERB", names=("NOUN", "VERB")), "auto"),
        (sentences("NOUN VERB", names=("NOUN", "VERB")), "iob2"),
        (sentences("O O O"), "auto"),
        (sentences("B-x E-x U-x", names=("O", "B-x", "E-x", "U-x")), "auto"),
    ],
)
def test_tags_in_no_scheme_are_told_before_training(train: Dataset, scheme: SchemeChoice, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"task\.decode=viterbi .* set task\.decode=argmax"):
        fitted_to(train, scheme)
    by_argmax = task_of("tokens", scheme=scheme).fitted_to(train)
    by_argmax.write(tmp_path)
    assert not list(tmp_path.iterdir()) and by_argmax.trained(tmp_path) == by_argmax


@pytest.mark.parametrize("content", [None, '{"scheme": "iob7"}', "{}"])
def test_a_model_without_a_scheme_is_told(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "tag_scheme.json").write_text(content)
    with pytest.raises(ModelError, match=r"tag_scheme\.json: (is missing|names no scheme), .* decode by argmax"):
        task_of("tokens", decode="viterbi").trained(tmp_path)
    assert task_of("tokens").trained(tmp_path) == task_of("tokens")


# Decoding


def logits_of(*probabilities: list[float]) -> np.ndarray:
    return np.log(np.array(probabilities)).astype(np.float32)


def test_the_windows_of_a_sentence_are_one_sequence() -> None:
    """The third word is the first of the second row that is read there; only the first row tells that it may be an `I-x`."""
    split = rows_of(
        {"example": 0, "labels": [0, 0, 0], "words": [0, 1, -1]},
        {"example": 0, "labels": [0, 0, 0], "words": [-1, 2, 3]},
    )
    inside, outside = [0.1, 0.2, 0.6, 0.05, 0.05], [0.8, 0.05, 0.05, 0.05, 0.05]
    begins = [0.1, 0.7, 0.1, 0.05, 0.05]
    task = fitted_to(sentences("B-x I-x O"))
    units = task.decode(split, logits_of(outside, begins, inside, outside))
    assert units.predicted.tolist() == units.most_probable.tolist() == [0, 1, 2, 0]
    units = task.decode(split, logits_of(outside, outside, inside, outside))
    assert units.most_probable.tolist() == [0, 0, 2, 0]
    assert units.predicted.tolist() == [0, 0, 1, 0]
    assert units.score == pytest.approx([0.8, 0.8, 0.2, 0.8])


def test_sentences_without_words_take_no_part() -> None:
    split = rows_of(
        {"example": 1, "labels": [0], "words": [0]},
        {"example": 4, "labels": [0], "words": [0]},
    )
    units = fitted_to(sentences("B-x I-x O")).decode(
        split, logits_of([0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.2, 0.5, 0.1, 0.1])
    )
    assert units.example.tolist() == [1, 4] and units.predicted.tolist() == [1, 1]


# What it gains


def raw_split(task: Task, *tags: str) -> Dataset:
    lists = [sentence.split() for sentence in tags]
    raw = task.unlabelled({"tokens": pa.array(lists, pa.list_(pa.string()))}, NAMES)
    codes = [[NAMES.index(tag) for tag in sentence] for sentence in lists]
    return raw.map(lambda _, place: {"tags": codes[place]}, with_indices=True, load_from_cache_file=False)


@pytest.mark.parametrize("mode", ["conll", "strict"])
def test_strict_f1_by_argmax_stands_beside_that_by_viterbi(mode: Any) -> None:
    """Two gold entities. The most probable tags are `O I-x O` and `B-y I-y`; Viterbi finds both entities."""
    task = fitted_to(sentences("B-x I-x O"))
    split = sentences("O B-x O", "B-y I-y")
    sure = np.full((5, 5), 0.05) + 0.75 * np.eye(5)[[0, 2, 0, 3, 4]]
    sure[1] = [0.1, 0.35, 0.45, 0.05, 0.05]
    units = task.decode(split, np.log(sure).astype(np.float32))
    table = predictions_of(raw_split(task, "O B-x O", "B-y I-y"), units)
    assert table["predicted"].to_pylist() == ["O", "B-x", "O", "B-y", "I-y"] == table["gold"].to_pylist()
    assert table["argmax"].to_pylist() == ["O", "I-x", "O", "B-y", "I-y"]
    scores = score_predictions(table, ScoringOptions(mode=mode, resamples=0))
    found = scores.to_json()
    whole, half = vars(Average(1.0, 1.0, 1.0)), vars(Average(1.0, 0.5, pytest.approx(2 / 3)))
    assert found["f1"] == 1.0 and found["conll" if mode == "strict" else "strict"] == whole
    assert found["argmax"] == {"conll": whole, "strict": half}
    assert "(micro, argmax, strict)" in printed(scores)


def test_by_argmax_nothing_more_is_told() -> None:
    task = task_of("tokens").fitted_to(sentences("B-x I-x O"))
    units = task.decode(sentences("O B-x"), logits_of([0.8, 0.05, 0.05, 0.05, 0.05], [0.1, 0.2, 0.5, 0.1, 0.1]))
    table = predictions_of(raw_split(task, "O B-x"), units)
    assert "argmax" not in table.column_names
    assert "argmax" not in score_predictions(table, ScoringOptions(resamples=0)).to_json()


# Labels that the model has not, since train lacks them


@pytest.mark.parametrize("decode", ["argmax", "viterbi"])
def test_a_label_of_test_alone_is_never_predicted_and_its_loss_is_that_of_log_loss(decode: Any) -> None:
    task = task_of("tokens", decode=decode).fitted_to(sentences("B-x I-x O B-y I-y"))
    test = sentences("B-x I-z B-z", names=(*NAMES, "B-z", "I-z"))
    logits = np.random.default_rng(0).normal(size=(3, len(NAMES))).astype(np.float32) - 1000
    units = task.decode(test, logits)
    gold = task.tokenized_gold(test).label
    assert units.predicted.tolist() == task.decode(sentences("B-x I-x B-y"), logits).predicted.tolist()
    probabilities = np.exp(units.log_probabilities).astype(np.float32)
    expected = [
        log_loss([code], row[None], labels=range(len(NAMES) + 2)) for code, row in zip(gold, probabilities, strict=True)
    ]
    assert units.losses(gold) == pytest.approx(expected, abs=1e-3)
    assert units.losses(gold)[1:] == pytest.approx(-np.log(np.finfo(np.float32).eps), abs=1e-3)


def test_one_of_several_labels_that_test_alone_has_is_never_predicted() -> None:
    task = task_of("text", "labels", threshold=0.01)
    columns = {"example": [0], "subwords": [1], "input_ids": [[1]], "labels": [[0, 2]]}
    test = tokenized_rows("text", ("a", "b", "c"), columns, "labels")
    units = task.decode(test, np.array([[3.0, -9.0]], np.float32))
    gold = task.tokenized_gold(test)
    answers = task.answers(units, gold, task.labelled(gold), ("a", "b", "c"))
    assert answers.gold.to_pylist() == [["a", "c"]] and answers.predicted.to_pylist() == [["a"]]
    assert answers.loss is not None and np.isfinite(answers.loss).all()
