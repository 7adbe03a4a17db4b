"""`auto`: the batch that fits into memory is found, told, recorded, and the same as if it had been set."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import BertForSequenceClassification, PreTrainedModel

from stages.modeling.load import new_model
from stages.pipeline.arrow import load_split
from stages.pipeline.errors import TrainingError
from stages.pipeline.paths import TOKENIZED_DATA
from stages.training import fitting, memory
from stages.training.fitting import fewest_parts, largest_batch
from stages.training.memory import fits_into_memory
from tests.support.tiny import write_tiny_model
from tests.support.tokenized import task_of
from tests.support.trainings import Trainings

SUB_WORDS = 700
"""What fits at once in these tests, on a device that raises a memory error for more."""


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Try as on a GPU, whose memory is full with more than `SUB_WORDS`; the sub-words of each attempt."""
    attempts: list[int] = []

    def forward(self: BertForSequenceClassification, **inputs: torch.Tensor) -> object:
        size = inputs["input_ids"].numel() if self.training else 0
        attempts.append(size)
        if size > SUB_WORDS:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return compute(self, **inputs)

    compute = BertForSequenceClassification.forward
    monkeypatch.setattr(BertForSequenceClassification, "forward", forward)
    monkeypatch.setattr(fitting, "fits_into_memory", lambda *given: memory._StepMemory(*given).fits_when_tried)
    return attempts


def fits(lengths: Sequence[int]) -> bool:
    return max(lengths) * len(lengths) <= SUB_WORDS


@pytest.mark.slow
def test_the_fewest_parts_that_fit_are_those_of_the_longest_rows(trainings: Trainings) -> None:
    split = load_split(TOKENIZED_DATA, "train")
    longest = max(len(row["input_ids"]) for row in split)
    assert 100 < longest <= 128
    of_parts = {12: 2, 16: 4, 7: 7, 6: 1, 48: 8}
    for size, parts in of_parts.items():
        config = trainings.config(f"train.batch_size={size}", "train.gradient_accumulation=auto")
        assert fewest_parts(config, split, fits) == parts, size
        assert fits([longest] * (size // parts))
    by_sub_words = trainings.config("train.batch_tokens=1500", "train.gradient_accumulation=auto")
    assert fewest_parts(by_sub_words, split, fits) == 4
    with pytest.raises(TrainingError, match=f"a single row of {longest} sub-words; lower tokenize.max_length"):
        fewest_parts(trainings.config("train.gradient_accumulation=auto"), split, lambda lengths: False)


@pytest.mark.slow
def test_the_largest_batch_that_fits_is_a_power_of_two_and_leaves_steps(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = load_split(TOKENIZED_DATA, "train")
    config = trainings.config("train.batch_size=auto")
    for steps, size in ((1, 4), (12, 4), (13, 2), (100, 1)):
        monkeypatch.setattr(fitting, "FEWEST_STEPS", steps)
        assert largest_batch(config, split, fits) == size
    monkeypatch.setattr(fitting, "FEWEST_STEPS", 1)
    accumulated = trainings.config("train.batch_size=auto", "train.gradient_accumulation=3")
    assert largest_batch(accumulated, split, fits) == 12
    with pytest.raises(TrainingError, match="a single row"):
        largest_batch(config, split, lambda lengths: False)


@pytest.mark.slow
def test_what_is_found_is_told_recorded_and_trains_to_the_bytes_of_the_number(
    trainings: Trainings, small_gpu: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stages")
    recipe = ("train.batch_size=16", "train.epochs=1", "threads=1")
    trainings.train(*recipe, "train.gradient_accumulation=auto")
    assert any(attempt > SUB_WORDS for attempt in small_gpu)
    assert "train.gradient_accumulation=auto: 4 fits into memory; set train.gradient_accumulation=4" in caplog.text
    found, summary = trainings.result(), trainings.workspace.metrics("train")
    assert (summary["batch_size"], summary["gradient_accumulation"], summary["steps"]) == (16, 4, 3)
    small_gpu.clear()
    trainings.train(*recipe, "train.gradient_accumulation=4")
    assert max(small_gpu) <= SUB_WORDS
    assert trainings.result() == found


@pytest.mark.slow
def test_a_batch_size_that_is_found_trains_to_the_bytes_of_the_number(
    trainings: Trainings, small_gpu: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "FEWEST_STEPS", 1)
    trainings.train("train.batch_size=auto", "train.epochs=1", "threads=1")
    found = trainings.result()
    assert trainings.workspace.metrics("train")["batch_size"] == 4
    assert 8 * 100 < max(small_gpu) <= 8 * 128
    trainings.train("train.batch_size=4", "train.epochs=1", "threads=1")
    assert trainings.result() == found


@pytest.mark.slow
def test_processes_agree_on_what_fits(trainings: Trainings) -> None:
    for found, recipe in (
        ("gradient_accumulation", "train.batch_size=12"),
        ("batch_size", "train.label_smoothing=0.1"),
    ):
        trainings.workspace.python(
            "stages.train", "train.processes=2", "train.epochs=1", recipe, f"train.{found}=auto", OMP_NUM_THREADS="1"
        )
        summary = trainings.workspace.metrics("train")
        expected = {"gradient_accumulation": (12, 1, 4), "batch_size": (2, 1, 24)}[found]
        assert (summary["batch_size"], summary["gradient_accumulation"], summary["steps"]) == expected


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    return new_model(task_of("text"), write_tiny_model(tmp_path_factory.mktemp("fits") / "model"), ["a", "b"])


def test_on_a_cpu_what_fits_follows_from_the_memory_that_is_left(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 100_000_000
    monkeypatch.setattr(memory, "memory_left", lambda: left)
    answer = fits_into_memory(model, "fp32", 5)
    most = max(rows for rows in range(1, 3000) if answer([60] * rows))
    assert 50 < most < 2500
    left = 200_000_000
    assert answer([60] * int(1.9 * most)) and not answer([60] * int(2.2 * most))
    assert answer([30] * int(3.8 * most))


def test_a_container_leaves_what_its_limit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CONTAINER_LIMIT", limit)
    free = memory.memory_left()
    limit.write_text("max\n")
    assert memory.memory_left() > free / 2
    limit.write_text("1\n")
    assert memory.memory_left() < 0


def test_what_an_attempt_has_taken_is_given_back_and_other_errors_are_raised(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = memory._StepMemory(model, "fp32", 5)
    assert trial.fits_when_tried([60, 20])
    assert all(weight.grad is None for weight in model.parameters())

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(PreTrainedModel, "__call__", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        trial.fits_when_tried([60, 20])
