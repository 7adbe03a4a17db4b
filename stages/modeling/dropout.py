"""Dropout on the CPU: PyTorch draws one number an element, in one thread; here four come from each 64 random bits.

The bits are NumPy's SFC64's, twice as fast as PyTorch's. What seeds it is drawn from PyTorch's own generator each time, so
that a training's seed decides all of them and a checkpoint's state continues them.
"""

from typing import Any

import numpy as np
import torch

_STEPS = 2**16
"""The probabilities that 16 bits tell apart."""

_AS_WIDE = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers by their bytes."""


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
    draw = drawn(values, p)
    if draw is None:
        return values
    result: torch.Tensor = _Dropped.apply(values, draw, scale(p))
    return result


def drawn(values: torch.Tensor, p: float) -> torch.Tensor | None:
    """What decides on each of the values: 0 with probability `p`, else 1, of their shape. None if `p` rounds to 0.

    They are integers as wide as the values, for `kept`.
    """
    dropped = _dropped(p)
    if not dropped:
        return None
    seed = int(torch.empty((), dtype=torch.int64).random_())
    random = np.random.SFC64(seed).random_raw((values.numel() + 3) // 4)
    bits = torch.from_numpy(random.view(np.int16))[: values.numel()].view(values.shape)
    # written as integers at once: a comparison's booleans take three times as long, and as long again to convert
    return torch.ge(bits, dropped - _STEPS // 2, out=torch.empty(values.shape, dtype=_AS_WIDE[values.element_size()]))


def kept(values: torch.Tensor, draw: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """The values where `draw` is 1, else 0 (also of NaN), in new memory or in that of `out`.

    Their bits are multiplied: that is quicker.
    """
    bits = torch.mul(values.view(draw.dtype), draw, out=None if out is None else out.view(draw.dtype))
    return bits.view(values.dtype)


def scale(p: float) -> float:
    """What keeps the mean of values of which `p` are dropped."""
    return _STEPS / (_STEPS - _dropped(p))


def _dropped(p: float) -> int:
    """Of 2**16."""
    return round(p * _STEPS)


class _Dropped(torch.autograd.Function):
    """A product whose factors need no gradient: the values need not be kept."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, drawn: torch.Tensor, scale: float) -> torch.Tensor:
        context.save_for_backward(drawn)
        context.scale = scale
        return kept(values, drawn).mul_(scale)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (drawn,) = context.saved_tensors
        return kept(gradient, drawn).mul_(context.scale), None, None
