"""Gradients in CPU training: memory that is reused from step to step, their norm, and clipping inside the optimizer's step."""

from collections.abc import Iterable

import torch
from torch import distributed
from torch.optim import AdamW

_EPS = 1e-6
"""Added to the norm, as in `torch.nn.utils.clip_grad_norm_`."""


class GradientBuffer:
    """Memory for the gradient of one parameter, which is reused from step to step.

    Autograd allocates every gradient anew. On a CPU the system first has to zero those pages, which takes several milliseconds a
    step: of MiniLM on WNUT 17, 7 MB do not fit into the memory that the previous step has freed.
    """

    def __init__(self) -> None:
        """Allocate nothing before the first step."""
        self._memory: torch.Tensor | None = None

    def add(self, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        """Add `gradient`, of the parameter's shape and of any dtype, to `parameter.grad`. Start it if it is None."""
        if parameter.grad is not None:
            parameter.grad.add_(gradient)
            return
        if self._memory is None:
            self._memory = torch.empty_like(parameter)
        parameter.grad = self._memory.copy_(gradient)


class RowGradientBuffer:
    """Memory for the gradient of an embedding weight: zero in all but a few hundred rows.

    Only the rows that earlier steps wrote are zeroed. Autograd zeroes the whole gradient, 15 MB a step for MiniLM's
    vocabulary, to write half a megabyte.
    """

    def __init__(self) -> None:
        """Allocate nothing before the first step."""
        self._memory: torch.Tensor | None = None
        self._written: list[torch.Tensor] = []

    def add(self, parameter: torch.Tensor, rows: torch.Tensor, gradient: torch.Tensor) -> None:
        """Add `gradient` to the given rows of `parameter.grad`. No row may be given twice. Start it if it is None."""
        if parameter.grad is None:
            parameter.grad = self._zeroed(parameter)
        parameter.grad.index_copy_(0, rows, gradient + parameter.grad.index_select(0, rows))
        self._written.append(rows)

    def _zeroed(self, parameter: torch.Tensor) -> torch.Tensor:
        if self._memory is None:
            self._memory = torch.zeros_like(parameter)
        for rows in self._written:
            self._memory.index_fill_(0, rows, 0)
        self._written.clear()
        return self._memory


def bypasses_autograd(parameter: torch.Tensor) -> bool:
    """Return whether a backward pass may write the parameter's gradient itself.

    Distributed training averages the gradients that autograd hands out, so there it may not.
    """
    return parameter.device.type == "cpu" and not (distributed.is_available() and distributed.is_initialized())


def gradient_norm(parameters: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return the 2-norm of all gradients as one vector. PyTorch's own takes twice as long and is less exact."""
    gradients = [each.grad.flatten() for each in parameters if each.grad is not None]
    return torch.stack([torch.dot(each, each) for each in gradients]).sum().sqrt()


def clip_in_next_step(optimizer: AdamW, norm: torch.Tensor, max_norm: float) -> None:
    """Clip gradients to `max_norm` inside the next fused AdamW step; `norm` is what `gradient_norm` gives.

    The step divides gradients by the attribute `grad_scale`, through which PyTorch's `GradScaler` unscales them.
    """
    assert optimizer.defaults["fused"], "only a fused AdamW divides by grad_scale"
    setattr(optimizer, "grad_scale", ((norm + _EPS) / max_norm).clamp(min=1))  # noqa: B010 (the stubs have no such attribute)
