"""Batches, predictions and the loss: neither padding nor the size of a batch shows in a result."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from stages.columns.names import IGNORED
from stages.configuration.schema import Kind
from stages.modeling import prediction
from stages.modeling.batch_format import BatchFormat, read_batch_format, write_batch_format
from stages.modeling.batches import PaddingCollator, batches_by_length
from stages.modeling.load import new_model, trained_model
from stages.modeling.precision import compute_head_in_fp32
from stages.modeling.prediction import predict
from stages.modeling.preparation import Use, prepare
from stages.pipeline.errors import ModelError
from stages.training.loss import loss_function
from tests.support.tiny import write_tiny_model
from tests.support.tokenized import task_of, tokenized_rows

FAMILIES = ("bert", "distilbert", "roberta")
NAMES = {"text": ["no", "yes", "perhaps"], "tokens": ["O", "B-x", "I-x"]}
PAD = 0

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: write_tiny_model(root / family, family=family) for family in FAMILIES}


def model_of(kind: Kind, folder: Path, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    return new_model(task_of(kind), folder, NAMES[kind])


def lively_model_of(kind: Kind, folder: Path) -> PreTrainedModel:
    """A model with larger weights: fresh ones give nearly the same logits for any row, and a mistake would not show."""
    model = model_of(kind, folder)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(10)
    return model


def tokenized(kind: Kind, lengths: Sequence[int], seed: int = 0) -> Dataset:
    """Rows of random sub-words; in tokens, a word begins at every second one."""
    numbers = np.random.default_rng(seed)
    columns = {
        "example": list(range(len(lengths))),
        "subwords": [length + 2 for length in lengths],
        "input_ids": [[2, *numbers.integers(5, 60, size=length).tolist(), 3] for length in lengths],
        "labels": [row % 3 for row in range(len(lengths))],
    }
    if kind == "tokens":
        columns["words"] = [[-1, *((place // 2 if place % 2 == 0 else -1) for place in range(n)), -1] for n in lengths]
        columns["labels"] = [[place % 3 if place >= 0 else IGNORED for place in row] for row in columns["words"]]
    return tokenized_rows(kind, NAMES[kind], columns)


def row_by_row(kind: Kind, model: PreTrainedModel, split: Dataset) -> np.ndarray:
    """What the model says of each row by itself, without padding."""
    model.eval()
    found = []
    with torch.inference_mode():
        for row in split:
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]
            found.append(logits[None] if kind == "text" else logits[torch.tensor(row["words"]) >= 0])
    return torch.cat(found).numpy()


# Batches


def test_rows_are_padded_to_the_longest_of_the_batch_and_no_further() -> None:
    batch = PaddingCollator(BatchFormat(9))([{"input_ids": [1, 2, 3], "labels": 1}, {"input_ids": [4], "labels": 0}])
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [1, 0]


def test_padding_has_no_label() -> None:
    batch = PaddingCollator(BatchFormat(0))(
        [{"input_ids": [1], "labels": [2]}, {"input_ids": [1, 1], "labels": [IGNORED, 0]}]
    )
    assert batch["labels"].tolist() == [[2, IGNORED], [IGNORED, 0]]


def test_rows_without_labels_give_a_batch_without() -> None:
    assert set(PaddingCollator(BatchFormat(0))([{"input_ids": [1]}])) == {"input_ids", "attention_mask"}


def test_rows_are_padded_on_the_side_and_to_the_multiple_that_the_model_asks_for() -> None:
    rows = [{"input_ids": [1, 2, 3], "labels": [0, 1, 2]}, {"input_ids": [4], "labels": [3]}]
    left = PaddingCollator(BatchFormat(9, padding_side="left"))(rows)
    assert left["input_ids"].tolist() == [[1, 2, 3], [9, 9, 4]]
    assert left["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert left["labels"].tolist() == [[0, 1, 2], [IGNORED, IGNORED, 3]]
    rounded = PaddingCollator(BatchFormat(9, length_multiple=4))(rows)
    assert rounded["input_ids"].tolist() == [[1, 2, 3, 9], [4, 9, 9, 9]]
    assert rounded["labels"].tolist() == [[0, 1, 2, IGNORED], [3, *[IGNORED] * 3]]


def test_the_format_of_a_model_comes_back_as_it_was_written(tmp_path: Path) -> None:
    format = BatchFormat(7, False, "left", 4, True)
    write_batch_format(tmp_path, format)
    assert read_batch_format(tmp_path) == format
    (tmp_path / "batch_format.json").write_text('{"padding": 3}', encoding="utf-8")
    with pytest.raises(ModelError, match="is damaged"):
        read_batch_format(tmp_path)


# Models


def test_a_new_model_knows_the_names_of_its_labels(tiny_model: Path) -> None:
    config = model_of("tokens", tiny_model).config
    assert config.id2label == dict(enumerate(NAMES["tokens"]))
    assert config.label2id == {name: code for code, name in enumerate(NAMES["tokens"])}


def test_the_seed_decides_the_heads_first_weights_and_nothing_else(tiny_model: Path) -> None:
    first, same, other = (model_of("text", tiny_model, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert {name for name in first if not torch.equal(first[name], other[name])} == {"classifier.weight"}


def test_a_saved_model_is_loaded_ready_to_predict(tiny_model: Path, tmp_path: Path) -> None:
    model = model_of("tokens", tiny_model)
    model.save_pretrained(tmp_path)
    loaded = trained_model(task_of("tokens"), tmp_path)
    assert not loaded.training
    weights = loaded.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())


def test_a_model_without_safetensors_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")  # it could run code when loaded
    with pytest.raises(ModelError, match=r"the model can't be loaded for task=text"):
        model_of("text", folder)


# Predictions


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_padded_batch_gives_each_row_what_it_gets_alone(family: str, kind: Kind, folders: dict[str, Path]) -> None:
    model, split = lively_model_of(kind, folders[family]), tokenized(kind, [9, 1, 30, 4, 4, 17])
    found = predict(model, split, PaddingCollator(BatchFormat(PAD)), batch_size=6, precision="fp32")
    expected = row_by_row(kind, model, split)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-4)
    apart = np.abs(expected[:, None] - expected).max(axis=-1) + np.eye(len(expected))
    assert apart.min() > 0.01  # a reading in the wrong place would show


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_size_of_a_batch_changes_neither_readings_nor_their_order(
    batch_size: int, kind: Kind, folders: dict[str, Path]
) -> None:
    model, split = lively_model_of(kind, folders["bert"]), tokenized(kind, [20, 3, 8, 1, 12, 5, 2])
    found = predict(model, split, PaddingCollator(BatchFormat(PAD)), batch_size=batch_size, precision="fp32")
    assert found == pytest.approx(row_by_row(kind, model, split), abs=1e-4)


def test_tokens_are_read_only_where_a_word_begins(folders: dict[str, Path]) -> None:
    split = tokenized("tokens", [5, 1, 4])
    found = predict(
        model_of("tokens", folders["bert"]), split, PaddingCollator(BatchFormat(PAD)), batch_size=2, precision="fp32"
    )
    assert found.shape == (3 + 1 + 2, 3)
    units = task_of("tokens").decode(split, found)
    assert units.example.tolist() == [0, 0, 0, 1, 2, 2]
    assert units.word.tolist() == [0, 1, 2, 0, 0, 1]


def test_predicting_switches_dropout_off_and_leaves_the_model_in_its_mode(folders: dict[str, Path]) -> None:
    model, split = lively_model_of("text", folders["bert"]), tokenized("text", [4, 7])
    model.train()
    first, second = (
        predict(model, split, PaddingCollator(BatchFormat(PAD)), batch_size=2, precision="fp32") for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert model.training
    model.eval()
    predict(model, split, PaddingCollator(BatchFormat(PAD)), batch_size=2, precision="fp32")
    assert not model.training


def test_bf16_gives_nearly_the_same_as_float32_numbers(folders: dict[str, Path]) -> None:
    model, split = lively_model_of("text", folders["bert"]), tokenized("text", [4, 7, 30])
    exact, rough = (
        predict(model, split, PaddingCollator(BatchFormat(PAD)), batch_size=3, precision=precision)
        for precision in ("fp32", "bf16")
    )
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < np.abs(exact).max() / 10


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_computes_in_fp32_what_the_encoder_gives_in_bf16(
    family: str, kind: Kind, folders: dict[str, Path]
) -> None:
    model, plain = (lively_model_of(kind, folders[family]).eval() for _ in range(2))
    compute_head_in_fp32(model)
    batch = {"input_ids": torch.arange(5, 17).view(2, 6), "attention_mask": torch.ones(2, 6, dtype=torch.long)}
    with torch.autocast("cpu", torch.bfloat16):
        logits, rough = model(**batch).logits, plain(**batch).logits.detach()
        assert torch.is_autocast_enabled("cpu")
    assert rough.dtype == torch.bfloat16 and logits.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())
    assert logits.detach().numpy() == pytest.approx(rough.float().numpy(), abs=0.05 * float(rough.abs().max()))
    logits.sum().backward()
    assert all(weight.grad is None or weight.grad.dtype == torch.float32 for weight in model.parameters())
    exact = model(**batch).logits
    assert torch.equal(exact, plain(**batch).logits)


def test_an_error_in_the_head_leaves_autocast_as_it_was(folders: dict[str, Path]) -> None:
    model = compute_head_in_fp32(model_of("tokens", folders["bert"]))
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(RuntimeError):
            model.get_submodule("classifier")(torch.ones(2, 1))
        assert torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_threads_that_predict_side_by_side_change_no_bit(
    family: str, kind: Kind, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, split = lively_model_of(kind, folders[family]), tokenized(kind, [*range(1, 31)] * 2)
    prepare(model, Use("prediction"))
    interval = sys.getswitchinterval()
    monkeypatch.setattr(prediction, "_MAX_SUBWORDS", 64)
    for precision in ("fp32", "bf16"):
        expected = predict(model, split, PaddingCollator(BatchFormat(PAD)), batch_size=100, precision=precision)
        torch.set_num_threads(4)
        sys.setswitchinterval(1e-6)  # they change within each layer
        try:
            found = predict(model, split, PaddingCollator(BatchFormat(PAD)), batch_size=100, precision=precision)
        finally:
            sys.setswitchinterval(interval)
        assert torch.get_num_threads() == 4
        torch.set_num_threads(1)
        assert np.array_equal(found, expected)


def test_no_rows_give_no_readings(folders: dict[str, Path]) -> None:
    model = model_of("text", folders["bert"])
    found = predict(model, tokenized("text", []), PaddingCollator(BatchFormat(PAD)), batch_size=2, precision="fp32")
    assert found.shape == (0, 3)


# The loss


def labelled(kind: Kind, rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of a batch; in tokens, a third of the labels is ignored."""
    generator = torch.Generator().manual_seed(seed)
    shape = (rows,) if kind == "text" else (rows, 7)
    logits = torch.randn(*shape, 3, generator=generator)
    labels = torch.randint(0, 3, shape, generator=generator)
    if kind == "tokens":
        labels[torch.rand(shape, generator=generator) < 1 / 3] = IGNORED
    return logits, labels


