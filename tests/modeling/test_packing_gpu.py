"""Packed rows on a GPU, as far as a CPU can tell: kernels that a test brings take the place of the GPU's.

The choice of a kernel is a function; the operators' arguments and shapes are those of PyTorch's own meta tensors. What only a
GPU can tell, `make check-gpu` asks there.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.utils import send_to_device
from datasets import Dataset, Features, List, Value
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel, Trainer

from benchmarks.row_kernels import mixing_rows, of_kernel, reference, without_window
from stages.modeling import preparation
from stages.modeling.batch_format import BatchFormat
from stages.modeling.batches import Batch, PaddingCollator
from stages.modeling.cpu.packed_rows import PackedRows
from stages.modeling.cpu.packing import PACKED_FAMILIES
from stages.modeling.gpu.kernels import Bounds, Need, efficient, flash, flex, kernel_for, varlen
from stages.modeling.gpu.packing import pack_rows_on_gpu
from stages.modeling.gpu.proof import packed_if_proven
from stages.modeling.precision import preserved_rng_state
from stages.modeling.prediction import predict, rows_to_try
from stages.modeling.transfer import fetched, on_host, use_host_mask
from stages.pipeline.json_files import read_json
from stages.training import building, trainer
from stages.training.batching import HOST_MASK, HostMask, TrainingCollator
from tests.support.tiny_batches import HEADS, PAD, batch_of, logits_of, model_of
from tests.support.trainings import Trainings

LENGTHS = (7, 3, 20, 20, 100, 4, 1)

pytestmark = pytest.mark.usefixtures("one_thread")


def logits_and_gradients(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    model.zero_grad()
    logits = logits_of(model, batch)
    torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    found = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
    return logits.detach(), torch.cat(found)


@pytest.mark.parametrize("lengths", [LENGTHS, (9,), (5, 27)], ids=str)
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_bounds_give_the_logits_and_gradients_of_the_padded_batch(
    family: str, kind: str, lengths: Sequence[int]
) -> None:
    model, batch = model_of(family, kind), batch_of(lengths)
    expected, gradients = logits_and_gradients(model, batch)
    packed = pack_rows_on_gpu(model, of_kernel(reference))
    found, of_packed = logits_and_gradients(model, batch)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert torch.allclose(of_packed, gradients, rtol=1e-3, atol=1e-5 * float(gradients.abs().max()))
    packed.take_back()
    again, of_again = logits_and_gradients(model, batch)
    assert torch.equal(again, expected) and torch.equal(of_again, gradients)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_a_right_kernel_is_used_and_one_that_mixes_rows_is_found(family: str, kind: str, precision: Any) -> None:
    model, batch = model_of(family, kind, rate=0.1), batch_of(LENGTHS)
    if precision == "bf16":
        with torch.no_grad():  # weights as small as a real model's: with steep scores any rounding error grows
            for weight in model.parameters():
                weight.div_(8 if weight.dim() > 1 else 1)
    state = torch.get_rng_state()
    told = packed_if_proven(model, batch, precision, training=True, kernels=of_kernel(mixing_rows))
    assert told.startswith("padded: without padding, ") and model.config._attn_implementation == "sdpa"
    told = packed_if_proven(model, batch, precision, training=True, kernels=of_kernel(reference))
    assert told == "packed (flash)" and model.config._attn_implementation != "sdpa"
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("training", [False, True])
def test_a_kernel_that_forgets_the_window_is_found(training: bool) -> None:
    model, batch = model_of("modernbert", "tokens"), batch_of(LENGTHS)
    told = packed_if_proven(model, batch, "fp32", training=training, kernels=of_kernel(without_window))
    assert told.startswith("padded: without padding, logits differs from")


def test_a_kernel_whose_gradient_alone_is_wrong_is_found() -> None:
    def wrong(query: torch.Tensor, key: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        right = reference(query, key, *rest, **named)
        other = reference(query, 1.5 * key, *rest, **named)
        return right.detach() + other - other.detach()

    model, batch = model_of("bert", "tokens"), batch_of(LENGTHS)
    told = packed_if_proven(model, batch, "fp32", training=True, kernels=of_kernel(wrong))
    assert told.startswith("padded: without padding, the gradient of ")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", HEADS)
def test_rows_that_see_each_other_a_little_are_found_in_prediction(kind: str, precision: Any) -> None:
    """Too little for logits in bf16, so that only the logits of another row's change tell."""

    def leaking(*states: Any, **named: Any) -> torch.Tensor:
        return reference(*states, **named).lerp(mixing_rows(*states, **named), 0.03)

    model, batch = model_of("bert", kind), batch_of(LENGTHS)
    told = packed_if_proven(model, batch, precision, training=False, kernels=of_kernel(leaking))
    assert told.startswith("padded: without padding, ")
    if precision == "bf16":
        assert told.endswith("a row's logits change when another row does")


