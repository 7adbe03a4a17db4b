"""Gradients of a CPU's training that stay where they are in the memory, from step to step."""

import torch
from torch import distributed


class KeptGradient:
    """The memory of one parameter's gradient.

    Autograd takes new memory for each gradient at every step. On the CPU that is pages which the system has to clear first,
    more than the holes that the step before has left can take: 7 MB a step for MiniLM on WNUT 17, and several ms.
    """

    def __init__(self) -> None:
        """Takes no memory before the first step."""
        self._memory: torch.Tensor | None = None

    def add(self, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        """Add a gradient of the parameter's shape, in any type, to the parameter's; if it has none, begin one."""
        if parameter.grad is not None:
            parameter.grad.add_(gradient)
            return
        if self._memory is None:
            self._memory = torch.empty_like(parameter)
        parameter.grad = self._memory.copy_(gradient)


class KeptRowsGradient:
    """The memory of the gradient of a parameter that is looked up and used in no other way: 0 in all rows but a few hundred.

    Only those are zeroed that the steps before have written. Autograd writes all of it: 15 MB a step, of which half a megabyte
    is then added to.
    """

    def __init__(self) -> None:
        """Takes no memory before the first step."""
        self._memory: torch.Tensor | None = None
        self._written: list[torch.Tensor] = []

    def add(self, parameter: torch.Tensor, rows: torch.Tensor, gradient: torch.Tensor) -> None:
        """Add to some rows of the parameter's gradient, none twice; if it has none, begin one."""
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


def can_be_kept(parameter: torch.Tensor) -> bool:
    """Whether a backward pass may put the gradient there by itself: processes share theirs through autograd."""
    return parameter.device.type == "cpu" and not (distributed.is_available() and distributed.is_initialized())
