"""Models with the task's head, from safetensors alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)
from transformers import logging as transformers_logging

from stages.configuration.schema import Kind, Target
from stages.pipeline.errors import ModelError

_HEADS = {"text": AutoModelForSequenceClassification, "tokens": AutoModelForTokenClassification}
_PROBLEMS: Mapping[Target, str] = {
    "label": "single_label_classification",
    "labels": "multi_label_classification",
    "number": "regression",
}
"""What transformers calls the targets: by this its pipelines know whether to apply softmax, sigmoid or neither."""


def new_model(
    kind: Kind, weights: Path, names: Sequence[str], target: Target = "label", *, padding: int | None = None
) -> PreTrainedModel:
    """The pretrained encoder in `weights` with a new head, drawn from PyTorch's global generator: one logit a name.

    `padding` is the code of the padding sub-word. Where download had to give the tokenizer one, the model gets an
    embedding for it, which attention never looks at.
    """
    id2label = dict(enumerate(names))
    extra = {"problem_type": _PROBLEMS[target]} if kind == "text" else {}
    config = AutoConfig.from_pretrained(
        weights,
        num_labels=len(names),
        id2label=id2label,
        label2id={name: code for code, name in id2label.items()},
        trust_remote_code=False,
        **extra,
    )
    model = _load(kind, weights, config)
    if padding is not None:
        embeddings = model.get_input_embeddings()
        assert isinstance(embeddings, torch.nn.Embedding)
        if padding >= embeddings.num_embeddings:
            model.resize_token_embeddings(padding + 1, mean_resizing=False)
        model.config.pad_token_id = padding
    return model


def trained_model(kind: Kind, folder: Path) -> PreTrainedModel:
    """A model that the train stage wrote, ready to predict."""
    model = _load(kind, folder, AutoConfig.from_pretrained(folder, trust_remote_code=False))
    model.eval()
    return model


def _load(kind: Kind, folder: Path, config: AutoConfig) -> PreTrainedModel:
    transformers_logging.set_verbosity_error()  # a new head's weights are missing by design, and it would say so at length
    transformers_logging.disable_progress_bar()
    try:
        model = _HEADS[kind].from_pretrained(folder, config=config, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: the model can't be loaded for task={kind} ({error})") from error
    assert isinstance(model, PreTrainedModel)
    return model
