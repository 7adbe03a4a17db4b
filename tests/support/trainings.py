"""Trainings of a tiny model, some of them stopped on the way."""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest
import torch

from stages.configuration.composition import compose_params
from stages.configuration.schema import TrainStage
from stages.configuration.validation import StageConfig, select, validate
from stages.train import train
from stages.training.checkpoints import SECONDS
from stages.training.resumable import ResumableTrainer
from tests.support.tiny import write_tiny_model
from tests.support.workspace import Workspace

SMALL = [
    "model=files", "data.train=48", "data.validation=16", "data.test=16",
    "train.batch_size=4", "train.epochs=3", "train.learning_rate=3e-3", "task.metric=loss",
]  # fmt: skip
"""Three epochs of twelve steps."""

OUTPUTS = ("models/trained", "metrics/train.json", "metrics/plots/curves")


FREQUENT = {SECONDS: "0", "OMP_NUM_THREADS": "1"}
"""The environment of a command that writes checkpoints as often as can be."""


class Trainings:
    """A workspace with tokenized data and a tiny model that has dropout, and what a test does in it."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.workspace = Workspace(folder / "clone")
        self.root = self.workspace.root
        self._overrides = [*SMALL, f"model.path={write_tiny_model(folder / 'model')}", *overrides]
        self.workspace.python("stages.configuration.compose", *self._overrides)
        self.workspace.python("stages.download")
        self.workspace.python("stages.tokenize")

    def train(self, *overrides: str) -> None:
        """Run the stage in this process, which must be in the workspace's folder and has imported the Trainer already."""
        train(self.config(*overrides))

    def config(self, *overrides: str) -> TrainStage:
        """The stage's configuration."""
        return self.config_of(TrainStage, *overrides)

    def config_of(self, stage: type[StageConfig], *overrides: str) -> StageConfig:
        """That of a stage, by its dataclass."""
        return select(validate(compose_params([*self._overrides, *overrides]), "test"), stage)

    def start(self, *overrides: str) -> ForkServerProcess:
        """Run the stage in a process of its own, which starts at once: its parent has imported the Trainer. Checkpoints
        follow each step."""
        process = _context().Process(target=_train_in, args=(self, overrides))
        process.start()
        return process

    def command(self, *overrides: str) -> subprocess.Popen[str]:
        """Start the stage as DVC does. Checkpoints follow each step."""
        return subprocess.Popen(
            [sys.executable, "-m", "stages.train", *overrides], cwd=self.root, env={**os.environ, **FREQUENT},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def result(self) -> dict[str, bytes]:
        """The stage's outputs, byte by byte."""
        return result(self.root)

    def undisturbed(self, *overrides: str) -> dict[str, bytes]:
        """The outputs of a training that nothing stops."""
        self.train(*overrides)
        return self.result()

    def is_writing(self) -> bool:
        """Whether a checkpoint is, or when its training was killed was, half-written."""
        return bool(self._in_checkpoints("*/.partial/checkpoint-*"))

    def forget(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.root / ".checkpoints", ignore_errors=True)

    def checkpoints(self) -> list[Path]:
        """Those that are there, from old to new; none if the training is just removing them."""
        return self._in_checkpoints("*/step-*")

    def _in_checkpoints(self, pattern: str) -> list[Path]:
        try:
            return sorted((self.root / ".checkpoints").glob(pattern))
        except FileNotFoundError:  # pathlib's own, where a folder goes while it looks
            return []


def result(root: Path) -> dict[str, bytes]:
    """The train stage's outputs in a workspace, byte by byte."""
    files = [file for output in OUTPUTS for file in [root / output, *(root / output).rglob("*")]]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files if file.is_file()}


def kill_at_random(trainings: Trainings, draw: random.Random, *, in_writing: bool) -> bool:
    """Start a training and kill it in some step; `in_writing`: as soon as a checkpoint is being written in it.

    Returns whether it was killed while it wrote one.
    """
    process = trainings.start()
    _wait_for_step(process, trainings, draw.randrange(1, 34))
    if in_writing:
        _wait(process, trainings.is_writing)
    time.sleep(draw.uniform(0, 0.01))
    process.kill()
    process.join()
    return trainings.is_writing()


def terminate_at_random(trainings: Trainings, draw: random.Random) -> tuple[int | None, float]:
    """Start a training and send it SIGTERM in some step, or as the model is loaded; exit status, and seconds to it."""
    process = trainings.start()
    _wait(process, lambda: any((trainings.root / ".checkpoints").glob("*")))
    _wait_for_step(process, trainings, draw.randrange(34))
    time.sleep(draw.uniform(0, 0.05))
    started = time.monotonic()
    process.terminate()
    process.join()
    return process.exitcode, time.monotonic() - started


def _wait_for_step(process: ForkServerProcess, trainings: Trainings, step: int) -> None:
    _wait(process, lambda: step == 0 or any(folder.name >= f"step-{step:09d}" for folder in trainings.checkpoints()))


def _wait(process: ForkServerProcess, condition: Callable[[], bool]) -> None:
    while process.is_alive() and not condition():
        time.sleep(0.0005)


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["stages.train", "tests.support.trainings"])
    return context


def _train_in(trainings: Trainings, overrides: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    os.chdir(trainings.root)
    os.environ.update(FREQUENT)
    trainings.train(*overrides)


def signal_at(monkeypatch: pytest.MonkeyPatch, step: int, signum: int = signal.SIGTERM) -> None:
    """Send this process a signal while it computes a step, counted from 1."""
    before_step(monkeypatch, step, lambda: os.kill(os.getpid(), signum))


def before_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> None:
    """Do something just before a step is computed."""
    compute = ResumableTrainer.training_step

    def step_with_act(self: ResumableTrainer, *arguments: object) -> object:
        if self.state.global_step == step - 1:
            act()
        return compute(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ResumableTrainer, "training_step", step_with_act)


def save_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write checkpoints as often as can be."""
    monkeypatch.setenv(SECONDS, "0")
