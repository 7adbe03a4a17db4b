"""One side of the comparison, in its own process: so many steps, then the test split."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from ruamel.yaml import YAML
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from benchmarks.environment import recipe_environment
from benchmarks.machine import peak_memory, product_rate, wait_for
from benchmarks.recipe import recipe_readings, recipe_trainer
from stages.columns.arrays import lengths
from stages.columns.names import INPUT_IDS, label_names
from stages.configuration.schema import TrainStage
from stages.configuration.validation import select, validate
from stages.modeling.batch_format import read_batch_format
from stages.modeling.batches import PaddingCollator
from stages.modeling.compute import keep_freed_memory, use_tf32, use_threads
from stages.modeling.precision import device, resolved
from stages.modeling.prediction import predict
from stages.modeling.preparation import undo_for_saving
from stages.pipeline.arrow import load_split, load_splits
from stages.pipeline.paths import BASE_MODEL, TOKENIZED_DATA
from stages.tasks.registry import task_for
from stages.training.building import build_trainer
from stages.training.checkpoints import Checkpoints
from stages.training.interruption import Interruption

Side: TypeAlias = Literal["A", "B", "ours"]

_WARM_UP = 4
"""Steps at the beginning that are not counted."""
_FIRST_ROWS = 32
"""Rows that are predicted before the prediction that is counted."""

_SCORES = ("f1", "accuracy", "loss")


@dataclass(frozen=True)
class Run:
    """What one process trains."""

    side: Side
    steps: int = 0
    """Where it stops; 0: after all epochs. The schedule is that of all epochs."""
    epochs: float = 1.0
    seed: int = 42
    batch: int | None = None
    """Rows of a batch; None: as configured."""
    meeting: str | None = None
    """A folder where `together` processes wait for each other before the steps that are counted."""
    together: int = 1


@dataclass(frozen=True)
class Figures:
    """What one run of one side measured."""

    side: Side
    seed: int
    start: float
    """Seconds from the begin of its own work until its counted steps: reading, the model, trials on a GPU, the first steps."""
    step: float
    """Seconds an optimizer step, the mean over those counted."""
    epoch: float
    """Seconds an epoch: by its sub-words, since a sample of B's steps may hold rows that are longer than the others."""
    tokens: float
    """Sub-words a step, without padding, the mean over those counted."""
    padding: float
    """Sub-words with padding, over those without, as the batches have it."""
    predict: float
    """Seconds that predicting the test split takes."""
    peak: float
    """Memory, MB: of the GPU, or resident."""
    utilization: float
    """Floating-point operations that the sub-words need, a second, over those of a large product in the same precision."""
    scores: Mapping[str, float | None]
    """On the test split, after the steps trained."""


def start(run: Run, folder: Path) -> "subprocess.Popen[str]":
    """Start a process that measures a run in the folder."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"} if run.side == "ours" else recipe_environment()
    environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, "-m", "benchmarks.sides", json.dumps(asdict(run))]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment)


def figures_of(process: "subprocess.Popen[str]", timeout: float | None = None) -> Figures:
    """Return what a process has measured.

    Raises CalledProcessError if it failed, and TimeoutExpired, after killing it, if it takes longer than `timeout` seconds.
    """
    try:
        printed, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Figures(**json.loads(printed.splitlines()[-1]))


def measured(run: Run) -> Figures:
    """Train in the current folder, predict the test split, and say what that took."""
    side, began = run.side, time.perf_counter()
    config = _configuration(run)
    use_threads(config.threads)
    trainer = _our_trainer(config) if side == "ours" else recipe_trainer(config, side)
    clock = _timed(trainer, run)
    step = (clock.ended - clock.began) / clock.steps
    tokens, padding = _sizes(trainer, _WARM_UP, clock.steps)

    def readings_of(split: Dataset) -> NDArray[np.float32]:
        return _our_readings(trainer, config, split) if side == "ours" else recipe_readings(trainer, split)

    split = load_split(TOKENIZED_DATA, "test")
    readings_of(split.select(range(min(_FIRST_ROWS, split.num_rows))))  # what compiled layers do once is not counted
    started = time.perf_counter()
    readings = readings_of(split)
    predicted = time.perf_counter() - started
    is_bf16 = side == "B" or (side == "ours" and resolved(config.train.precision) == "bf16")
    rate = product_rate(torch.bfloat16 if is_bf16 else torch.float32, device())
    return Figures(
        side=side,
        seed=run.seed,
        start=clock.began - began,
        step=step,
        epoch=step / tokens * float(lengths(load_split(TOKENIZED_DATA, "train"), INPUT_IDS).sum()),
        tokens=tokens,
        padding=padding,
        predict=predicted,
        peak=peak_memory(device()),
        utilization=6 * _weights(trainer.model) * tokens / step / rate,
        scores=_scores(readings, split, config),
    )


def _configuration(run: Run) -> TrainStage:
    """The train stage's, without any validation between its steps."""
    params = validate(YAML(typ="safe").load(Path("params.yaml")), "params.yaml")
    config = select(params, TrainStage)
    batch = config.train.batch_size if run.batch is None else run.batch
    train = replace(config.train, epochs=run.epochs, batch_size=batch, evaluate_every=10**6)
    return replace(config, seed=run.seed, train=train)


