"""Models with random weights for a GPU: speed and equality do not care what they have learned."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from benchmarks.shapes import Shape, configuration
from stages.columns.names import INPUT_IDS
from stages.modeling.batches import MASK, Batch
from stages.modeling.precision import compute_head_in_fp32

Task: TypeAlias = Literal["text classification", "token classification"]

HEADS: Mapping[Task, Any] = {
    "text classification": AutoModelForSequenceClassification,
    "token classification": AutoModelForTokenClassification,
}

_PAD = 0
SIZES: Mapping[str, Mapping[str, Any]] = {
    "distilbert": {"model_type": "distilbert"},
    "minilm": {"model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
    "modernbert-base": {"model_type": "modernbert"},
}
"""DistilBERT base and ModernBERT base are the sizes that transformers has by default; MiniLM has 6 layers of 384."""

_SMALL = Shape(layers=4, heads=4, width=256, inner=512, window=64)
"""Heads of 64 and long rows, as in models that people use, and made in no time."""
_TINY = Shape(layers=2, heads=2, width=32, inner=64, window=16)
_LEAST_CODE = 5
VOCABULARY = 100
"""The codes of small and tiny models."""


def random_model(size: str, device: torch.device, *, tiny: bool, task: Task = "text classification") -> PreTrainedModel:
    """Return a model of one of `SIZES` in training mode. `tiny`: of its family, and otherwise as small as can be."""
    shape = dict(SIZES[size])
    family = shape.pop("model_type")
    if tiny:
        config = configuration(family, _TINY, pad=_PAD, vocab_size=VOCABULARY, num_labels=2)
    else:
        config = AutoConfig.for_model(family, num_labels=2, **shape)
    return _of_random_weights(config, task, device)


def random_family(family: str, task: Task, device: torch.device, *, tiny: bool) -> PreTrainedModel:
    """Return a small model of a family in training mode, with weights so large that what attention computes shows.

    Weights are drawn so that a layer keeps the size of what it is given. With those of a new model, which are smaller, attention
    weighs all of a row alike, and its output is lost beside what is added to it.
    """
    shape = _TINY if tiny else _SMALL
    config = configuration(
        family,
        shape,
        pad=_PAD,
        vocab_size=VOCABULARY,
        max_position_embeddings=520,  # some families number positions from behind the code of padding
        initializer_range=shape.width**-0.5,
        num_labels=3,
    )
    return _of_random_weights(config, task, device)


def _of_random_weights(config: PreTrainedConfig, task: Task, device: torch.device) -> PreTrainedModel:
    torch.manual_seed(0)
    with device:  # a GPU draws numbers in no time; a CPU takes seconds for a model of ModernBERT's size
        model = HEADS[task].from_config(config)
    assert isinstance(model, PreTrainedModel)
    torch.nn.Module.to(compute_head_in_fp32(model), device)
    model.train()
    return model


def random_batch(lengths: Sequence[int], vocabulary: int, seed: int = 0) -> Batch:
    """Return a padded batch of rows of these lengths, on the host."""
    draw, longest = np.random.default_rng(seed), max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    codes = torch.from_numpy(draw.integers(_LEAST_CODE, vocabulary, (len(lengths), longest)))
    return {INPUT_IDS: codes.masked_fill(~mask, _PAD), MASK: mask.long()}
