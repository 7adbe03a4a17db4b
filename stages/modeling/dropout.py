"""Dropout on the CPU: PyTorch draws one number an element, in one thread; here four come from each 64 random bits.

The numbers are drawn from PyTorch's own generator, so that a seed decides them and a checkpoint's state continues them.
"""

from typing import Any

import torch

_BITS = 16


class CpuDropout(torch.nn.Module):
    """As `torch.nn.Dropout`, but for the numbers drawn; `p` is rounded to a multiple of 2**-16."""

    def __init__(self, p: float) -> None:
        """`p`: the probability of an element to become 0."""
        super().__init__()
        self.p = p

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values, some of them 0, the others scaled up for it."""
        return dropout(values, self.p) if self.training else values


def use_cpu_dropout(model: torch.nn.Module) -> None:
    """Replace every `torch.nn.Dropout` in the model."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout and 0 < child.p < 1:
                setattr(module, name, CpuDropout(child.p).train(child.training))


def dropout(values: torch.Tensor, p: float) -> torch.Tensor:
    """The values times 1 / (1 - p) with probability 1 - p, else 0; `p` is rounded to a multiple of 2**-16."""
    dropped = round(p * 2**_BITS)
    if not dropped:
        return values
    result: torch.Tensor = _Scaled.apply(values, _kept(values, dropped))
    return result


def _kept(values: torch.Tensor, dropped: int) -> torch.Tensor:
    """What each value is multiplied with: 0 for `dropped` of 2**16, else what keeps the mean."""
    drawn = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = drawn.view(torch.int16)[: values.numel()].view(values.shape)
    kept: torch.Tensor = (bits >= dropped - 2 ** (_BITS - 1)).to(values.dtype)
    return kept.mul_(2**_BITS / (2**_BITS - dropped))


class _Scaled(torch.autograd.Function):
    """A product whose factor needs no gradient: the values need not be kept."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(factor)
        return values * factor

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (factor,) = context.saved_tensors
        return gradient * factor, None
