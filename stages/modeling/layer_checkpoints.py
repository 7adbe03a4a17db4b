"""Gradient checkpointing: the backward pass computes a layer's inner values anew, where they would be kept in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedModel

from stages.pipeline.errors import ModelError


def checkpoint_layers(model: PreTrainedModel) -> None:
    """Keep only what goes from layer to layer. Dropout repeats its masks. Raises ModelError if the family's code can't."""
    if not model.supports_gradient_checkpointing:
        raise ModelError(
            f"train.gradient_checkpointing=true: transformers has none for {model.config.model_type}; set it to false, and "
            "train.gradient_accumulation=auto to save memory"
        )
    model.activation_checkpointing_enable({"use_reentrant": False})


def keep_all(model: PreTrainedModel) -> None:
    """Keep all that the backward pass needs again."""
    if model.is_activation_checkpointing:
        model.activation_checkpointing_disable()


@contextmanager
def all_kept(model: PreTrainedModel) -> Iterator[None]:
    """Keep all inside the block."""
    was_checkpointed = model.is_activation_checkpointing
    keep_all(model)
    try:
        yield
    finally:
        if was_checkpointed:
            checkpoint_layers(model)
