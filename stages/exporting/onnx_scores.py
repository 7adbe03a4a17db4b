"""Score an ONNX model on a tokenized split with the code that scores a torch model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PretrainedConfig, PreTrainedModel

from stages.columns.arrays import integers
from stages.columns.names import EXAMPLE, label_names
from stages.exporting.onnx_model import session
from stages.modeling.batches import PaddingCollator
from stages.modeling.prediction import predict
from stages.tasks.task import Task

_BATCH = 32

Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Examples:
    """The examples that models are scored on, and the task that scores them."""

    split: Dataset
    task: Task
    collate: PaddingCollator


class OnnxModel(torch.nn.Module):
    """An ONNX model with the interface of a torch model."""

    def __init__(self, path: Path, config: PretrainedConfig) -> None:
        super().__init__()
        self.config = config
        self.device = torch.device("cpu")
        self._session = session(path)
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> SimpleNamespace:
        """Return the logits of a padded batch."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        arrays = {name: tensor.numpy() for name, tensor in given.items() if name in self._inputs and tensor is not None}
        (logits,) = self._session.run(["logits"], arrays)
        return SimpleNamespace(logits=torch.from_numpy(logits))


def onnx_scores(path: Path, config: PretrainedConfig, examples: Examples) -> Scores:
    """Return the headline scores of the model at `path`. `config` is the torch model's."""
    readings = onnx_readings(path, config, examples)
    task, split = examples.task, examples.split
    units = task.decode(split, readings)
    return task.score(units, task.tokenized_gold(split), label_names(split.features)).headline_json()


def onnx_readings(path: Path, config: PretrainedConfig, examples: Examples) -> NDArray[np.float32]:
    """Return the logits of the model at `path` as `predict` reads them."""
    model = cast(PreTrainedModel, OnnxModel(path, config))  # it has what `predict` uses of one
    return predict(model, examples.split, examples.collate, batch_size=_BATCH, precision="fp32")


def spread(split: Dataset, count: int) -> Dataset:
    """Return the rows of at most `count` examples, spread evenly over a tokenized split."""
    example = integers(split, EXAMPLE)
    each = np.unique(example)
    if len(each) <= count:
        return split
    chosen = each[np.linspace(0, len(each) - 1, count).round().astype(int)]
    return split.select(np.flatnonzero(np.isin(example, chosen)))