def test_the_log_says_why_padding_is_computed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    batch = batch_of(LENGTHS)
    model = model_of("bert", "text")
    none = replace(of_kernel(reference), choose=lambda need: (None, "the GPU is too old"))
    assert packed_if_proven(model, batch, "fp32", training=True, kernels=none) == "padded: the GPU is too old"
    assert "bert: padding is computed on the GPU (the GPU is too old)" in caplog.text
    other = model_of("gpt2", "text")
    assert packed_if_proven(other, batch, "fp32", training=True).endswith("not for gpt2")
    assert packed_if_proven(model, {}, "fp32", training=True).endswith("no row to try it on")


@pytest.mark.parametrize(
    "error", [RuntimeError("no kernel image\nmore"), torch.OutOfMemoryError("full"), ImportError("full")]
)
def test_a_kernel_that_fails_leaves_the_model_padded(error: Exception) -> None:
    def failing(*_: Any, **__: Any) -> torch.Tensor:
        raise error

    model, batch = model_of("bert", "text"), batch_of(LENGTHS)
    expected = logits_of(model.eval(), batch)
    told = packed_if_proven(model, batch, "fp32", training=True, kernels=of_kernel(failing))
    assert told in ("padded: no kernel image", "padded: full")
    assert torch.equal(logits_of(model, batch), expected)


@pytest.mark.parametrize("fits", [7, 4, 2, 1])
def test_a_trial_that_does_not_fit_takes_fewer_rows(fits: int) -> None:
    tried: list[int] = []

    def small(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: Bounds, **named: Any
    ) -> torch.Tensor:
        rows = sum(length in LENGTHS for length in bounds.keys)
        tried.append(rows)
        if rows > fits:
            raise torch.OutOfMemoryError("full")
        return reference(query, key, value, bounds, **named)

    model, batch = model_of("bert", "tokens"), batch_of(LENGTHS)
    told = packed_if_proven(model, batch, "fp32", training=True, kernels=of_kernel(small))
    assert told == ("padded: full" if fits == 1 else "packed (flash)")
    assert list(dict.fromkeys(tried)) == [rows for rows in (7, 4, 2) if rows >= fits]
    assert (model.config._attn_implementation == "sdpa") == (fits == 1) and model.training


def test_a_kernel_that_fails_at_dropout_alone_is_not_used_in_training() -> None:
    def failing(*states: Any, dropout: float, **named: Any) -> torch.Tensor:
        if dropout:
            raise RuntimeError("built without dropout")
        return reference(*states, dropout=0.0, **named)

    def without_numbers(*states: Any, dropout: float, **named: Any) -> torch.Tensor:
        return reference(*states, dropout=0.0, **named) / (0.0 if dropout else 1.0)

    batch = batch_of(LENGTHS)
    for kernel, said in ((failing, "built without dropout"), (without_numbers, "numbers that are not finite")):
        model = model_of("bert", "text", rate=0.1)
        told = packed_if_proven(model, batch, "fp32", training=True, kernels=of_kernel(kernel))
        assert told.startswith("padded: ") and told.endswith(said)
        assert model.training and model.config._attn_implementation == "sdpa"
        told = packed_if_proven(model, batch, "fp32", training=False, kernels=of_kernel(kernel))
        assert told == "packed (flash)", "prediction drops nothing"


@given(
    st.builds(
        Need,
        width=st.sampled_from([8, 30, 32, 64, 128, 200, 256, 512]),
        dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
        is_differentiated=st.booleans(),
        drops=st.booleans(),
        window=st.sampled_from([None, 64]),
        is_deterministic=st.booleans(),
    ),
    st.sampled_from([None, (6, 1), (7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)]),
)
def test_a_kernel_is_chosen_only_where_it_can_do_it(need: Need, capability: tuple[int, int] | None) -> None:
    name, reason = kernel_for(need, capability)
    assert (name is None) == bool(reason)
    if name is None:
        return
    assert capability is not None and capability >= (7, 0)
    assert need.dtype != torch.bfloat16 or capability >= (8, 0)
    assert not (need.drops and name in ("varlen", "flex"))
    assert not (need.window and name == "efficient") and not (need.is_deterministic and name == "efficient")
    if name in ("flash", "varlen"):
        assert need.dtype != torch.float32 and capability >= (8, 0) and need.width <= 256


