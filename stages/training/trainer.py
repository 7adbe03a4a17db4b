"""The Trainer, validating with the same prediction and scoring code as the evaluate stage, and keeping the best weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn
from torch.optim import AdamW
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from stages.columns.names import EXAMPLE, LABELS
from stages.modeling.batches import PaddingCollator, eos_errors
from stages.modeling.cpu.gradients import clip_in_next_step, gradient_norm
from stages.modeling.frozen import gathered_trained_state, load_trained_state, parameter_counts, require_gradients
from stages.modeling.precision import Precision
from stages.modeling.prediction import predict
from stages.modeling.sharding import is_sharded
from stages.modeling.transfer import on_device, use_host_mask
from stages.pipeline.arrow import rows
from stages.scoring.core.metrics import METRICS
from stages.scoring.core.scores import Scores
from stages.tasks.task import Task
from stages.training.batching import (
    HOST_MASK,
    Batch,
    Batching,
    EpochLoader,
    HostMask,
    PartsOfBatches,
    TrainingCollator,
    TrainingRows,
)
from stages.training.finite import LossWatch, require_finite_scores, require_finite_weights
from stages.training.layer_rates import decay_rates
from stages.training.loss import Loss
from stages.training.memory import FOR_VALIDATION, for_steps, memory_errors
from stages.training.progress import Best


@dataclass(frozen=True)
class Validation:
    """How the validation split is predicted and scored."""

    split: Dataset
    task: Task
    names: Sequence[str]
    """The labels of the split: those of train, in its order, and then any that only validation has."""
    batch_size: int
    precision: Precision


class ValidatingTrainer(Trainer):
    """A Trainer whose evaluation stitches windows and scores examples or words, never rows or sub-words."""

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        train: Dataset,
        batching: Batching,
        validation: Validation,
        collate: PaddingCollator,
        loss: Loss,
        layer_decay: float,
        remake: Callable[[], PreTrainedModel],
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        """Everything that a training needs; nothing is taken from elsewhere.

        `layer_decay`: the learning rate of a layer, as a share of that of the layer above. `remake`: makes the model anew, as it
        was before training, whole and with the same frozen weights.
        """
        self.rows = TrainingRows(train, [*collate.format.columns(train), LABELS])
        super().__init__(
            model=model,
            args=arguments,
            data_collator=TrainingCollator(collate, keeps_mask=arguments.device.type == "cuda"),
            train_dataset=self.rows,
            eval_dataset=validation.split,
            compute_loss_func=loss,
            callbacks=list(callbacks),
        )
        self.batching = batching
        self.task, self.precision = validation.task, validation.precision
        self.batch_format = collate.format
        self._validation = validation
        self._collate = collate
        self._layer_decay = layer_decay
        self._remake = remake
        self.parameters = parameter_counts(model)
        self._losses = LossWatch(self.args.device)
        self.packing: str | None = None
        """On a GPU, what the trial of packed rows has found."""
        self.compilation: str | None = None
        """On a GPU, what the trial of compiled layers has found."""
        self.best: Best | None = None
        self.best_weights: dict[str, torch.Tensor] = {}
        """The trained weights that scored best, in memory: on the disk they would have to be written at each better score."""

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The training rows in batches: the Trainer's own batches of so many rows, or ours of so many sub-words."""
        tokens = self.batching.tokens
        if tokens is None:
            return super().get_train_dataloader()
        arguments = self.args
        parts = PartsOfBatches(tokens, self.batching.parts, arguments.process_index, arguments.world_size)
        return EpochLoader(
            self.rows, batch_sampler=parts, collate_fn=self.data_collator, pin_memory=arguments.dataloader_pin_memory
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The Trainer's optimizer, with a learning rate for each layer where they differ."""
        is_new = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if is_new and self._layer_decay < 1:
            decay_rates(optimizer, self.bare_model, self._layer_decay)
        return optimizer

    def restore_best(self) -> PreTrainedModel:
        """Give the model the weights that scored best, and return it; a new one where the processes share the model."""
        model = self.bare_model
        if is_sharded(model):
            model = self._remake()
            model.config = self.bare_model.config  # which the Trainer has changed
        load_trained_state(model, self.best_weights)
        return model

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> torch.Tensor:
        """One part of a batch, forward and backward.

        Raises TrainingError if the loss is no number, memory is full, or no layer gets a gradient.
        """
        examples = inputs.pop(EXAMPLE)
        advice = for_steps(self.args.gradient_accumulation_steps)
        known: HostMask | None = inputs.pop(HOST_MASK, None)
        mask = None if known is None else known.mask
        with memory_errors(advice), eos_errors("train", lambda: examples), use_host_mask(mask):
            loss = super().training_step(model, inputs, num_items_in_batch)
        self._losses.add(self.state.global_step + 1, loss, examples)
        if self.state.global_step == 0:
            require_gradients(self.bare_model)
        return loss

    def _prepare_input(self, data: Any) -> Any:
        """Copy a batch to the device; the host does not wait for the copy."""
        if isinstance(data, torch.Tensor):
            return on_device(data, self.args.device)
        return super()._prepare_input(data)

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> torch.Tensor | int | None:
        """The labels of a batch, counted where they are computed with: a count made on the host would be waited for."""
        for part in batch_samples:
            part[LABELS] = on_device(part[LABELS], device)
        return super()._get_num_items_in_batch(batch_samples, device)

    def floating_point_ops(self, inputs: Batch) -> int:
        """0, not counted: nobody asks for the sum, and the Trainer would walk through the whole model for it at each step."""
        return 0

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """The norm of the gradients, which are clipped on the way to the next step."""
        optimizer = getattr(self.optimizer, "optimizer", None)
        if self.args.device.type != "cpu" or type(optimizer) is not AdamW or is_sharded(self.bare_model):
            return super()._clip_grad_norm(model)
        norm = gradient_norm(weight for group in optimizer.param_groups for weight in group["params"])
        clip_in_next_step(optimizer, norm, self.args.max_grad_norm)
        return norm

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score the validation split; every process predicts a share of it and all know the result."""
        self.require_finite()
        with memory_errors(FOR_VALIDATION):
            scores = self._score()
        headline = scores.headline_json()
        require_finite_scores(headline, self.state.global_step)
        self.log({f"eval_{name}": value for name, value in headline.items() if value is not None})
        metrics = {
            f"eval_{name}": METRICS[name].worst() if value is None else value for name, value in headline.items()
        }
        self._keep_if_best(metrics[f"eval_{self.args.metric_for_best_model}"], scores)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @property
    def bare_model(self) -> PreTrainedModel:
        """The model without what it is wrapped in to train in several processes."""
        model: PreTrainedModel = self.accelerator.unwrap_model(self.model)
        return model

    def require_finite(self) -> None:
        """Raise TrainingError if a loss since the last look, or a weight, is NaN or infinite."""
        self._losses.look()
        require_finite_weights(self.bare_model, self.state.global_step)

    def _score(self) -> Scores:
        validation = self._validation
        task, split = validation.task, validation.split
        units = task.decode(split, self._predict_shared(split))
        return task.score(units, task.tokenized_gold(split), validation.names)

    def _predict_shared(self, split: Dataset) -> NDArray[np.float32]:
        share = np.array_split(np.arange(rows(split)), self.args.world_size)[self.args.process_index]
        readings = predict(
            self.bare_model,
            split.select(share if len(share) else [0]),
            self._collate,
            batch_size=self._validation.batch_size,
            precision=self._validation.precision,
            forwards=self._most if is_sharded(self.bare_model) else None,
        )
        return np.concatenate(gather_object([readings if len(share) else readings[:0]]))

    def _most(self, count: int) -> int:
        """Return the largest count of all processes."""
        found: int = max(gather_object([count]))
        return found

    def _keep_if_best(self, value: float, scores: Scores) -> None:
        """The Trainer compares scores in the same way, after `evaluate`, and notes the best one for early stopping."""
        best = self.state.best_metric
        if best is not None and not (value > best if self.args.greater_is_better else value < best):
            return
        threshold = self._validation.task.chosen_threshold(scores)
        self.best = Best(self.state.global_step, scores.headline_json(), threshold)
        self.best_weights = self.gathered_weights()

    def gathered_weights(self) -> dict[str, torch.Tensor]:
        """Copy the trained weights to the main process's memory; the others get none. All processes have to call this."""
        weights, is_kept = gathered_trained_state(self.bare_model), self.args.should_save
        return {name: tensor.to("cpu", copy=True) for name, tensor in weights if is_kept}


def early_stopping(patience: int | None) -> list[TrainerCallback]:
    """The callback that ends training after `patience` evaluations without a better headline score, if wanted."""
    return [] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)]