def _our_trainer(config: TrainStage) -> Trainer:
    use_tf32()
    keep_freed_memory()
    return build_trainer(config, load_splits(TOKENIZED_DATA), Checkpoints(Path("checkpoints")), Interruption())


def _our_readings(trainer: Trainer, config: TrainStage, split: Dataset) -> NDArray[np.float32]:
    model = undo_for_saving(cast(PreTrainedModel, trainer.model))
    collate, size = PaddingCollator(read_batch_format(BASE_MODEL)), config.train.evaluation_batch_size
    return predict(model, split, collate, batch_size=size, precision=resolved(config.train.precision))


class _Clock(TrainerCallback):
    """Notes when the steps that are counted begin and end. Between them, the host does not wait for a GPU."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.began = self.ended = 0.0
        self.steps = 0

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        last = self.run.steps or state.max_steps
        if state.global_step == _WARM_UP:
            wait_for(device())
            if self.run.meeting is not None:
                _meet(Path(self.run.meeting), self.run.together)
            self.began = time.perf_counter()
        elif state.global_step == last:
            wait_for(device())
            self.ended = time.perf_counter()
            self.steps = last - _WARM_UP
            control.should_training_stop = True


def _meet(folder: Path, together: int) -> None:
    """Wait until so many processes are here."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < together:
        time.sleep(0.01)


def _timed(trainer: Trainer, run: Run) -> _Clock:
    """Train. Reading rows and collating belong to the steps that are counted."""
    clock = _Clock(run)
    trainer.add_callback(clock)
    no_validation = {f"eval_{trainer.args.metric_for_best_model}": 0.0}
    setattr(trainer, "evaluate", lambda *_, **__: no_validation)  # noqa: B010 (mypy lets no method be assigned)
    trainer.train()
    return clock


def _sizes(trainer: Trainer, first: int, steps: int) -> tuple[float, float]:
    """Sub-words a step without padding, and how many there are with it over those without; of the batches that were counted."""
    batches = zip(range(first + steps), trainer.get_train_dataloader(), strict=False)
    masks = [batch["attention_mask"] for number, batch in batches if number >= first]
    real, padded = (sum(sizes) for sizes in zip(*((int(mask.sum()), mask.numel()) for mask in masks), strict=True))
    return real / len(masks), padded / real


def _weights(model: Any) -> int:
    """Those that every sub-word is multiplied with."""
    return sum(weight.numel() for name, weight in model.named_parameters() if "embeddings" not in name)


def _scores(readings: NDArray[np.float32], split: Dataset, config: TrainStage) -> dict[str, float | None]:
    task = task_for(replace(config.task, decode="argmax"))  # as the recipe decodes
    units = task.decode(split, readings)
    found = task.score(units, task.tokenized_gold(split), label_names(split.features)).headline_json()
    return {name: found[name] for name in _SCORES if name in found}


if __name__ == "__main__":
    print(json.dumps(asdict(measured(Run(**json.loads(sys.argv[1]))))))
