"""Attention of packed rows, each to itself alone, through transformers' interface for attention.

Rows of like length are padded to their longest, and padding is dropped again. On the CPU, training takes plain products and
a softmax: PyTorch's fused attention is faster there only without a gradient.
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from stages.modeling.dropout import dropout as cpu_dropout
from stages.modeling.rows import Group, Rows


def attend_within_rows(
    _: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Rows,
    scaling: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """Query, key and value [1, heads, sub-words, width] of a pack of rows to [1, sub-words, heads, width].

    With a sliding window, sub-words closer than it see each other.
    """
    groups = attention_mask.groups
    sizes = [group.subwords for group in groups]
    packs = zip(*(states[0].transpose(0, 1).split(sizes) for states in (query, key, value)), strict=True)
    attended = [
        _of_group(group, pack, _bias(group, query, sliding_window), scaling, dropout)
        for group, pack in zip(groups, packs, strict=True)
    ]
    return torch.cat(attended)[None], None


def _of_group(
    group: Group, pack: tuple[torch.Tensor, ...], bias: torch.Tensor | None, scaling: float, dropout: float
) -> torch.Tensor:
    """`pack`: query, key and value, [sub-words, heads, width]; so is the result."""
    query, key, value = (group.pad(states).transpose(1, 2) for states in pack)
    return group.unpad(_attended(query, key, value, bias, scaling, dropout).transpose(1, 2))


def _attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    scaling: float,
    dropout: float,
) -> torch.Tensor:
    """All [rows, heads, longest, width]."""
    if query.device.type != "cpu" or not torch.is_grad_enabled():
        return scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout, scale=scaling)
    scores = torch.matmul(query * scaling, key.transpose(2, 3))
    weights = torch.softmax(scores if bias is None else scores + bias, dim=-1)
    return torch.matmul(cpu_dropout(weights, dropout), value)


def _bias(group: Group, states: torch.Tensor, sliding_window: int | None) -> torch.Tensor | None:
    """What is added to the scores [rows, heads, longest, longest] to hide padding and what is too far away."""
    hidden = None if group.is_padding is None else group.is_padding[:, None, None]
    if sliding_window is not None and group.longest > sliding_window:
        place = torch.arange(group.longest, device=states.device)
        far = (place[:, None] - place).abs() >= sliding_window
        hidden = far if hidden is None else hidden | far
    return (
        None
        if hidden is None
        else torch.zeros_like(hidden, dtype=states.dtype).masked_fill(hidden, torch.finfo(states.dtype).min)
    )