def test_the_usual_models_get_flash_attention() -> None:
    usual = Need(width=64, dtype=torch.bfloat16, is_differentiated=True, drops=True, window=None)
    for capability in ((8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)):
        assert kernel_for(usual, capability) == ("flash", "")
        assert kernel_for(replace(usual, drops=False, window=64), capability) == ("varlen", "")
    assert kernel_for(replace(usual, dtype=torch.float32), (8, 0)) == ("efficient", "")
    assert kernel_for(replace(usual, dtype=torch.float16), (7, 5)) == ("efficient", "")
    assert kernel_for(replace(usual, dtype=torch.float32, drops=False, window=64), (9, 0)) == ("flex", "")
    assert kernel_for(replace(usual, dtype=torch.float32, window=64), (9, 0)) == (
        None,
        "no kernel drops attention weights in heads of 64, float32, a window of 64",
    )


@pytest.mark.parametrize("width", [16, 30])
@pytest.mark.parametrize("queries", [(4, 6, 3), (1, 1, 4)], ids=["all", "first"])
@pytest.mark.parametrize("name", ["flash", "varlen", "efficient"])
def test_the_operators_take_what_they_are_given(name: Any, queries: tuple[int, ...], width: int) -> None:
    """On meta tensors, for which PyTorch has the operators' shapes and gradients, and no kernel."""
    kernel = {"flash": flash, "varlen": varlen, "efficient": efficient}[name]
    device, keys = torch.device("meta"), (4, 6, 3)
    states = [
        torch.empty(count, 2, width, dtype=torch.bfloat16, device=device, requires_grad=True)
        for count in (sum(queries), sum(keys), sum(keys))
    ]
    window = None if name == "efficient" or queries != keys else 3
    dropout = 0.0 if name == "varlen" else 0.1
    found = kernel(*states, Bounds(queries, keys, device), scale=0.5, dropout=dropout, window=window)
    assert found.shape == states[0].shape and found.dtype == torch.bfloat16
    if name == "efficient":
        assert found.requires_grad  # PyTorch's meta function for the gradient has a fault of its own
        return
    found.sum().backward()
    assert all(each.grad is not None and each.grad.shape == each.shape for each in states)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("window", [None, 3])
def test_flex_attention_attends_within_rows_and_window(window: int | None) -> None:
    torch.manual_seed(0)
    bounds = Bounds((4, 90, 37), (4, 90, 37), torch.device("cpu"))
    states = [torch.randn(131, 2, 16) for _ in range(3)]
    found = flex(*states, bounds, scale=0.25, dropout=0.0, window=window)
    expected = reference(*states, bounds, scale=0.25, dropout=0.0, window=window)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_takes_fewer_queries_than_keys() -> None:
    torch.manual_seed(0)
    bounds = Bounds((1, 1, 30), (4, 90, 37), torch.device("cpu"))
    states = [torch.randn(count, 2, 16) for count in (32, 131, 131)]
    found = flex(*states, bounds, scale=0.25, dropout=0.0, window=None)
    assert torch.allclose(found, reference(*states, bounds, scale=0.25, dropout=0.0, window=None), atol=1e-5)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.data())
def test_starts_and_rows_are_those_of_the_lengths(keys: list[int], data: st.DataObject) -> None:
    queries = tuple(data.draw(st.integers(1, length)) for length in keys)
    bounds = Bounds(queries, tuple(keys), torch.device("cpu"))
    for lengths, starts, rows in (
        (queries, bounds.query_starts, bounds.query_rows),
        (keys, bounds.key_starts, bounds.key_rows),
    ):
        assert starts.dtype == torch.int32 and starts[0] == 0 and starts.diff().tolist() == list(lengths)
        assert rows.tolist() == [number for number, length in enumerate(lengths) for _ in range(length)]


