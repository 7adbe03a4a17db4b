"""A Trainer that validates with the prediction and scoring code of the evaluate stage, and keeps the best weights."""

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
    """The labels of train in their order, then any that only validation has."""
    batch_size: int
    precision: Precision


class ValidatingTrainer(Trainer):
    """A Trainer whose validation stitches windows, and scores examples or words instead of rows or sub-words."""

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
        """`layer_decay`: the learning rate of a layer, as a share of the rate of the layer above.

        `remake`: makes the model again as it was before training, not sharded, and with the same frozen weights.
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
        """The result of `use_packing`."""
        self.compilation: str | None = None
        """The result of `use_compilation`."""
        self.best: Best | None = None
        self.best_weights: dict[str, torch.Tensor] = {}
        """The trained weights at the best validation, in memory: on the disk, each better validation would have to write them."""

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the Trainer's own batches of equal row count, or with `train.batch_tokens` those of `TokenBatches`."""
        tokens = self.batching.tokens
        if tokens is None:
            return super().get_train_dataloader()
        arguments = self.args
        parts = PartsOfBatches(tokens, self.batching.parts, arguments.process_index, arguments.world_size)
        return EpochLoader(
            self.rows, batch_sampler=parts, collate_fn=self.data_collator, pin_memory=arguments.dataloader_pin_memory
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Return the Trainer's optimizer. With `train.layer_decay`, each layer has its own learning rate."""
        is_new = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if is_new and self._layer_decay < 1:
            decay_rates(optimizer, self.bare_model, self._layer_decay)
        return optimizer

    def restore_best(self) -> PreTrainedModel:
        """Return the model with the best weights. If the model is sharded, a new whole one is made."""
        model = self.bare_model
        if is_sharded(model):
            model = self._remake()
            model.config = self.bare_model.config  # the Trainer has changed it
        load_trained_state(model, self.best_weights)
        return model

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run the forward and backward pass of one part of a batch, and return its loss.

        Raises TrainingError if the loss is not finite, memory is full, or no layer gets a gradient.
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
        """Copy a batch to the device without waiting for the copy."""
        if isinstance(data, torch.Tensor):
            return on_device(data, self.args.device)
        return super()._prepare_input(data)

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> torch.Tensor | int | None:
        """Count the labels of a batch on the device: to copy a count from the host, the host would have to wait."""
        for part in batch_samples:
            part[LABELS] = on_device(part[LABELS], device)
        return super()._get_num_items_in_batch(batch_samples, device)

    def floating_point_ops(self, inputs: Batch) -> int:
        """Return 0. Nobody reads the sum, and the Trainer would go through the whole model for it at each step."""
        return 0

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """Return the norm of the gradients. On a CPU, AdamW's next step clips them (`clip_in_next_step`)."""
        optimizer = getattr(self.optimizer, "optimizer", None)
        if self.args.device.type != "cpu" or type(optimizer) is not AdamW or is_sharded(self.bare_model):
            return super()._clip_grad_norm(model)
        norm = gradient_norm(weight for group in optimizer.param_groups for weight in group["params"])
        clip_in_next_step(optimizer, norm, self.args.max_grad_norm)
        return norm

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score the validation split. Each process predicts a share of it, and all get the result."""
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
        """The model without the wrapper of distributed training."""
        model: PreTrainedModel = self.accelerator.unwrap_model(self.model)
        return model

    def require_finite(self) -> None:
        """Raise TrainingError if a loss since the last check, or a weight, is NaN or infinite."""
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
            forwards=self._largest_count if is_sharded(self.bare_model) else None,
        )
        return np.concatenate(gather_object([readings if len(share) else readings[:0]]))

    def _largest_count(self, count: int) -> int:
        """Return the maximum over all processes."""
        found: int = max(gather_object([count]))
        return found

    def _keep_if_best(self, value: float, scores: Scores) -> None:
        """Keep the weights if they score better than all before. The Trainer compares alike, for early stopping."""
        best = self.state.best_metric
        if best is not None and not (value > best if self.args.greater_is_better else value < best):
            return
        threshold = self._validation.task.chosen_threshold(scores)
        self.best = Best(self.state.global_step, scores.headline_json(), threshold)
        self.best_weights = self.gathered_weights()

    def gathered_weights(self) -> dict[str, torch.Tensor]:
        """Copy the trained weights to the memory of the main process. Others get none, but have to call this too."""
        weights, is_kept = gathered_trained_state(self.bare_model), self.args.should_save
        return {name: tensor.to("cpu", copy=True) for name, tensor in weights if is_kept}


def early_stopping(patience: int | None) -> list[TrainerCallback]:
    """Return the callback that ends training after `patience` validations without a better score; nothing if it is None."""
    return [] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)]
