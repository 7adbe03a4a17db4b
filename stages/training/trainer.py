"""The Trainer, validating with the same prediction and scoring code as the evaluate stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from accelerate.utils import gather_object
from datasets import Dataset
from numpy.typing import NDArray
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from stages.modeling.batches import PaddingCollator
from stages.modeling.inputs import input_columns
from stages.modeling.precision import Precision
from stages.modeling.prediction import predict
from stages.pipeline.arrow import rows
from stages.scoring.headline.scores import Scores
from stages.tasks.columns.names import LABELS
from stages.tasks.decoding.base import Decoding
from stages.training.loss import Loss

_NOT_DEFINED = -1.0
"""What a correlation that is not defined counts as where checkpoints are compared: as the worst there is."""


@dataclass(frozen=True)
class Validation:
    """How the validation split is predicted and scored."""

    split: Dataset
    decoding: Decoding
    names: Sequence[str]
    batch_size: int
    precision: Precision


class ValidatingTrainer(Trainer):
    """A Trainer whose evaluation stitches windows and scores examples or words, never rows or sub-words."""

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        train: Dataset,
        validation: Validation,
        collate: PaddingCollator,
        loss: Loss,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        """Everything that a training needs; nothing is taken from elsewhere."""
        super().__init__(
            model=model,
            args=arguments,
            data_collator=collate,
            train_dataset=train.select_columns([*input_columns(model, train), LABELS]),
            eval_dataset=validation.split,
            compute_loss_func=loss,
            callbacks=list(callbacks),
        )
        self._validation = validation
        self._collate = collate
        self.scores_by_step: dict[int, Scores] = {}

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score the validation split; every process predicts a share of it and all know the result."""
        scores = self._score()
        self.scores_by_step[self.state.global_step] = scores
        headline = scores.headline_json().items()
        self.log({f"eval_{name}": value for name, value in headline if value is not None})
        metrics = {f"eval_{name}": _NOT_DEFINED if value is None else value for name, value in headline}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _score(self) -> Scores:
        validation = self._validation
        decoding, split = validation.decoding, validation.split
        units = decoding.decode(split, self._predict_shared(split))
        return decoding.score(units, decoding.tokenized_gold(split), validation.names)

    def _predict_shared(self, split: Dataset) -> NDArray[np.float32]:
        share = np.array_split(np.arange(rows(split)), self.args.world_size)[self.args.process_index]
        readings = predict(
            self.accelerator.unwrap_model(self.model),
            split.select(share),
            self._collate,
            batch_size=self._validation.batch_size,
            precision=self._validation.precision,
        )
        return np.concatenate(gather_object([readings]))


def early_stopping(patience: int | None) -> list[TrainerCallback]:
    """The callback that ends training after `patience` evaluations without a better headline score, if wanted."""
    return [] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)]
