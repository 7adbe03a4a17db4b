"""Build the model that training starts from, and the trainer."""

from dataclasses import replace
from functools import partial

import numpy as np
from datasets import DatasetDict
from transformers import PreTrainedModel, set_seed

from stages.columns.arrays import flat
from stages.columns.names import INPUT_IDS, label_names
from stages.configuration.schema import TrainStage
from stages.modeling.batch_format import read_batch_format
from stages.modeling.batches import PaddingCollator
from stages.modeling.frozen import has_unused_weights
from stages.modeling.gpu.compiling import use_compilation
from stages.modeling.gpu.proof import use_packing
from stages.modeling.load import new_model
from stages.modeling.precision import usable_precision
from stages.modeling.prediction import longest_rows, rows_to_try
from stages.modeling.preparation import Use, prepare
from stages.modeling.sharding import is_sharded, shard
from stages.pipeline.paths import BASE_MODEL, BASE_WEIGHTS
from stages.pipeline.torchrun import is_main_process, world_size
from stages.tasks.registry import task_for
from stages.training.batching import batching
from stages.training.checkpoints import Checkpoints
from stages.training.interruption import Interruption
from stages.training.live_progress import live_progress
from stages.training.logged_steps import logged_steps
from stages.training.loss import loss_function
from stages.training.recipe import join_processes, training_arguments
from stages.training.resumable import ResumableTrainer
from stages.training.trainer import Validation, early_stopping


def training_model(config: TrainStage, splits: DatasetDict) -> PreTrainedModel:
    """Return the base model with the task's head, prepared to train and validate on the splits.

    The head is initialized from PyTorch's global generator.
    """
    names, padding = label_names(splits["train"].features), read_batch_format(BASE_MODEL).padding_id
    model = new_model(task_for(config.task), BASE_WEIGHTS, names, padding=padding)
    codes = [np.unique(flat(splits[name], INPUT_IDS)) for name in ("train", "validation")]
    occurring = np.unique(np.concatenate([*codes, [padding]]))
    return prepare(model, Use("training", occurring=occurring, recipe=config.train))


def build_trainer(
    config: TrainStage, splits: DatasetDict, checkpoints: Checkpoints, interruption: Interruption
) -> ResumableTrainer:
    """Return the trainer for the tokenized splits and the base model, with all generators seeded.

    Raises DataError if `task.metric` can't be computed for these labels, or `task.decode` needs a scheme that they are not in.
    """
    task, names = task_for(config.task, config.mode, config.scheme), label_names(splits["train"].features)
    task.require_metric(names)
    task = task.fitted_to(splits["train"])
    batches = batching(config, splits["train"])
    collate = PaddingCollator(read_batch_format(BASE_MODEL), partial(task.label_tensor, labels=len(names)))

    def whole_model() -> PreTrainedModel:
        set_seed(config.seed)
        return training_model(config, splits)

    join_processes(config)  # before, every process would use the first GPU
    model = whole_model()
    if config.train.sharding == "full":
        shard(model)
    longest = longest_rows(splits["train"], collate)
    precision = usable_precision(config.train.precision, model, longest, training=True)
    unused = world_size() > 1 and not is_sharded(model) and has_unused_weights(model, longest)
    recipe = replace(config.train, precision=precision)
    validated = splits["validation"]
    trainer = ResumableTrainer(
        checkpoints=checkpoints,
        interruption=interruption,
        model=model,
        arguments=training_arguments(recipe, batches, config.task, config.seed, checkpoints.partial, has_unused=unused),
        train=splits["train"],
        batching=batches,
        validation=Validation(
            validated, task, label_names(validated.features), recipe.evaluation_batch_size, precision
        ),
        collate=collate,
        loss=loss_function(
            task,
            config.train.label_smoothing,
            task.class_weights(splits["train"], names) if config.train.class_weights == "balanced" else None,
        ),
        layer_decay=config.train.layer_decay,
        remake=whole_model,
        callbacks=[
            *logged_steps(config.train.log_every),
            *early_stopping(config.train.early_stopping),
            *(live_progress() if is_main_process() else []),
        ],
    )
    tried = rows_to_try(splits["train"], collate)
    trainer.packing = use_packing(trainer.bare_model, tried, precision, training=True)
    trainer.compilation = use_compilation(
        trainer.bare_model,
        tried,
        precision,
        wanted=config.train.compile,
        packing=trainer.packing,
        steps=config.train.max_steps or round(config.train.epochs * splits["train"].num_rows / batches.rows),
    )
    return trainer