def test_the_mask_is_read_on_the_host_alone() -> None:
    """A meta tensor can't be read at all, as a GPU's can't without waiting for it."""
    known = torch.tensor([[1, 1, 0], [1, 1, 1]])
    batch, mask = torch.empty(2, 3, 4, device="meta"), torch.empty(2, 3, device="meta")
    with use_host_mask(known):
        rows = PackedRows.of(batch, mask)
        assert on_host(torch.zeros(2, 3)).sum() == 0, "a mask on the host is known as it is"
    assert rows.lengths == (2, 3) and rows.padded_index.device.type == "meta"
    with pytest.raises(NotImplementedError), use_host_mask(known):
        PackedRows.of(torch.empty(2, 4, 4, device="meta"), torch.empty(2, 4, device="meta"))
    with pytest.raises(NotImplementedError):
        PackedRows.of(batch, mask)


def test_dropout_is_handed_to_the_kernel_in_training_alone() -> None:
    seen: list[tuple[float, bool]] = []

    def noting(*args: Any, dropout: float, **named: Any) -> torch.Tensor:
        seen.append((dropout, torch.is_grad_enabled()))
        return reference(*args, dropout=dropout, **named)

    model, batch = model_of("bert", "tokens", rate=0.3), batch_of((4, 9))
    asked: list[Need] = []
    kernels = of_kernel(noting)
    chosen = kernels.choose
    pack_rows_on_gpu(model, replace(kernels, choose=lambda need: asked.append(need) or chosen(need)))  # type: ignore[func-returns-value]
    logits_of(model, batch)
    with torch.no_grad():
        logits_of(model.eval(), batch)
    assert seen == [(0.3, True)] * 3 + [(0.0, False)] * 3
    assert [need.drops for need in asked] == [True, False], "one choice for training, one for prediction"


def split_of(lengths: Sequence[int], kind: str = "text") -> Dataset:
    """A tokenized split of rows of these lengths, numbered from 5 on."""
    numbers = List(Value("int32"))
    rows = {"input_ids": [list(range(5, 5 + length)) for length in lengths], "example": list(range(len(lengths)))}
    features = {"input_ids": numbers, "example": Value("int64")}
    if kind == "tokens":
        rows["words"] = [[0] * length for length in lengths]
        features["words"] = numbers
    return Dataset.from_dict(rows, Features(features))


@given(st.lists(st.integers(2, 60), min_size=0, max_size=30))
def test_rows_that_are_tried_differ_in_length(lengths: list[int]) -> None:
    batch = rows_to_try(split_of(lengths), PaddingCollator(BatchFormat(PAD)))()
    if not lengths:
        assert batch == {}
        return
    found = batch["attention_mask"].sum(dim=1).tolist()
    longest = max(lengths)
    assert found[0] == longest and min(lengths) in found
    assert -(-longest // 2) in found and -(-longest // 3) in found
    assert len(found) <= 10


@pytest.mark.parametrize("kind", HEADS)
def test_a_split_is_predicted_as_with_padding(kind: str) -> None:
    split, collate = split_of((12, 3, 50, 7, 30), kind), PaddingCollator(BatchFormat(PAD))
    model = model_of("bert", kind).eval()
    expected = predict(model, split, collate, batch_size=2, precision="fp32")
    told = packed_if_proven(model, rows_to_try(split, collate)(), "fp32", training=False, kernels=of_kernel(reference))
    assert told == "packed (flash)"
    found = predict(model, split, collate, batch_size=2, precision="fp32")
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max()) and not np.array_equal(found, 0 * found)


def test_a_training_batch_keeps_its_mask_on_the_host() -> None:
    """As accelerate's loader and PyTorch's pinning treat it."""
    rows = [{"input_ids": [5, 6, 7], "example": 0}, {"input_ids": [8], "example": 1}]
    collate = PaddingCollator(BatchFormat(PAD))
    assert HOST_MASK not in TrainingCollator(collate)(rows)
    moved = send_to_device(TrainingCollator(collate, keeps_mask=True)(rows), "meta", non_blocking=True)
    assert moved["input_ids"].device.type == moved["attention_mask"].device.type == "meta"
    kept = moved[HOST_MASK]
    assert isinstance(kept, HostMask) and kept.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert not hasattr(kept, "pin_memory") and not isinstance(kept, (Mapping, Sequence))