WEIGHTS = np.array([0.2, 1.0, 3.0], np.float32)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
def test_a_batch_computed_in_parts_has_the_loss_of_the_whole(
    label_smoothing: float, weights: NDArray[np.float32] | None, kind: Kind
) -> None:
    """Averaging the parts' averages would weigh a part with few labels as much as one with many."""
    loss, (logits, labels) = loss_function(task_of(kind), label_smoothing, weights), labelled(kind, 12)
    whole = loss(ModelOutput(logits=logits), labels, None)
    items = (labels != IGNORED).sum()
    parts = [loss(ModelOutput(logits=logits[part]), labels[part], items) for part in (slice(0, 5), slice(5, 12))]
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-6)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
def test_without_weights_the_loss_is_torchs_cross_entropy(label_smoothing: float, kind: Kind) -> None:
    logits, labels = labelled(kind, 6)
    found = loss_function(task_of(kind), label_smoothing, None)(ModelOutput(logits=logits), labels, None)
    expected = cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=label_smoothing)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("kind", NAMES)
def test_the_loss_is_the_models_own(kind: Kind, tiny_model: Path) -> None:
    model = lively_model_of(kind, tiny_model).eval()
    batch = PaddingCollator(BatchFormat(PAD))(list(tokenized(kind, [4, 9, 2]).select_columns(["input_ids", "labels"])))
    with torch.inference_mode():
        outputs = model(**batch)
    assert float(loss_function(task_of(kind), 0.0, None)(outputs, batch["labels"], None)) == pytest.approx(
        float(outputs.loss), rel=1e-5
    )


