"""Frozen weights: which they are, how many are left to train, and the state of a training without them."""

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
    """Those of adapters included."""


def highest_frozen(freeze: Literal["none", "embeddings"] | int) -> int:
    """Return the depth of the highest layer that `train.freeze` freezes: 0 for the embeddings alone, -1 for nothing."""
    return {"none": -1, "embeddings": 0}[freeze] if isinstance(freeze, str) else freeze


def freeze_lowest(model: PreTrainedModel, freeze: Literal["none", "embeddings"] | int) -> None:
    """Freeze the embeddings, and layers from the bottom. Raises ModelError if the model has fewer layers."""
    layers, highest = layers_of(model), highest_frozen(freeze)
    if highest > layers.count:
        raise ModelError(
            f"train.freeze={freeze} is more than the {layers.count} layers of {model.config.model_type}; lower it"
        )
    for name, weight in model.named_parameters():
        if layers.depths[name] <= highest:
            weight.requires_grad_(False)


def require_gradients(model: PreTrainedModel) -> None:
    """Raise TrainingError if layers are to be trained, and a backward pass has given none of their weights a gradient.

    The head alone would learn. Reversible layers are such, as Reformer's: they have no backward pass of their own unless what
    they read has one.
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
    """Return whether a training step on the batch gives some trained weight no gradient. Draws no random number of the recipe's.

    Processes that share a batch have to know. Such are adapters whose product is never taken, and embeddings of entities.
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
    """Count parameters. Embeddings that are put aside count as trained, since weight decay shrinks them."""
    aside = sum(each.put_aside for each in model.modules() if isinstance(each, OccurringEmbeddings))
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    return ParameterCounts(
        aside + sum(size for size, is_trained in sizes if is_trained), aside + sum(size for size, _ in sizes)
    )


def trained_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the state of the model without its frozen weights, each weight once, under its first name."""
    state, seen = dict[str, torch.Tensor](), set[int]()
    for name, tensor in model.state_dict(keep_vars=True).items():
        is_frozen = isinstance(tensor, torch.nn.Parameter) and not tensor.requires_grad
        if not is_frozen and id(tensor) not in seen:
            seen.add(id(tensor))
            state[name] = tensor.detach()
    return state


def gathered_trained_state(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what `trained_state` gives, each tensor whole. Processes that share the weights have to call this together."""
    for name, tensor in trained_state(model).items():
        yield name, whole(tensor)


def load_trained_state(model: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load a whole trained state into a model with the same frozen weights, which may be sharded."""
    own = trained_state(model)
    assert state.keys() == own.keys()
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(shared_as(tensor, state[name]))
