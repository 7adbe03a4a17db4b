"""What can go wrong while training is told in one line, and leaves the outputs and the last good checkpoint as they were."""

import os
import resource
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from transformers import PreTrainedModel

from stages.modeling.batches import PaddingCollator, Row
from stages.pipeline.errors import DataError, OutputError, TrainingError
from stages.training.batching import TrainingRows
from stages.training.finite import LossWatch
from stages.training.resumable import ResumableTrainer
from stages.training.trainer import ValidatingTrainer
from tests.support.trainings import Trainings, before_step, save_after_each_step

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

SHORT = ("train.max_steps=12", "train.evaluate_every=4")


@pytest.fixture
def trainings(made: Trainings, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """With the outputs of a training that nothing disturbed."""
    monkeypatch.chdir(made.root)
    made.train(*SHORT)
    return made


def fails(trainings: Trainings, *overrides: str) -> str:
    """What a training says that fails, which must leave the outputs as they were."""
    before = trainings.result()
    with pytest.raises((TrainingError, DataError, OutputError)) as told:
        trainings.train(*SHORT, *overrides)
    assert trainings.result() == before
    return str(told.value)


def spoil_weights(monkeypatch: pytest.MonkeyPatch, step: int, value: float) -> None:
    compute = ResumableTrainer.training_step

    def spoiling(self: ResumableTrainer, *arguments: object) -> torch.Tensor:
        loss = compute(self, *arguments)  # type: ignore[arg-type]
        if self.state.global_step == step - 1:
            with torch.no_grad():
                self.bare_model.classifier.bias.grad.fill_(value)
        return loss

    monkeypatch.setattr(ResumableTrainer, "training_step", spoiling)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_told_at_its_step_with_its_examples(
    value: float, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        save_after_each_step(patch)
        seen: list[list[int]] = []
        compute = ValidatingTrainer.compute_loss

        def spoiled(self: ValidatingTrainer, *arguments: object, **named: object) -> torch.Tensor:
            loss: torch.Tensor = compute(self, *arguments, **named)  # type: ignore[arg-type]
            return loss * value if self.state.global_step == 5 else loss

        def noted(self: LossWatch, step: int, loss: torch.Tensor, examples: Sequence[int]) -> None:
            seen.append(list(examples))
            add(self, step, loss, examples)

        add = LossWatch.add
        patch.setattr(LossWatch, "add", noted)
        patch.setattr(ValidatingTrainer, "compute_loss", spoiled)
        told = fails(trainings)
    assert f"the loss is {value} at step 6" in told
    assert f"train examples {', '.join(map(str, seen[5]))};" in told and len(seen[5]) == 4
    assert "lower train.learning_rate" in told
    assert trainings.checkpoints()[-1].name == "step-000000005"
    before = trainings.result()
    trainings.train(*SHORT)
    assert trainings.result() == before


def test_a_weight_that_is_no_number_is_found_though_no_loss_shows_it(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step before a validation makes it so: no loss is computed with it."""
    spoil_weights(monkeypatch, 4, float("nan"))
    assert "is no longer finite after step 4" in fails(trainings)


def test_losses_on_a_gpu_are_looked_at_together_and_told_by_their_own_step() -> None:
    watch = LossWatch(torch.device("cuda"))
    for step in range(1, 16):
        watch.add(step, torch.tensor(float("inf") if step == 7 else 1.0), [step, 100 + step])
    with pytest.raises(TrainingError, match=r"loss is inf at step 7, of a batch with the train examples 7, 107;"):
        watch.add(16, torch.tensor(float("nan")), [16])
    watch.look()


def test_memory_that_does_not_suffice_is_told_with_the_setting_that_needs_less(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    def unallocatable(*_: object, **__: object) -> None:
        torch.empty(2**60)

    for raiser, where in ((full, "the GPU's memory is full"), (unallocatable, "train: memory is full")):
        with monkeypatch.context() as patch:
            patch.setattr(ValidatingTrainer, "compute_loss", raiser)
            told = fails(trainings)
            assert where in told and "train.gradient_accumulation=2" in told and "tokenize.max_length" in told
            assert "train.gradient_accumulation=4" in fails(trainings, "train.gradient_accumulation=2")
        with monkeypatch.context() as patch:
            patch.setattr("stages.training.trainer.predict", raiser)
            told = fails(trainings)
            assert where in told and "train.evaluation_batch_size" in told


def test_an_example_that_cannot_be_put_into_a_batch_is_named(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    collate, read = PaddingCollator.__call__, TrainingRows._read

    def refusing(self: PaddingCollator, batch: Sequence[Row]) -> object:
        if any(row.get("example") == 17 for row in batch):
            raise TypeError("input_ids is None")
        return collate(self, batch)

    def refusing_when_validating(self: PaddingCollator, batch: Sequence[Row]) -> object:
        if any(row["example"] == 5 and "labels" not in row for row in batch):
            raise ValueError("too many dimensions")
        return collate(self, batch)

    def unreadable(self: TrainingRows, numbers: Sequence[int]) -> object:
        if 23 in numbers:
            raise OSError("Input/output error")
        return read(self, numbers)

    with monkeypatch.context() as patch:
        patch.setattr(PaddingCollator, "__call__", refusing)
        told = fails(trainings)
        assert "train, example 17 can't be put into a batch (input_ids is None)" in told
    with monkeypatch.context() as patch:
        patch.setattr(PaddingCollator, "__call__", refusing_when_validating)
        assert "validation, example 5 can't be put into a batch (too many dimensions)" in fails(trainings)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRows, "_read", unreadable)
        assert "train, row 23 can't be read (Input/output error)" in fails(trainings)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Inside the block the system refuses to write more bytes into a file: the call fails as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [100, 50_000, 200_000])
def test_a_disk_too_full_for_checkpoints_costs_no_training(
    size: int, trainings: Trainings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Too full for anything; for the weights; for the optimizer's state, of two numbers a weight."""
    before = trainings.result()
    with monkeypatch.context() as patch:
        save_after_each_step(patch)
        patch.setattr(ResumableTrainer, "_write", files_up_to(size)(ResumableTrainer._write))
        trainings.train(*SHORT)
    assert trainings.result() == before
    assert [line.message for line in caplog.records if "a checkpoint could not be written (" in line.message][1:] == []
    assert "a checkpoint could not be written (" in caplog.text
    assert trainings.checkpoints() == []


def test_a_disk_too_full_for_the_model_is_told_and_leaves_the_outputs_as_they_were(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trainings.result()
    with monkeypatch.context() as patch:
        save_after_each_step(patch)
        patch.setattr(PreTrainedModel, "save_pretrained", files_up_to(50_000)(PreTrainedModel.save_pretrained))
        told = fails(trainings)
    assert told.startswith("models/trained: can't be written, ") and "run again" in told
    assert trainings.checkpoints()[-1].name == "step-000000012"
    trainings.train(*SHORT)
    assert trainings.result() == before


def test_a_failed_checkpoint_leaves_the_older_one_to_resume_from(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trainings.result()

    def full(folder: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        save_after_each_step(patch)
        before_step(patch, 6, lambda: patch.setattr("stages.training.checkpoints.write_manifest", full))
        before_step(patch, 9, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit):
            trainings.train(*SHORT)
    assert [folder.name for folder in trainings.checkpoints()] == ["step-000000004", "step-000000005"]
    trainings.train(*SHORT)
    assert trainings.result() == before


def test_a_signal_in_validation_waits_for_its_end(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = trainings.result()
    with monkeypatch.context() as patch:
        score = ValidatingTrainer._score
        patch.setattr(ValidatingTrainer, "_score", lambda self: (os.kill(os.getpid(), signal.SIGTERM), score(self))[1])
        with pytest.raises(SystemExit) as stopped:
            trainings.train(*SHORT)
    assert stopped.value.code == 143
    assert [folder.name for folder in trainings.checkpoints()] == ["step-000000004"]
    trainings.train(*SHORT)
    assert trainings.result() == before


def test_a_step_that_takes_too_long_is_not_waited_for(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = trainings.result()
    monkeypatch.setattr("stages.training.interruption.GRACE", 1)
    started = time.monotonic()
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stopped:
        before_step(patch, 6, lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(60)))
        trainings.train(*SHORT)
    assert stopped.value.code == 143
    assert time.monotonic() - started < 30
    assert trainings.checkpoints() == []
    assert trainings.result() == before


def test_a_signal_while_the_model_is_loaded_ends_the_stage_at_once(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trainings.result()
    monkeypatch.setattr("stages.training.building.new_model", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(SystemExit) as stopped:
        trainings.train(*SHORT)
    assert stopped.value.code == 130
    assert trainings.result() == before


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_says_in_one_line_that_it_was_stopped(
    signum: signal.Signals, status: int, trainings: Trainings
) -> None:
    trainings.forget()
    process = trainings.command("train.epochs=200")
    while process.poll() is None and not trainings.checkpoints():
        time.sleep(0.01)
    process.send_signal(signum)
    started = time.monotonic()
    _, told = process.communicate()
    assert process.returncode == status, told
    assert time.monotonic() - started < 30
    step = int(trainings.checkpoints()[-1].name.removeprefix("step-"))
    assert told == f"stopped by {signum.name} after step {step}; run the same command to continue from there\n"
