"""The preparation of a model for its use: one list of steps for training, prediction and export.

`load.py` loads a model with the task's head, and `prepare` applies `STEPS` to it. A step that is not proven for the model's
family is left out, and the log says why. Rows are packed here only on a CPU; on a GPU a trial decides later
(`stages.modeling.gpu.proof`). Autocast is not a step: the caller of the model enters it, and the first step keeps the head out
of it.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.configuration.schema import TrainConfig
from stages.modeling.adapters import add_adapters, merge_adapters
from stages.modeling.cpu.bf16_linear import has_bf16_products, use_bf16_linear
from stages.modeling.cpu.fast_dropout import use_fast_dropout
from stages.modeling.cpu.packing import PACKED_ENCODERS, PACKED_FAMILIES, pack_rows
from stages.modeling.frozen import freeze_lowest, highest_frozen
from stages.modeling.gradient_checkpointing import disable_gradient_checkpointing, enable_gradient_checkpointing
from stages.modeling.occurring_embeddings import has_plain_embeddings, input_embeddings, keep_occurring, restore_all
from stages.modeling.precision import compute_head_in_fp32, device
from stages.modeling.stored_weights import store_frozen_in_bf16, store_in_fp32
from stages.pipeline.torchrun import is_main_process

Purpose: TypeAlias = Literal["training", "prediction", "onnx", "packed_onnx"]
"""What a model is used for. `training` includes validation, and the search for a batch size that fits into memory."""

log = logging.getLogger("stages.model")


@dataclass(frozen=True)
class Use:
    """What a model is prepared for."""

    purpose: Purpose
    device: torch.device = field(default_factory=device)
    """Where the model computes. For prediction, a step moves it there; in training, the Trainer does."""
    occurring: NDArray[np.int64] | None = None
    """The ids of all sub-words in the train and validation splits, sorted; None keeps the whole vocabulary."""
    recipe: TrainConfig | None = None
    """The recipe of the training: what is frozen, and so on. None: no step that a recipe asks for is applied."""
    pack: Callable[[PreTrainedModel], object] = pack_rows
    """Makes the model compute without padding."""


@dataclass(frozen=True)
class Step:
    """One change to a model, and the models that it is proven for."""

    name: str
    """What the log calls it."""
    apply: Callable[[PreTrainedModel, Use], object]
    """Change the model in place."""
    purposes: Collection[Purpose]
    devices: Collection[str] | None = None
    """The device types that it is for; None: all."""
    asked: Callable[[TrainConfig], bool] | None = None
    """Whether the recipe asks for the step, which then raises ModelError if it can't be applied. None: every recipe gets it."""
    families: Collection[str] | None = None
    """The families that it is proven for, by `model_type`; None: all."""
    obstacle: Callable[[PreTrainedModel, Use], str | None] = lambda _, __: None
    """Return what else keeps the step from being applied; None: nothing."""
    undo: Callable[[PreTrainedModel], object] = lambda _: None
    """Undo the change in place, before the model is saved."""

    def concerns(self, use: Use) -> bool:
        """Return whether the step is for this use."""
        is_asked = self.asked is None or (use.recipe is not None and self.asked(use.recipe))
        is_for_device = self.devices is None or use.device.type in self.devices
        return use.purpose in self.purposes and is_asked and is_for_device

    def why_not(self, model: PreTrainedModel, use: Use) -> str | None:
        """Return why the step is not applied to the model; None if it is."""
        family = model.config.model_type
        if self.families is not None and family not in self.families:
            return f"proven for {', '.join(self.families)}, not for {family}"
        return self.obstacle(model, use)


def _for_recipe(apply: Callable[[PreTrainedModel, TrainConfig], object]) -> Callable[[PreTrainedModel, Use], None]:
    def applied(model: PreTrainedModel, use: Use) -> None:
        assert use.recipe is not None, "else the step is not asked for"
        apply(model, use.recipe)

    return applied


def _keep_occurring(model: PreTrainedModel, use: Use) -> None:
    assert use.occurring is not None, "else there is an obstacle"
    keep_occurring(model, use.occurring)


