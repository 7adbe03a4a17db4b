"""Load models with the task's head, from safetensors only."""

import logging
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel
from transformers import logging as transformers_logging

from stages.modeling.occurring_embeddings import input_embeddings
from stages.pipeline.errors import ModelError, first_line
from stages.tasks.task import Task

log = logging.getLogger("stages.model")

_IN_A_LAYER = re.compile(r"\.\d+\.")
"""In the name of a weight of a layer. Other weights, such as a pooler's, may be missing, and are then initialized."""
_PLAIN_OUTPUTS = {"return_dict": True, "output_hidden_states": False, "output_attentions": False}


def new_model(
    task: Task, weights: Path, names: Sequence[str], *, padding: int | None = None, called: str = ""
) -> PreTrainedModel:
    """Return the pretrained encoder in the folder `weights` with a head for the labels `names`, in fp32: one logit per name.

    The head is initialized from PyTorch's global generator, unless the folder has one for this task and these labels. `padding`:
    the id of the padding token. If download had to add it to the tokenizer, the model gets an embedding for it, which attention
    never reads. `called`: what messages call the model; by default its folder. Raises ModelError if the model can't be loaded,
    or has no head for this task.
    """
    called = called or str(weights)
    id2label = dict(enumerate(names))
    known = _config(task, weights, called)
    extra: dict[str, Any] = {
        **_PLAIN_OUTPUTS,
        **({} if task.problem_type is None else {"problem_type": task.problem_type}),
    }
    if hasattr(known, "use_mems_eval"):
        extra["use_mems_eval"] = False  # XLNet would also return states, on which transformers.pipeline fails
    config = _config(
        task,
        weights,
        called,
        num_labels=len(names),
        id2label=id2label,
        label2id={name: code for code, name in id2label.items()},
        **extra,
    )
    model, report = _load(task, weights, called, config, ignore_mismatched_sizes=True)
    _require_encoder(model, report, called)
    _renew_head(model, report, has_same_labels=_has_head_for(known, model, names))
    if padding is not None:
        if padding >= _vocabulary_size(model):
            model.resize_token_embeddings(padding + 1, mean_resizing=False)
        if not _counts_positions_from_padding(model):
            model.config.pad_token_id = padding
    return model


def skeleton(task: Task, weights: Path) -> PreTrainedModel:
    """Return the model that the configuration in the folder describes, on the meta device: without weights or memory.

    Raises ModelError as `new_model`.
    """
    config = _config(task, weights, str(weights))
    with torch.device("meta"):
        model = task.model_class().from_config(config)
    assert isinstance(model, PreTrainedModel)
    return model


def trained_model(task: Task, folder: Path) -> PreTrainedModel:
    """Return a model that the train stage wrote, in evaluation mode."""
    model, _ = _load(task, folder, str(folder), _config(task, folder, str(folder)))
    model.eval()
    return model


def encoder_name(model: PreTrainedModel) -> str:
    """Return the name of the attribute that holds the pretrained encoder."""
    if hasattr(model, model.base_model_prefix):
        return str(model.base_model_prefix)
    # ESM C for tokens: its class states another name than it uses
    return max(model.named_children(), key=lambda child: sum(weight.numel() for weight in child[1].parameters()))[0]


def head_parameters(model: PreTrainedModel) -> dict[str, torch.nn.Parameter]:
    """Return the parameters outside the pretrained encoder, by name."""
    prefix = f"{encoder_name(model)}."
    return {name: weight for name, weight in model.named_parameters() if not name.startswith(prefix)}


def _counts_positions_from_padding(model: PreTrainedModel) -> bool:
    """Return whether positions start after the padding id of the configuration (RoBERTa). Another id would shift all of them."""
    others = (module for module in model.modules() if not isinstance(module, torch.nn.Embedding))
    return any(isinstance(getattr(module, "padding_idx", None), int) for module in others)


def _vocabulary_size(model: PreTrainedModel) -> int:
    """Return how many token ids the model has embeddings for."""
    weight = getattr(input_embeddings(model), "weight", None)
    return len(weight) if isinstance(weight, torch.Tensor) else sys.maxsize


