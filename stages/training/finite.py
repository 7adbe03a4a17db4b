"""Stop training when a loss, a weight or a score is NaN or infinite, and name the step and the examples."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import distributed, nn

from stages.modeling.sharding import is_sharded, share_of
from stages.pipeline.errors import TrainingError

_EXAMPLES_TOLD = 16
_LOOK_EVERY = {"cpu": 1, "cuda": 16}
"""The number of losses that are checked at once, by device type. Each check waits for the GPU to finish its work."""

_ADVICE = "lower train.learning_rate, or set train.precision=fp32"


@dataclass(frozen=True)
class _Part:
    step: int
    loss: torch.Tensor
    examples: Sequence[int]


class LossWatch:
    """Collects losses, and checks them from time to time."""

    def __init__(self, device: torch.device) -> None:
        """`device`: the device of the losses."""
        self._look_every = _LOOK_EVERY.get(device.type, 1)
        self._parts: list[_Part] = []

    def add(self, step: int, loss: torch.Tensor, examples: Sequence[int]) -> None:
        """Add the loss of a batch, or of a part of it. `step`: counted from 1. Raises TrainingError as `look` does."""
        self._parts.append(_Part(step, loss, examples))
        if len(self._parts) >= self._look_every:
            self.look()

    def look(self) -> None:
        """Check the losses added since the last check. Raise TrainingError for the first that is NaN or infinite."""
        parts, self._parts = self._parts, []
        if not parts:
            return
        finite = torch.stack([part.loss for part in parts]).isfinite().tolist()
        for part, is_finite in zip(parts, finite, strict=True):
            if not is_finite:
                raise TrainingError(
                    f"train: the loss is {part.loss.item()} at step {part.step}, of a batch with the train examples "
                    f"{_listed(part.examples)}; {_ADVICE}"
                )


def require_finite_weights(model: nn.Module, step: int) -> None:
    """Raise TrainingError if a weight is NaN or infinite. An infinite gradient causes this while all losses are finite."""
    names, weights = zip(*model.named_parameters(), strict=True)
    finite = torch.stack([share_of(weight).isfinite().all() for weight in weights])
    if is_sharded(model):  # a process sees its own shares alone, and all have to stop
        distributed.all_reduce(finite := finite.int(), distributed.ReduceOp.MIN)
    if not finite.all():
        raise TrainingError(
            f"train: {names[finite.tolist().index(0)]} is no longer finite after step {step}; {_ADVICE}"
        )


def require_finite_scores(scores: Mapping[str, float | None], step: int) -> None:
    """Raise TrainingError if a score is NaN or infinite: finite weights can still give infinite logits in 16 bits."""
    for name, value in scores.items():
        if value is not None and not math.isfinite(value):
            raise TrainingError(f"train: validation's {name} is {value} after step {step}; {_ADVICE}")


def _listed(examples: Sequence[int]) -> str:
    told = ", ".join(map(str, examples[:_EXAMPLES_TOLD]))
    return told if len(examples) <= _EXAMPLES_TOLD else f"{told} and {len(examples) - _EXAMPLES_TOLD} more"