def _obstacle_to_keeping_occurring(model: PreTrainedModel, use: Use) -> str | None:
    if use.occurring is None:
        return "nothing says which sub-words occur"
    if getattr(getattr(input_embeddings(model), "weight", None), "requires_grad", True) is False:
        return "its embeddings are frozen"
    return None if has_plain_embeddings(model) else "its embeddings are no plain torch.nn.Embedding"


STEPS: list[Step] = [
    Step(
        "head in fp32",
        lambda model, _: compute_head_in_fp32(model),
        purposes={"training", "prediction"},
    ),
    # Steps that a recipe asks for come before layers are replaced for speed: they recognize layers by their classes.
    Step(
        "frozen layers",
        _for_recipe(lambda model, recipe: freeze_lowest(model, recipe.freeze)),
        purposes={"training"},
        asked=lambda recipe: recipe.freeze != "none",
    ),
    Step(
        "adapters",
        _for_recipe(lambda model, recipe: add_adapters(model, recipe.lora, highest_frozen(recipe.freeze))),
        purposes={"training"},
        asked=lambda recipe: recipe.adapter == "lora",
        undo=merge_adapters,
    ),
    Step(
        "frozen weights in bf16",
        lambda model, _: store_frozen_in_bf16(model),
        purposes={"training"},
        asked=lambda recipe: recipe.frozen_precision == "bf16",
        undo=store_in_fp32,  # before adapters are merged, so that these are not rounded
    ),
    Step(
        "gradient checkpointing",
        lambda model, _: enable_gradient_checkpointing(model),
        purposes={"training"},
        asked=lambda recipe: recipe.gradient_checkpointing,
        undo=disable_gradient_checkpointing,
    ),
    Step(
        "embeddings of occurring sub-words alone",
        _keep_occurring,
        purposes={"training"},
        families=PACKED_FAMILIES,  # others look up codes of their own, such as the one that a decoder starts with
        obstacle=_obstacle_to_keeping_occurring,
        undo=restore_all,
    ),
    Step(
        "device",
        lambda model, use: torch.nn.Module.to(model, use.device),
        purposes={"prediction"},
    ),
    Step(
        "fast dropout",
        lambda model, _: use_fast_dropout(model),
        purposes={"training", "prediction"},
        devices=("cpu",),
    ),
    Step(
        "bf16 linear layers",
        lambda model, _: use_bf16_linear(model.base_model),
        purposes={"training", "prediction"},
        devices=("cpu",),
        families=PACKED_FAMILIES,  # others change the outputs of layers in place, which are views here
        obstacle=lambda _, __: None if has_bf16_products() else "oneDNN has no products in bf16 for this CPU",
    ),
    Step(
        "packed rows",
        lambda model, use: use.pack(model),
        purposes={"training", "prediction"},
        devices=("cpu",),
        families=PACKED_FAMILIES,
    ),
    Step(
        "packed rows in the ONNX graph",
        lambda model, use: use.pack(model),
        purposes={"packed_onnx"},
        families=PACKED_ENCODERS,
    ),
]
"""All steps, in the order of application."""


def prepare(model: PreTrainedModel, use: Use) -> PreTrainedModel:
    """Apply all steps for the use, in place, and return the model."""
    left_out = defaultdict[str, list[str]](list)
    for step in STEPS:
        if step.concerns(use):
            reason = step.why_not(model, use)
            if reason is None:
                step.apply(model, use)
            else:
                left_out[reason].append(step.name)
    if is_main_process():
        for reason, names in left_out.items():
            log.info("%s: without %s (%s)", use.purpose, ", ".join(names), reason)
    return model


def asks_for_steps(recipe: TrainConfig) -> bool:
    """Return whether a recipe asks for a step that not every model gets."""
    return any(step.asked is not None and step.asked(recipe) for step in STEPS)


def rehearse(model: PreTrainedModel, recipe: TrainConfig) -> None:
    """Apply the steps that a recipe asks for, also to a model on the meta device. Raises ModelError if one can't be applied."""
    use = Use("training", torch.device("cpu"), recipe=recipe)
    for step in STEPS:
        if step.asked is not None and step.concerns(use):
            step.apply(model, use)


def undo_for_saving(model: PreTrainedModel) -> PreTrainedModel:
    """Undo all steps in reverse order, so that the model can be saved. Return the model."""
    for step in reversed(STEPS):
        step.undo(model)
    return model
