"""Frozen weights: which ones, how many are left to train, and a state dict without them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel

from stages.modeling.batches import Batch
from stages.modeling.layers import layers_of
from stages.modeling.occurring_embeddings import OccurringEmbeddings
from stages.modeling.precision import device, preserved_rng_state
from stages.modeling.sharding import shared_as, whole
from stages.pipeline.errors import ModelError, TrainingError


@dataclass(frozen=True)
class ParameterCounts:
    """How many parameters a model has."""

    trained: int
    all: int
    """All parameters, with those of adapters."""


def highest_frozen(freeze: Literal["none", "embeddings"] | int) -> int:
    """Return the depth of the highest layer that `train.freeze` freezes: 0 for only the embeddings, -1 for nothing."""
    return {"none": -1, "embeddings": 0}[freeze] if isinstance(freeze, str) else freeze


def freeze_lowest(model: PreTrainedModel, freeze: Literal["none", "embeddings"] | int) -> None:
    """Freeze the embeddings and the lowest layers, as `train.freeze` says. Raises ModelError if the model has fewer layers."""
    layers, highest = layers_of(model), highest_frozen(freeze)
    if highest > layers.count:
        raise ModelError(
            f"train.freeze={freeze} is more than the {layers.count} layers of {model.config.model_type}; lower it"
        )
    for name, weight in model.named_parameters():
        if layers.depths[name] <= highest:
            weight.requires_grad_(False)


def require_gradients(model: PreTrainedModel) -> None:
    """Raise TrainingError if no layer that is to be trained has a gradient after a backward pass.

    Only the head would learn then. This happens with reversible layers (Reformer), which have no backward pass unless their
    input requires a gradient.
    """
    layers = layers_of(model)
    trained = [
        weight
        for name, weight in model.named_parameters()
        if weight.requires_grad and 0 < layers.depths[name] < layers.top
    ]
    if trained and all(weight.grad is None for weight in trained):
        raise TrainingError(
            f"train: no layer of {model.config.model_type} gets a gradient while its embeddings are frozen; set "
            "train.adapter=none and train.freeze=none"
        )


def has_unused_weights(model: PreTrainedModel, batch: Batch) -> bool:
    """Return whether a training step on the batch leaves some trained weight without a gradient.

    Distributed training has to know. Examples are adapters of layers that are not called, and embeddings of entities. The
    generators' states are preserved.
    """
    torch.nn.Module.to(model, device())
    inputs = {name: tensor.to(model.device) for name, tensor in batch.items()}
    was_training = model.training
    with preserved_rng_state():
        logits: torch.Tensor = model.train()(**inputs).logits
        logits.float().sum().backward()
    found = any(weight.requires_grad and weight.grad is None for weight in model.parameters())
    model.zero_grad()
    model.train(was_training)
    return found


def parameter_counts(model: torch.nn.Module) -> ParameterCounts:
    """Count parameters. Embeddings that `OccurringEmbeddings` put aside count as trained, since weight decay shrinks them."""
    aside = sum(each.put_aside for each in model.modules() if isinstance(each, OccurringEmbeddings))
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    return ParameterCounts(
        aside + sum(size for size, is_trained in sizes if is_trained), aside + sum(size for size, _ in sizes)
    )


def trained_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the model's state dict without frozen weights. A shared weight is in it once, under its first name."""
    state, seen = dict[str, torch.Tensor](), set[int]()
    for name, tensor in model.state_dict(keep_vars=True).items():
        is_frozen = isinstance(tensor, torch.nn.Parameter) and not tensor.requires_grad
        if not is_frozen and id(tensor) not in seen:
            seen.add(id(tensor))
            state[name] = tensor.detach()
    return state


def gathered_trained_state(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the items of `trained_state`, with sharded tensors gathered. All processes have to call this together."""
    for name, tensor in trained_state(model).items():
        yield name, whole(tensor)


def load_trained_state(model: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load a gathered trained state into a model with the same frozen weights. The model may be sharded."""
    own = trained_state(model)
    assert state.keys() == own.keys()
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(shared_as(tensor, state[name]))
