"""Fully sharded data parallelism: each process holds a shard of every weight, its gradient and its optimizer state.

PyTorch's FSDP2 gathers the weights of a layer while the layer is computed. All processes have to compute the same layers equally
often, since each one gathers from all.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeGuard

import torch
from transformers import PreTrainedModel

from stages.modeling.layers import outermost_layers
from stages.modeling.occurring_embeddings import input_embeddings
from stages.pipeline.errors import ModelError

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor  # the import takes a second, and most stages don't shard


_PAST_HOOKS = ("reformer", "squeezebert")
"""Families whose code calls layers by other methods than the one that FSDP hooks."""


def require_shardable(model: PreTrainedModel) -> None:
    """Raise ModelError if the layers of the model's family can't be gathered, or are left out at random."""
    config, remedy = model.config, "set train.sharding=none"
    if config.model_type in _PAST_HOOKS:
        raise ModelError(
            f"train.sharding=full: the code of {config.model_type} calls its layers past what gathers them; {remedy}"
        )
    for name, rate in config.to_dict().items():
        if name.endswith("layerdrop") and rate:
            raise ModelError(
                f"train.sharding=full: {config.model_type} leaves out layers at random ({name}={rate:g}), and not the same in "
                f"each process; {remedy}"
            )


def shard(model: PreTrainedModel) -> None:
    """Keep only this process's shard of the model's weights, on its device. The process group must exist.

    The Trainer then neither wraps nor moves the model.
    """
    from torch.distributed.fsdp import fully_shard

    for unit in _units(model):
        fully_shard(unit, reshard_after_forward=True)
    fully_shard(model, reshard_after_forward=True)
    model._is_distributed_loading_by_transformers = True  # tells the Trainer that it is sharded already


def is_sharded(model: torch.nn.Module) -> bool:
    """Return whether the model's weights are sharded over processes."""
    return bool(getattr(model, "_is_fsdp_managed_module", False))


def forget_failed_pass(model: torch.nn.Module) -> None:
    """Make a sharded model ready for a forward pass after one that raised an error."""
    if is_sharded(model):
        from torch.distributed.fsdp import FSDPModule

        assert isinstance(model, FSDPModule)
        model.reset_iter_state()


def is_share(tensor: torch.Tensor) -> "TypeGuard[DTensor]":
    """Return whether the tensor is a shard. While a layer is computed, its weights are not."""
    return hasattr(tensor, "full_tensor")


def share_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return this process's shard of a weight, or the whole weight if it is not sharded."""
    return tensor.to_local() if is_share(tensor) else tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return the whole weight, gathered from all processes, which have to call this together."""
    return tensor.full_tensor() if is_share(tensor) else tensor


def shared_as(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the shard of `values` that this process has of `weight`.

    `values`: of the shape of the whole weight, and equal in all processes.
    """
    if not is_share(weight):
        return values
    from torch.distributed.tensor import distribute_tensor

    moved = values.to(weight.device, weight.dtype)
    return distribute_tensor(moved, weight.device_mesh, weight.placements, src_data_rank=None)


def _units(model: PreTrainedModel) -> Iterator[torch.nn.Module]:
    """Yield the modules that are gathered one at a time: each layer, and the input embeddings.

    A module that shares a weight with another one is left out, and gathered with the rest of the model.
    """
    uses = Counter(id(weight) for _, weight in model.named_parameters(remove_duplicate=False))
    embeddings = input_embeddings(model)
    for unit in (*outermost_layers(model), *([embeddings] if isinstance(embeddings, torch.nn.Module) else [])):
        weights = [*unit.parameters()]
        if weights and all(uses[id(weight)] == 1 for weight in weights):
            yield unit
