"""One side of the comparison, in its own process: so many steps, then the test split."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from ruamel.yaml import YAML
from transformers import PreTrainedModel, Trainer, TrainerCallback

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

_SCORES = ("f1", "accuracy", "loss")


@dataclass(frozen=True)
class Figures:
    """What one run of one side measured."""

    side: Side
    seed: int
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


def measured(side: Side, steps: int, epochs: float, seed: int) -> Figures:
    """Train in the current folder, predict the test split, and say what that took."""
    config = _configuration(steps, epochs, seed)
    use_threads(config.threads)
    trainer = _our_trainer(config) if side == "ours" else recipe_trainer(config, side)
    seconds = _timed(trainer)[_WARM_UP - 1 :]
    step = statistics.fmean(seconds)
    tokens, padding = _sizes(trainer, _WARM_UP, len(seconds))
    split = load_split(TOKENIZED_DATA, "test")
    started = time.perf_counter()
    readings = _our_readings(trainer, config, split) if side == "ours" else recipe_readings(trainer, split)
    predicted = time.perf_counter() - started
    is_bf16 = side == "B" or (side == "ours" and resolved(config.train.precision) == "bf16")
    rate = product_rate(torch.bfloat16 if is_bf16 else torch.float32, device())
    return Figures(
        side=side,
        seed=seed,
        step=step,
        epoch=step / tokens * float(lengths(load_split(TOKENIZED_DATA, "train"), INPUT_IDS).sum()),
        tokens=tokens,
        padding=padding,
        predict=predicted,
        peak=peak_memory(device()),
        utilization=6 * _weights(trainer.model) * tokens / step / rate,
        scores=_scores(readings, split, config),
    )


def _configuration(steps: int, epochs: float, seed: int) -> TrainStage:
    """The train stage's, without any validation between its steps."""
    params = validate(YAML(typ="safe").load(Path("params.yaml")), "params.yaml")
    config = select(params, TrainStage)
    train = replace(config.train, epochs=epochs, max_steps=steps or None, evaluate_every=10**6)
    return replace(config, seed=seed, train=train)


def _our_trainer(config: TrainStage) -> Trainer:
    use_tf32()
    keep_freed_memory()
    return build_trainer(config, load_splits(TOKENIZED_DATA), Checkpoints(Path("checkpoints")), Interruption())


def _our_readings(trainer: Trainer, config: TrainStage, split: Dataset) -> NDArray[np.float32]:
    model = undo_for_saving(cast(PreTrainedModel, trainer.model))
    collate, size = PaddingCollator(read_batch_format(BASE_MODEL)), config.train.evaluation_batch_size
    return predict(model, split, collate, batch_size=size, precision=resolved(config.train.precision))


class _Clock(TrainerCallback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        wait_for(device())
        self.ends.append(time.perf_counter())


def _timed(trainer: Trainer) -> list[float]:
    """The seconds of each step but the first, from the end of the one before: reading rows and collating belong to it."""
    clock = _Clock()
    trainer.add_callback(clock)
    no_validation = {f"eval_{trainer.args.metric_for_best_model}": 0.0}
    setattr(trainer, "evaluate", lambda *_, **__: no_validation)  # noqa: B010 (mypy lets no method be assigned)
    trainer.train()
    return list(np.diff(clock.ends))


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
