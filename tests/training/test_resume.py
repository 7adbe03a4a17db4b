"""A stopped training goes on from its newest whole checkpoint, to the bytes that an undisturbed one writes."""

import pickle
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from stages.training.checkpoints import FOLDER, training_key, write_manifest
from tests.support.damage import DAMAGES
from tests.support.trainings import FREQUENT, Trainings, kill_at_random, result, signal_at

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


RECIPES: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "plain": ((), (1, 5, 11, 12, 13, 30, 36)),
    "evaluate often": (("train.evaluate_every=5", "train.log_every=3"), (4, 5, 6, 12, 20, 36)),
    "accumulate": (("train.gradient_accumulation=4", "train.evaluate_every=7"), (3, 7, 12, 25)),
    "stop early": (("train.evaluate_every=2", "train.early_stopping=4", "train.learning_rate=3e-2"), (3, 6, 8)),
    "steps": (("train.max_steps=20",), (12, 17, 20)),
    "sub-words": (("train.batch_tokens=300", "train.gradient_accumulation=2"), (5, 13, 14, 15, 33, 42)),
}
"""Overrides, and the steps at each of which the training is stopped. Epochs have 12 steps, those of sub-words 14."""


def stop_at(trainings: Trainings, step: int, *recipe: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, step)
        with pytest.raises(SystemExit) as stopped:
            trainings.train(*recipe)
    assert stopped.value.code == 128 + signal.SIGTERM


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_stopped_again_and_again_writes_the_bytes_of_an_undisturbed_one(
    name: str, trainings: Trainings
) -> None:
    recipe, stops = RECIPES[name]
    undisturbed = trainings.undisturbed(*recipe)
    if name == "stop early":
        assert stops[-1] < trainings.workspace.metrics("train")["steps"] < 36
    for step in stops:
        stop_at(trainings, step, *recipe)
        assert trainings.checkpoints()[-1].name == f"step-{step:09d}"
    trainings.train(*recipe)
    assert trainings.result() == undisturbed
    assert not (trainings.root / ".checkpoints").exists()


def test_every_damage_to_every_file_leads_to_the_older_checkpoint_and_the_same_bytes(
    trainings: Trainings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "stages")
    recipe = ("train.max_steps=10", "train.evaluate_every=4")
    undisturbed = trainings.undisturbed(*recipe)
    for step in (6, 8):
        stop_at(trainings, step, *recipe)
    older, newer = trainings.checkpoints()
    kept = tmp_path / "kept"
    shutil.copytree(newer.parent, kept)
    names = sorted(file.name for file in newer.iterdir())
    assert len(names) == 8
    for name in names:
        for damage in DAMAGES:
            shutil.copytree(kept, newer.parent, dirs_exist_ok=True)
            damage(newer / name)
            caplog.clear()
            trainings.train(*recipe)
            told = " ".join(record.message for record in caplog.records)
            assert f"{newer.name} is not used: {name} is" in told
            assert f"{older.name}" in told.partition("resuming from")[2]
            assert trainings.result() == undisturbed, (name, damage)


def test_a_killed_training_goes_on_to_the_same_bytes(trainings: Trainings) -> None:
    """At random moments of training, and while a checkpoint is being written."""
    undisturbed = trainings.undisturbed()
    draw, in_writing = random.Random(5), 0
    for number in range(4):
        in_writing += kill_at_random(trainings, draw, in_writing=number % 2 == 0)
        trainings.train()
        assert trainings.result() == undisturbed
    assert in_writing >= 1


def test_a_training_killed_in_one_clone_goes_on_in_another_to_the_same_bytes(
    trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the task of a queue does whose folder DVC has removed, where a folder outside of it was chosen for checkpoints."""
    undisturbed = trainings.undisturbed()
    other = trainings.workspace.copy_to(tmp_path / "elsewhere" / "clone")
    chosen = tmp_path / "checkpoints"
    monkeypatch.setenv(FOLDER, str(chosen))
    process = trainings.command()
    while process.poll() is None and not any(folder.name > "step-000000014" for folder in chosen.glob("*/step-*")):
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert not (trainings.root / ".checkpoints").exists()
    for name in ("models/trained", "metrics/plots/curves"):
        shutil.rmtree(other.root / name)
    shown = other.python("stages.train", **FREQUENT)
    assert f"resuming from {chosen}" in shown
    assert result(other.root) == undisturbed
    assert not chosen.exists()


def test_several_processes_go_on_within_an_epoch_to_the_same_bytes(trainings: Trainings) -> None:
    shared = ("train.processes=2", "train.epochs=8")
    trainings.workspace.python("stages.train", *shared, **FREQUENT)
    undisturbed = trainings.result()
    process = trainings.command(*shared)
    while process.poll() is None and not any(folder.name > "step-000000016" for folder in trainings.checkpoints()):
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    assert process.returncode == 143, told
    assert 16 < int(trainings.checkpoints()[-1].name.removeprefix("step-")) < 96
    trainings.workspace.python("stages.train", *shared, **FREQUENT)
    assert trainings.result() == undisturbed


def test_a_training_takes_up_its_own_checkpoints_alone(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ("train.max_steps=8", "seed=7")
    undisturbed = trainings.undisturbed(*other)
    stop_at(trainings, 5, "train.max_steps=8")
    (kept,) = trainings.checkpoints()
    trainings.train(*other)
    assert trainings.result() == undisturbed
    assert trainings.checkpoints() == [kept]
    trainings.forget()

    key = training_key(trainings.config())
    assert training_key(trainings.config()) == key
    assert training_key(trainings.config("train.epochs=4")) != key
    for name in ("stages/training/loss.py", "data/tokenized/train/state.json", "models/base/weights/config.json"):
        with changed(trainings.root / name):
            assert training_key(trainings.config()) != key, name
    for name in ("stages/export.py", "README.md", "stages/modeling/cpu/README.md", "data/raw/train/state.json"):
        with changed(trainings.root / name):
            assert training_key(trainings.config()) == key, name
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    assert training_key(trainings.config()) != key


class _Payload:
    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (Path("was-run"),)


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_pickle_that_runs_code_is_not_loaded_even_if_the_manifest_names_it(name: str, trainings: Trainings) -> None:
    stop_at(trainings, 5, "train.max_steps=8")
    (checkpoint,) = trainings.checkpoints()
    torch.save({"state": _Payload()}, checkpoint / name)
    (checkpoint / "manifest.json").unlink()
    write_manifest(checkpoint)
    with pytest.raises(pickle.UnpicklingError, match="weights_only"):
        trainings.train("train.max_steps=8")
    assert not (trainings.root / "was-run").exists()
    trainings.forget()


@contextmanager
def changed(file: Path) -> Iterator[None]:
    before = file.read_bytes() if file.exists() else None
    file.write_bytes((before or b"") + b"\n")
    yield
    if before is None:
        file.unlink()
    else:
        file.write_bytes(before)
