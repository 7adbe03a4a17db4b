"""Train: fine-tune the base model; the weights that score best on validation become the trained model."""

from stages.pipeline.stage import run_stage, tell_faults_early

if __name__ == "__main__":
    tell_faults_early()

import logging
import shutil
import time
from pathlib import Path

import numpy as np
from datasets import DatasetDict
from numpy.typing import NDArray
from transformers import set_seed

from stages.configuration.schema import TrainStage
from stages.modeling.batches import PaddingCollator
from stages.modeling.compute import keep_freed_memory, use_deterministic_algorithms, use_tf32, use_threads
from stages.modeling.label_tensors import label_tensor
from stages.modeling.load import new_model
from stages.modeling.packing import compute_without_padding
from stages.modeling.padding import padding_id
from stages.modeling.precision import compute_head_in_fp32, device_name, resolved
from stages.pipeline.arrow import load_splits
from stages.pipeline.environment import Compute
from stages.pipeline.json_files import Json, write_json
from stages.pipeline.outputs import whole_directory
from stages.pipeline.paths import (
    BASE_TOKENIZER,
    BASE_WEIGHTS,
    CHECKPOINTS,
    CURVES,
    TOKENIZED_DATA,
    TRAIN_METRICS,
    TRAINED_MODEL,
)
from stages.pipeline.ranks import is_main_process
from stages.scoring.headline.threshold import write_threshold
from stages.tasks.columns.arrays import flat
from stages.tasks.columns.names import INPUT_IDS, label_names
from stages.tasks.decoding.dispatch import decoding_for
from stages.training.batching import batching
from stages.training.checkpoints import Checkpoints
from stages.training.curves import write_curves
from stages.training.fitting import without_auto
from stages.training.interruption import Interruption
from stages.training.loss import class_weights, loss_function
from stages.training.memory import FOR_TRAINING, memory_or
from stages.training.processes import ending_at_once, part, start_under_torchrun_if_needed
from stages.training.progress import Best
from stages.training.recipe import training_arguments
from stages.training.resumable import ResumableTrainer
from stages.training.trainer import Validation, early_stopping
from stages.training.training_key import training_key
from stages.training.vocabulary import keep_occurring, restore_all

log = logging.getLogger("stages.train")


def train(config: TrainStage) -> Compute:
    """Write `models/trained/`, `metrics/train.json` and the curves."""
    start_under_torchrun_if_needed(config.train.processes)
    interruption = Interruption()
    with interruption.listening(), memory_or(FOR_TRAINING):
        use_threads(config.threads)
        use_tf32()
        use_deterministic_algorithms(config.train.deterministic)
        config = without_auto(config)
        keep_freed_memory()
        checkpoints = Checkpoints(CHECKPOINTS / training_key(config))
        trainer = build_trainer(config, checkpoints, interruption)
        started = time.perf_counter()
        trainer.run()
        log.info("trained to step %d in %.1f s", trainer.state.global_step, time.perf_counter() - started)
        if is_main_process():
            _write_model(trainer, TRAINED_MODEL)
            write_json(TRAIN_METRICS, _summary(trainer))
            with whole_directory(CURVES) as folder:
                write_curves(folder, trainer.state.log_history)
            checkpoints.remove()
        part()
    return Compute(device_name(), resolved(config.train.precision), config.threads)


def build_trainer(config: TrainStage, checkpoints: Checkpoints, interruption: Interruption) -> ResumableTrainer:
    """The trainer for the tokenized data and the base model, seeded."""
    splits = load_splits(TOKENIZED_DATA)
    target = config.task.target
    decoding = decoding_for(config.task.kind, target, config.task.pooling)
    names = label_names(splits["train"].features)
    padding, batches = padding_id(BASE_TOKENIZER), batching(config, splits["train"])
    set_seed(config.seed)
    model = compute_head_in_fp32(new_model(config.task.kind, BASE_WEIGHTS, names, target, padding=padding))
    return ResumableTrainer(
        checkpoints=checkpoints,
        interruption=interruption,
        model=compute_without_padding(keep_occurring(model, _occurring_sub_words(splits, padding))),
        arguments=training_arguments(config.train, batches, config.task, config.seed, checkpoints.partial),
        train=splits["train"],
        batching=batches,
        validation=Validation(
            splits["validation"], decoding, names, config.train.evaluation_batch_size, resolved(config.train.precision)
        ),
        collate=PaddingCollator(padding, label_tensor(target, len(names))),
        loss=loss_function(
            config.train.label_smoothing,
            class_weights(splits["train"], names, target) if config.train.class_weights == "balanced" else None,
            target,
        ),
        callbacks=early_stopping(config.train.early_stopping),
    )


def _occurring_sub_words(splits: DatasetDict, padding: int) -> NDArray[np.int64]:
    """The codes that training or validation looks up, sorted."""
    codes = [flat(splits[name], INPUT_IDS) for name in ("train", "validation")]
    return np.unique(np.concatenate([*map(np.unique, codes), [padding]]))


def _write_model(trainer: ResumableTrainer, path: Path) -> None:
    """The best weights, with the tokenizer."""
    best = _best(trainer)
    trainer.bare_model.load_state_dict(trainer.best_weights)
    restore_all(trainer.bare_model)
    with whole_directory(path) as folder:
        trainer.bare_model.save_pretrained(folder)
        for file in sorted(BASE_TOKENIZER.iterdir()):
            shutil.copyfile(file, folder / file.name)
        if best.threshold is not None:
            write_threshold(folder, best.threshold)


def _best(trainer: ResumableTrainer) -> Best:
    assert trainer.best is not None, "training ends with a validation"
    return trainer.best


def _summary(trainer: ResumableTrainer) -> Json:
    """The best weights' validation scores. Nothing that a clock measured."""
    best, state = _best(trainer), trainer.state
    return {
        "validation": best.scores,
        "best_step": best.step,
        "steps": state.global_step,
        "epochs": state.epoch,
        "rows": len(trainer.rows),
        "batch_size": trainer.batching.rows,
        "gradient_accumulation": trainer.batching.parts,
    }


if __name__ == "__main__":
    with ending_at_once():
        run_stage(train, TrainStage)
