"""What an ONNX model scores on a tokenized split, by the code that scores a torch model."""

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

from stages.exporting.onnx_model import session
from stages.modeling.batches import PaddingCollator
from stages.modeling.prediction import predict
from stages.tasks.columns.arrays import integers
from stages.tasks.columns.names import EXAMPLE, label_names
from stages.tasks.decoding.base import Decoding

_BATCH = 32

Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Examples:
    """What models are scored on, and how their logits are read."""

    split: Dataset
    decoding: Decoding
    collate: PaddingCollator


class OnnxModel(torch.nn.Module):
    """An ONNX model that is called as a torch model is."""

    def __init__(self, path: Path, config: PretrainedConfig) -> None:
        super().__init__()
        self.config = config
        self.device = torch.device("cpu")
        self._session = session(path)
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> SimpleNamespace:
        """The logits of a padded batch."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        arrays = {name: tensor.numpy() for name, tensor in given.items() if name in self._inputs and tensor is not None}
        (logits,) = self._session.run(["logits"], arrays)
        return SimpleNamespace(logits=torch.from_numpy(logits))


def onnx_scores(path: Path, config: PretrainedConfig, examples: Examples) -> Scores:
    """The headline scores of the model at `path`; `config` is that of the torch model."""
    readings = onnx_readings(path, config, examples)
    units = examples.decoding.decode(examples.split, readings)
    gold = examples.decoding.tokenized_gold(examples.split)
    return examples.decoding.score(units, gold, label_names(examples.split.features)).headline_json()


def onnx_readings(path: Path, config: PretrainedConfig, examples: Examples) -> NDArray[np.float32]:
    """Its logits as `predict` reads them."""
    model = cast(PreTrainedModel, OnnxModel(path, config))  # it has what `predict` uses of one
    return predict(model, examples.split, examples.collate, batch_size=_BATCH, precision="fp32")


def spread(split: Dataset, count: int) -> Dataset:
    """The rows of at most `count` examples, spread evenly over a tokenized split."""
    example = integers(split, EXAMPLE)
    each = np.unique(example)
    if len(each) <= count:
        return split
    chosen = each[np.linspace(0, len(each) - 1, count).round().astype(int)]
    return split.select(np.flatnonzero(np.isin(example, chosen)))
