"""Train: fine-tune the base model; the checkpoint that scores best on validation becomes the trained model."""

from stages.pipeline.stage import run_stage, tell_faults_early

if __name__ == "__main__":
    tell_faults_early()

import logging
import shutil
import time
from pathlib import Path

from transformers import set_seed

from stages.configuration.schema import TrainStage
from stages.modeling.batches import PaddingCollator
from stages.modeling.label_tensors import label_tensor
from stages.modeling.load import new_model
from stages.modeling.precision import resolved
from stages.pipeline.arrow import load_splits, rows
from stages.pipeline.json_files import Json, write_json
from stages.pipeline.outputs import whole_directory
from stages.pipeline.paths import (
    BASE_TOKENIZER,
    BASE_WEIGHTS,
    CHECKPOINTS,
    CURVES,
    LIVE_CURVES,
    TOKENIZED_DATA,
    TRAIN_METRICS,
    TRAINED_MODEL,
)
from stages.scoring.scores import MultiLabelScores, Scores
from stages.scoring.threshold import write_threshold
from stages.tasks.dispatch import task_for
from stages.tasks.subwords import padding_id
from stages.training.curves import CurvesCallback, FiniteLossCallback
from stages.training.loss import class_weights, loss_function
from stages.training.processes import is_main_process, start_under_torchrun_if_needed
from stages.training.recipe import training_arguments
from stages.training.trainer import ValidatingTrainer, Validation, early_stopping

log = logging.getLogger("stages.train")


def train(config: TrainStage) -> None:
    """Write `models/trained/`, `metrics/train.json` and the curves."""
    start_under_torchrun_if_needed(config.train.processes)
    if is_main_process():
        shutil.rmtree(CHECKPOINTS, ignore_errors=True)  # what a killed run has left
    trainer = build_trainer(config)
    started = time.perf_counter()
    trainer.train()
    log.info("trained %d steps in %.0f s", trainer.state.global_step, time.perf_counter() - started)
    if is_main_process():
        _write_model(trainer, TRAINED_MODEL)
        write_json(TRAIN_METRICS, _summary(trainer))
        with whole_directory(CURVES) as folder:
            shutil.copytree(LIVE_CURVES, folder, dirs_exist_ok=True)
        shutil.rmtree(CHECKPOINTS)


def build_trainer(config: TrainStage) -> ValidatingTrainer:
    """The trainer for the tokenized data and the base model, seeded."""
    splits = load_splits(TOKENIZED_DATA)
    target = config.task.target
    task = task_for(config.task.kind, target, config.task.pooling)
    names = task.label_names(splits["train"])
    padding = padding_id(BASE_TOKENIZER)
    set_seed(config.seed)
    return ValidatingTrainer(
        model=new_model(task.kind, BASE_WEIGHTS, names, target, padding=padding),
        arguments=training_arguments(config.train, config.task, config.seed, CHECKPOINTS),
        train=splits["train"],
        validation=Validation(
            splits["validation"], task, names, config.train.evaluation_batch_size, resolved(config.train.precision)
        ),
        collate=PaddingCollator(padding, label_tensor(target, len(names))),
        loss=loss_function(
            config.train.label_smoothing,
            class_weights(splits["train"], names, target) if config.train.class_weights == "balanced" else None,
            target,
        ),
        callbacks=[CurvesCallback(LIVE_CURVES), FiniteLossCallback(), *early_stopping(config.train.early_stopping)],
    )


def _write_model(trainer: ValidatingTrainer, path: Path) -> None:
    with whole_directory(path) as folder:
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
        for file in sorted(BASE_TOKENIZER.iterdir()):
            shutil.copyfile(file, folder / file.name)
        scores = _best_scores(trainer)
        if isinstance(scores, MultiLabelScores) and scores.threshold is not None:
            write_threshold(folder, scores.threshold)


def _best_step(trainer: ValidatingTrainer) -> int:
    return int(trainer.state.best_global_step or trainer.state.global_step)


def _best_scores(trainer: ValidatingTrainer) -> Scores:
    """The chosen checkpoint's validation scores."""
    return trainer.scores_by_step[_best_step(trainer)]


def _summary(trainer: ValidatingTrainer) -> Json:
    """The chosen checkpoint's validation scores. Nothing that a clock measured."""
    state = trainer.state
    return {
        "validation": _best_scores(trainer).headline_json(),
        "best_step": _best_step(trainer),
        "steps": state.global_step,
        "epochs": state.epoch,
        "rows": rows(trainer.train_dataset),
    }


if __name__ == "__main__":
    run_stage(train, TrainStage)