def test_weights_weigh_each_label_and_leave_the_number_of_labels_as_denominator() -> None:
    logits, labels = labelled("tokens", 6)
    found = loss_function(task_of("tokens"), 0.0, WEIGHTS)(ModelOutput(logits=logits), labels, None)
    kept = labels != IGNORED
    gold = labels[kept]
    log_probabilities = logits[kept].log_softmax(-1)[torch.arange(len(gold)), gold]
    assert float(found) == pytest.approx(
        float(-(torch.from_numpy(WEIGHTS)[gold] * log_probabilities).sum() / len(gold)), rel=1e-6
    )


def test_what_is_ignored_does_not_count() -> None:
    logits, labels = labelled("tokens", 6)
    other = logits.clone()
    other[labels == IGNORED] += 100 * torch.randn(other[labels == IGNORED].shape, generator=torch.Generator())
    first, second = (
        loss_function(task_of("tokens"), 0.1, WEIGHTS)(ModelOutput(logits=tensor), labels, None)
        for tensor in (logits, other)
    )
    assert torch.equal(first, second)


def test_the_loss_is_computed_in_float32() -> None:
    logits, labels = labelled("text", 6)
    found = loss_function(task_of("text"), 0.0, None)(ModelOutput(logits=logits.bfloat16()), labels, None)
    assert found.dtype == torch.float32


