"""Layer-wise learning rate decay: the lower a layer, the smaller its learning rate."""

from collections import defaultdict
from typing import Any

import torch
from transformers import PreTrainedModel

from stages.modeling.layers import layers_of


def decay_rates(optimizer: torch.optim.Optimizer, model: PreTrainedModel, decay: float) -> None:
    """Split the optimizer's parameter groups by layer, and multiply the rate of each by `decay` once for every layer above it.

    `optimizer`: new, without state. The group of the head comes first, since the log shows the rate of the first group.
    """
    layers = layers_of(model)
    depths = {weight: layers.depths[name] for name, weight in model.named_parameters()}
    split = list[dict[str, Any]]()
    for group in optimizer.param_groups:
        by_depth = defaultdict[int, list[torch.Tensor]](list)
        for weight in group["params"]:
            by_depth[depths[weight]].append(weight)
        split += (
            {**group, "params": weights, "lr": group["lr"] * decay ** (layers.top - depth)}
            for depth, weights in by_depth.items()
        )
    optimizer.param_groups[:] = sorted(split, key=lambda group: -group["lr"])
