"""Gradient checkpointing: the backward pass recomputes the activations inside a layer, which then need no memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedModel

from stages.pipeline.errors import ModelError


def enable_gradient_checkpointing(model: PreTrainedModel) -> None:
    """Keep only the inputs of each layer for the backward pass. Dropout repeats its masks.

    Raises ModelError if the code of the model's family does not support it.
    """
    if not model.supports_gradient_checkpointing:
        raise ModelError(
            f"train.gradient_checkpointing=true: transformers has none for {model.config.model_type}; set it to false, and "
            "train.gradient_accumulation=auto to save memory"
        )
    model.activation_checkpointing_enable({"use_reentrant": False})


def disable_gradient_checkpointing(model: PreTrainedModel) -> None:
    """Keep all activations for the backward pass."""
    if model.is_activation_checkpointing:
        model.activation_checkpointing_disable()


@contextmanager
def without_gradient_checkpointing(model: PreTrainedModel) -> Iterator[None]:
    """Disable gradient checkpointing inside the block."""
    was_checkpointed = model.is_activation_checkpointing
    disable_gradient_checkpointing(model)
    try:
        yield
    finally:
        if was_checkpointed:
            enable_gradient_checkpointing(model)