# Balanced weights


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_balanced_weights_are_scikit_learns(labels: list[int]) -> None:
    rows = len(labels)
    columns = {"example": range(rows), "subwords": [2] * rows, "input_ids": [[2, 3]] * rows, "labels": labels}
    names = ["a", "b", "c", "d"]
    train = tokenized_rows("text", names, columns)
    found = task_of("text").class_weights(train, names)
    present = sorted(set(labels))
    assert found[present] == pytest.approx(compute_class_weight("balanced", classes=np.array(present), y=labels))
    assert all(found[code] == 0 for code in range(4) if code not in present)


def test_balanced_weights_of_tokens_count_words_alone() -> None:
    train = tokenized("tokens", [1, 8, 4])  # the labels 0; 0, 1, 2, 0; 0, 1
    expected = compute_class_weight("balanced", classes=np.arange(3), y=[0, 0, 1, 2, 0, 0, 1])
    assert task_of("tokens").class_weights(train, NAMES["tokens"]) == pytest.approx(expected)


@given(st.lists(st.integers(1, 99), max_size=30), st.integers(1, 9), st.none() | st.integers(1, 400))
def test_batches_are_of_like_length_and_of_bounded_size(lengths: list[int], size: int, at_once: int | None) -> None:
    found = [batch.tolist() for batch in batches_by_length(np.array(lengths, np.int64), size, at_once)]
    order = [row for batch in found for row in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths, reverse=True)
    for batch in found:
        padded = len(batch) * lengths[batch[0]]
        assert padded <= size * max(lengths)
        assert len(batch) == 1 or at_once is None or padded <= at_once


def test_short_rows_share_a_batch_with_more_of_them() -> None:
    assert [len(batch) for batch in batches_by_length(np.array([8, 8, 4, 4, 4, 4, 1]), 2, None)] == [2, 4, 1]
