"""Kernels for packed rows that run anywhere: one that is right, and some with a fault."""

import torch

from stages.modeling.gpu.kernels import Bounds, Kernel
from stages.modeling.gpu.packing import Kernels


def of_kernel(kernel: Kernel) -> Kernels:
    """The kernels of a model that drops attention weights, all of which are this one."""
    return Kernels(True, lambda _: ("flash", ""), {"flash": kernel})


def reference(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Bounds,
    *,
    scale: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """Row after row by PyTorch's own attention."""
    parts = zip(query.split(bounds.queries), key.split(bounds.keys), value.split(bounds.keys), strict=True)
    return torch.cat([_of_row(*part, scale=scale, dropout=dropout, window=window) for part in parts])


def mixing_rows(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Bounds,
    *,
    scale: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """A kernel that takes the two shortest rows for one: all else is right."""
    joined = Bounds(_joined(bounds.queries), _joined(bounds.keys), bounds.device)
    return reference(query, key, value, joined, scale=scale, dropout=dropout, window=window)


def without_window(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Bounds,
    *,
    scale: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """A kernel that lets tokens see all of their row."""
    return reference(query, key, value, bounds, scale=scale, dropout=dropout, window=None)


def _joined(lengths: tuple[int, ...]) -> tuple[int, ...]:
    first, second, *others = lengths
    return (first + second, *others)


def _of_row(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, scale: float, dropout: float, window: int | None
) -> torch.Tensor:
    places = torch.arange(len(key), device=key.device)
    near = None if window is None else (places[: len(query), None] - places).abs() < window
    queries, keys, values = (each.transpose(0, 1)[None] for each in (query, key, value))
    attended = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, near, dropout, scale=scale)
    return attended[0].transpose(0, 1)
