"""A stopped training goes on from its newest whole checkpoint, to the bytes that an undisturbed one writes."""

import signal

import pytest

from tests.trainings import Trainings, signal_at

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    return Trainings(tmp_path_factory.mktemp("resume"))


@pytest.fixture
def trainings(made: Trainings, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    monkeypatch.chdir(made.root)
    return made


RECIPES: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "plain": ((), (1, 5, 11, 12, 13, 30, 36)),
    "evaluate often": (("train.evaluate_every=5",), (4, 5, 6, 12, 20, 36)),
    "accumulate": (("train.gradient_accumulation=4", "train.evaluate_every=7"), (3, 7, 12, 25)),
    "stop early": (("train.evaluate_every=2", "train.early_stopping=3", "train.learning_rate=3e-2"), (3, 6, 8)),
    "steps": (("train.max_steps=20",), (12, 17, 20)),
}
"""Overrides, and the steps at each of which the training is stopped. Epochs have 12 steps."""


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_stopped_again_and_again_writes_the_bytes_of_an_undisturbed_one(
    name: str, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, stops = RECIPES[name]
    undisturbed = trainings.undisturbed(*recipe)
    if name == "stop early":
        assert stops[-1] < trainings.workspace.metrics("train")["steps"] < 36
    for step in stops:
        with monkeypatch.context() as patch:
            signal_at(patch, step)
            with pytest.raises(SystemExit) as stopped:
                trainings.train(*recipe)
        assert stopped.value.code == 128 + signal.SIGTERM
        assert trainings.checkpoints()[-1].name == f"step-{step:09d}"
    trainings.train(*recipe)
    assert trainings.result() == undisturbed
    assert not (trainings.root / ".checkpoints").exists()
