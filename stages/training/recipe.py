"""The configured recipe as `TrainingArguments`."""

import sys
from pathlib import Path

from transformers import TrainingArguments

from stages.configuration.schema import TaskConfig, TrainConfig, TrainStage
from stages.modeling.precision import device, resolved
from stages.pipeline.torchrun import world_size
from stages.scoring.core.metrics import METRICS
from stages.training.batching import Batching

_OPTIMIZERS = {"adamw": "adamw_torch_fused", "adamw_8bit": "adamw_bnb_8bit"}
"""The Trainer's name of each optimizer."""


def training_arguments(
    train: TrainConfig, batching: Batching, task: TaskConfig, seed: int, written: Path, *, has_unused: bool = False
) -> TrainingArguments:
    """Return `TrainingArguments` for the recipe. `written`: the folder for checkpoints; a callback decides when one is written.

    `has_unused`: whether a step leaves trained weights without a gradient, for which distributed training would wait.
    """
    precision, on_cpu = resolved(train.precision), device().type == "cpu"
    strategy = "epoch" if train.evaluate_every is None else "steps"
    arguments = TrainingArguments(
        output_dir=str(written),
        num_train_epochs=train.epochs,
        max_steps=train.max_steps or -1,
        per_device_train_batch_size=batching.rows_at_once,
        gradient_accumulation_steps=batching.parts,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.schedule,
        warmup_steps=train.warmup,  # below 1 the Trainer takes it as a share of all steps
        weight_decay=train.weight_decay,
        optim=_OPTIMIZERS[train.optimizer],
        max_grad_norm=train.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        ddp_backend="gloo" if on_cpu and world_size() > 1 else None,
        ddp_find_unused_parameters=has_unused,
        # sharded gradients are exchanged after each part: else they would be held whole until the last part
        accelerator_config={
            "gradient_accumulation_kwargs": {"sync_each_batch": train.sharding == "full"},
            "non_blocking": not on_cpu,
        },
        eval_strategy=strategy,
        eval_steps=train.evaluate_every,
        save_strategy="no",
        logging_strategy=strategy,
        logging_steps=train.evaluate_every or 0,
        logging_nan_inf_filter=False,  # it would log a loss that is not a number as 0
        metric_for_best_model=task.metric,
        greater_is_better=METRICS[task.metric].higher_is_better,
        restore_callback_states_from_checkpoint=True,  # early stopping goes on counting
        seed=seed,
        remove_unused_columns=False,
        disable_tqdm=not sys.stderr.isatty(),
        report_to="none",
    )
    # otherwise the Trainer's DataParallel would multiply the batch by the number of GPUs
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def join_processes(config: TrainStage) -> None:
    """Initialize the process group, and choose this process's device, as `TrainingArguments` does."""
    arguments = training_arguments(config.train, Batching(world_size(), 1), config.task, config.seed, Path())
    assert arguments.device is not None