def _config(task: Task, folder: Path, called: str, **changed: Any) -> PretrainedConfig:
    """Return the configuration in the folder. Raise ModelError if it can't be read, or its family has no head for the task."""
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=False, **changed)
    except Exception as error:
        raise ModelError(f"{called}: its configuration can't be read ({first_line(error)})") from error
    if getattr(config, "quantization_config", None) is not None:
        raise ModelError(
            f"{called}: its weights are quantized, which is not supported; choose the checkpoint that is not"
        )
    config._attn_implementation = None  # that of the machine that saved it; here its package may be missing
    size = getattr(config, "vocab_size", None)
    if size is not None and not 0 <= (getattr(config, "pad_token_id", None) or 0) < size:
        config.pad_token_id = None  # the tokenizer's counts
    if type(config) not in task.model_class()._model_mapping:
        raise ModelError(
            f"{called}: transformers has no head for {task.pipeline.replace('-', ' ')} on {config.model_type}; "
            "choose another model"
        )
    return config


def _load(
    task: Task, folder: Path, called: str, config: PretrainedConfig, **options: Any
) -> tuple[PreTrainedModel, dict[str, Collection[Any]]]:
    """Load weights in fp32, however they are stored. Return the model, and transformers' report on missing and other names."""
    transformers_logging.set_verbosity_error()  # a new head's weights are missing by design, and it would say so at length
    transformers_logging.disable_progress_bar()
    try:
        model, report = task.model_class().from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # transformers and the packages that it asks for raise any
        raise ModelError(
            f"{called}: the model can't be loaded for task={task.config.kind} ({first_line(error)})"
        ) from error
    assert isinstance(model, PreTrainedModel)
    return model, report


def _require_encoder(model: PreTrainedModel, report: dict[str, Collection[Any]], called: str) -> None:
    """Raise ModelError if weights of the encoder are missing: transformers would initialize them at random."""
    head = head_parameters(model)
    other = sorted(name for name, *_ in report["mismatched_keys"] if name not in head)
    if other:
        raise ModelError(f"{called}: the weights don't have the sizes that config.json states ({other[0]})")
    names = {name for name, _ in model.named_parameters()} - head.keys()
    missing = names & set(report["missing_keys"])
    of_layers = sorted(filter(_IN_A_LAYER.search, missing))
    if of_layers or 2 * len(missing) > len(names):
        first = (of_layers or sorted(missing))[0]
        raise ModelError(
            f"{called}: the weights are incomplete, or belong to another model: {len(missing)} of the encoder's {len(names)} are "
            f"missing, such as {first}; choose a checkpoint that has them"
        )
    unused = sorted(filter(_IN_A_LAYER.search, report["unexpected_keys"]))
    for what, found in (("not stored, and initialized at random", sorted(missing)), ("stored, and not used", unused)):
        if found:
            log.info(
                "%s: weights that are %s: %s%s",
                called,
                what,
                found[0],
                f" and {len(found) - 1} more" * (len(found) > 1),
            )


def _has_head_for(config: PretrainedConfig, model: PreTrainedModel, names: Sequence[str]) -> bool:
    """Return whether a stored model was trained with the same head for the same labels in the same order."""
    is_same_class = type(model).__name__ in (config.architectures or [])
    labels: dict[Any, str] = dict(config.id2label or {})
    return is_same_class and [labels.get(code) for code in range(len(labels))] == list(names)


def _renew_head(model: PreTrainedModel, report: dict[str, Collection[Any]], *, has_same_labels: bool) -> None:
    """Initialize all weights of a head that was trained for other labels."""
    head = head_parameters(model)
    other_sizes = {name for name, *_ in report["mismatched_keys"]}
    stored = head.keys() - set(report["missing_keys"])
    if not stored:
        return
    if has_same_labels and not other_sizes:
        log.info("the model has a head for these labels already, which is kept")
        return
    log.info("the model's head is for other labels: it is dropped, and a new one is drawn")
    modules = {name.rpartition(".")[0] for name in head}
    for module in map(model.get_submodule, sorted(modules)):
        for each in (module, *module.parameters(recurse=False)):
            each.__dict__.pop("_is_hf_initialized", None)
        model._init_weights(module)
