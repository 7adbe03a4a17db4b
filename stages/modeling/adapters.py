"""LoRA: low-rank adapters beside frozen linear layers, which are merged into the layers after training.

`peft` computes and merges them. Which layers get one is decided here, for any family, so that errors come before weights are
loaded.
"""

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from stages.configuration.schema import LoraConfig
from stages.modeling.layers import layers_of
from stages.pipeline.errors import ModelError

if TYPE_CHECKING:
    import peft

_NAME = "default"
"""What peft calls the adapters of a model that has one set of them."""
_BARE = "model"
"""The name of the model inside the module that adapters are injected into."""
_IN_FILES = "base_model.model."
"""The prefix of each weight's name in peft's files."""
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def targets_of(model: PreTrainedModel, lora: LoraConfig, frozen: int) -> list[str]:
    """Return the names of the linear layers that get an adapter. The `frozen` lowest layers get none.

    Raises ModelError if a target matches none of the model's layers, or if the rank is larger than a layer.
    """
    layers, family = layers_of(model), model.config.model_type
    linear = {
        name: shape
        for name, shape in _linear_layers(model).items()
        if 0 < layers.depths.get(f"{name}.weight", 0) < layers.top
    }
    if not linear:
        raise ModelError(
            f"train.adapter=lora: {family} has no linear layers that are known here; set train.adapter=none"
        )
    wanted = [*linear] if lora.targets == "auto" else [name for name in linear if _matches(name, lora.targets)]
    for target in () if lora.targets == "auto" else lora.targets:
        if not any(_matches(name, [target]) for name in linear):
            choices = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in linear))
            raise ModelError(
                f"train.lora.targets has {target}, which matches no layer of {family}; choose from {choices}"
            )
    found = [name for name in wanted if layers.depths[f"{name}.weight"] > frozen]
    if not found:
        raise ModelError(
            f"train.freeze={frozen} leaves no layer of {family}'s {layers.count} that can get an adapter; lower it"
        )
    narrowest = min(found, key=lambda name: min(linear[name]))
    if lora.rank > min(linear[narrowest]):
        inputs_and_outputs = " x ".join(map(str, linear[narrowest]))
        raise ModelError(
            f"train.lora.rank={lora.rank} is larger than {narrowest} of {family} ({inputs_and_outputs}); lower it"
        )
    return found


def _linear_layers(model: PreTrainedModel) -> dict[str, torch.Size]:
    """Return the weight shapes of the linear layers that can have an adapter, by name.

    Left out are weights that several layers share, as merging would add the adapters of all layers to them, and layers with a
    single input or output, such as gates, whose rank can't be lowered.
    """
    layers = {name: module for name, module in model.named_modules() if type(module) in (torch.nn.Linear, Conv1D)}
    uses = Counter(id(module.weight) for module in layers.values())
    return {
        name: module.weight.shape
        for name, module in layers.items()
        if uses[id(module.weight)] == 1 and min(module.weight.shape) > 1
    }


def add_adapters(model: PreTrainedModel, lora: LoraConfig, frozen: int) -> None:
    """Freeze all weights except the head's, and add an adapter to each target. Raises as `targets_of`.

    Adapters are initialized from PyTorch's global generator.
    """
    layers, targets = layers_of(model), targets_of(model, lora, frozen)
    trained = [
        weight
        for name, weight in model.named_parameters()
        if weight.requires_grad and layers.depths[name] == layers.top
    ]
    # inside a module without a configuration: by the model's own, peft would replace targets in some families
    _inject(lora, torch.nn.ModuleDict({_BARE: model}), [f"{_BARE}.{name}" for name in targets])
    for weight in trained:
        weight.requires_grad_(True)


def require_readable(model: PreTrainedModel, lora: LoraConfig, frozen: int) -> None:
    """Raise ModelError if peft could not load what `write_adapters` writes. This adds adapters to `model`.

    For some mixture-of-experts families, peft takes the names of targets for those of an older transformers, and replaces them.
    """
    targets = targets_of(model, lora, frozen)
    try:
        _inject(lora, model, targets)
    except ValueError:  # peft refuses them
        replaced = targets
    else:
        replaced = [name for name in targets if not hasattr(model.get_submodule(name), "base_layer")]
    if replaced:
        raise ModelError(
            f"train.keep_adapter=true: peft can't load an adapter on {replaced[0]} of {model.config.model_type}; set "
            "it to false, or leave that out of train.lora.targets"
        )


def has_adapters(model: torch.nn.Module) -> bool:
    """Return whether the model has adapters that are not merged."""
    return any(_is_of_adapter(name) for name, _ in model.named_parameters())


def merge_adapters(model: PreTrainedModel) -> None:
    """Merge adapters, if there are any, into the weights of their layers, which get their original names back."""
    if not has_adapters(model):
        return
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            model.set_submodule(name, module.get_base_layer())


def write_adapters(model: PreTrainedModel, lora: LoraConfig, folder: Path) -> None:
    """Write adapters and head into a new folder, as `peft.PeftModel.from_pretrained(base model, folder)` reads them."""
    from peft.tuners.lora import LoraLayer

    folder.mkdir()
    targets = [name for name, module in model.named_modules() if isinstance(module, LoraLayer)]
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    whole = sorted({name.rpartition(".")[0] for name in weights if not _is_of_adapter(name)})
    config = _peft_config(lora, model, targets).to_dict() | {
        "inference_mode": True,
        "target_modules": targets,
        "modules_to_save": whole,
    }
    (folder / _CONFIG).write_text(json.dumps(_plain(config), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    save_file(
        {
            _IN_FILES + name.replace(f".{_NAME}.", "."): weight.detach().cpu().contiguous()
            for name, weight in weights.items()
        },
        folder / _WEIGHTS,
        metadata={"format": "pt"},
    )


def _inject(lora: LoraConfig, model: torch.nn.Module, targets: Sequence[str]) -> None:
    import peft

    with warnings.catch_warnings():
        # it is set by each layer's kind, where there are both
        warnings.filterwarnings("ignore", message=".*fan_in_fan_out.*")
        warnings.filterwarnings("ignore", message=".*_pattern keys did not match.*")  # told by `require_readable`
        peft.inject_adapter_in_model(_peft_config(lora, model, targets), model)


def _peft_config(lora: LoraConfig, model: torch.nn.Module, targets: Sequence[str]) -> "peft.LoraConfig":
    import peft

    layers = [getattr(layer, "base_layer", layer) for layer in map(model.get_submodule, targets)]
    return peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(targets),
        fan_in_fan_out=all(isinstance(layer, Conv1D) for layer in layers),
        bias="none",
    )


def _matches(name: str, targets: Sequence[str]) -> bool:
    return any(name == target or name.endswith(f".{target}") for target in targets)


def _is_of_adapter(name: str) -> bool:
    return ".lora_" in name


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with sets sorted: their order differs from process to process."""
    return {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
