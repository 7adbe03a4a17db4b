"""Models with the task's head, from safetensors alone."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoConfig, PreTrainedModel
from transformers import logging as transformers_logging

from stages.pipeline.errors import ModelError
from stages.tasks.task import Task


def new_model(task: Task, weights: Path, names: Sequence[str], *, padding: int | None = None) -> PreTrainedModel:
    """The pretrained encoder in `weights` with a new head, drawn from PyTorch's global generator: one logit a name.

    `padding` is the code of the padding sub-word. Where download had to give the tokenizer one, the model gets an
    embedding for it, which attention never looks at.
    """
    id2label = dict(enumerate(names))
    extra = {} if task.problem_type is None else {"problem_type": task.problem_type}
    config = AutoConfig.from_pretrained(
        weights,
        num_labels=len(names),
        id2label=id2label,
        label2id={name: code for code, name in id2label.items()},
        trust_remote_code=False,
        **extra,
    )
    model = _load(task, weights, config)
    if padding is not None:
        embeddings = model.get_input_embeddings()
        assert isinstance(embeddings, torch.nn.Embedding)
        if padding >= embeddings.num_embeddings:
            model.resize_token_embeddings(padding + 1, mean_resizing=False)
        model.config.pad_token_id = padding
    return model


def trained_model(task: Task, folder: Path) -> PreTrainedModel:
    """A model that the train stage wrote, ready to predict."""
    model = _load(task, folder, AutoConfig.from_pretrained(folder, trust_remote_code=False))
    model.eval()
    return model


def _load(task: Task, folder: Path, config: AutoConfig) -> PreTrainedModel:
    transformers_logging.set_verbosity_error()  # a new head's weights are missing by design, and it would say so at length
    transformers_logging.disable_progress_bar()
    try:
        model = task.model_class().from_pretrained(folder, config=config, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: the model can't be loaded for task={task.config.kind} ({error})") from error
    assert isinstance(model, PreTrainedModel)
    return model