@pytest.mark.slow
def test_a_training_proves_packing_and_records_it(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU with its own packing left out, and a kernel of the test in place of the GPU's."""
    told: list[str] = []
    sizes: list[int] = []

    def noting(query: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        sizes.append(len(query))
        return reference(query, *rest, **named)

    def proven(model: PreTrainedModel, batch: Callable[[], Batch], precision: Any, *, training: bool) -> None:
        told.append(packed_if_proven(model, batch(), precision, training=training, kernels=of_kernel(noting)))
        sizes.clear()

    steps = [step for step in preparation.STEPS if step.name != "packed rows"]
    monkeypatch.setattr(preparation, "STEPS", steps)
    arguments = ("threads=1", "train.epochs=1", "train.precision=fp32")
    trainings.train(*arguments)
    padded = read_json(Path("metrics/train.json"))["validation"]
    monkeypatch.setattr(building, "use_packing", proven)
    trainings.train(*arguments)
    assert told == ["packed (flash)"] and sizes
    found = read_json(Path("metrics/train.json"))["validation"]
    assert found["loss"] == pytest.approx(padded["loss"], rel=0.1), "dropout draws other numbers"


def test_the_model_is_made_after_the_process_knows_its_gpu(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(building, "join_processes", lambda _: order.append("joined"))

    def made(*_: object) -> PreTrainedModel:
        order.append("made")
        raise InterruptedError

    monkeypatch.setattr(building, "training_model", made)
    with pytest.raises(InterruptedError):
        trainings.train("threads=1")
    assert order == ["joined", "made"]


@pytest.mark.parametrize("batches", [(), ("train.batch_tokens=600",)], ids=["rows", "sub-words"])
def test_labels_are_on_the_device_when_they_are_counted(
    batches: tuple[str, ...], trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count made on the host would be copied, and the host would wait for all steps before."""
    placed: list[torch.Tensor] = []
    counted: list[torch.Tensor] = []
    count = Trainer._get_num_items_in_batch

    def on_device(tensor: torch.Tensor, _: torch.device) -> torch.Tensor:
        placed.append(tensor.clone())
        return placed[-1]

    def noting(self: Trainer, parts: list[Batch], device: torch.device) -> Any:
        counted.extend(part["labels"] for part in parts)
        return count(self, parts, device)

    monkeypatch.setattr(trainer, "on_device", on_device)
    monkeypatch.setattr(Trainer, "_get_num_items_in_batch", noting)
    trainings.train("threads=1", "train.max_steps=2", *batches)
    assert counted and all(any(each is other for other in placed) for each in counted)


def test_a_trial_keeps_the_random_state_of_its_own_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda place: ("state", place))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, place: told.append((state, place)))
    with preserved_rng_state():
        assert told == []
    assert told == [(("state", 2), 2)]


class Stream:
    """The work that a GPU was asked for, done in order when somebody waits for it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.done = 0

    def ask(self, work: str) -> int:
        """Return how much has to be done until this is."""
        self.asked.append(work)
        return len(self.asked)


class Event:
    """The place in the stream of this test where it was recorded."""

    stream: Stream

    def record(self, _: object) -> None:
        """All that was asked for."""
        self.place = len(self.stream.asked)

    def synchronize(self) -> None:
        """Wait until it is done."""
        self.stream.done = max(self.stream.done, self.place)


class OnGpu:
    """A result on a GPU."""

    device = torch.device("cuda")

    def __init__(self, number: int, stream: Stream) -> None:
        self.number, self.stream = number, stream
        stream.ask(f"compute {number}")

    def to(self, device: str, *, non_blocking: bool) -> int:
        """Ask for a copy."""
        assert device == "cpu" and non_blocking
        self.stream.ask(f"copy {self.number}")
        return self.number


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_results_are_copied_from_a_gpu_while_it_computes_the_next_ones(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream()
    monkeypatch.setattr(torch.cuda, "Event", type("Event", (Event,), {"stream": stream}))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: stream)
    found = []
    for number in fetched(OnGpu(number, stream) for number in range(count)):  # type: ignore[misc]
        found.append(number)
        assert stream.asked[: stream.done][-1] == f"copy {number}", "it waited for what comes after"
        assert len(stream.asked) == 2 * min(count, len(found) + 2), "the next two were not asked for"
    assert found == [*range(count)]


def test_results_on_the_host_do_not_wait() -> None:
    asked = iter([torch.tensor([1.0]), torch.tensor([2.0])])
    assert next(fetched(asked)).item() == 1.0 and next(asked).item() == 2.0
