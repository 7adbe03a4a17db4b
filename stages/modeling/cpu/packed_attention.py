"""Attention within the rows of a pack, through the attention interface of transformers.

**In training**, rows of similar length are padded to one length, and the padding is dropped again. On a CPU, batched matrix
products and a softmax over a few heads at a time are faster than PyTorch's fused attention with its backward pass at every
length. The backward pass is written out here.

**Without a gradient**, PyTorch's fused attention is faster. It takes rows of one length from the pack without a copy. Its number
of keys is rounded up: 205 keys take 1.7 times as long as 208. The additional keys belong to the next row, and a mask hides them.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch

from stages.modeling.cpu.bf16_linear import key_and_value_layers
from stages.modeling.cpu.fast_dropout import apply_mask, dropout_scale, keep_mask
from stages.modeling.cpu.packed_rows import FirstSubwords, PackedRows
from stages.modeling.cpu.padded_layout import PaddedLayout, round_up, within_window


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: PackedRows | FirstSubwords,
    scaling: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each row: query, key and value [1, heads, sub-words, width] to [1, sub-words, heads, width].

    With a sliding window, tokens closer than it attend to each other. For first sub-words, `key` and `value` are not used: the
    keys and values of all sub-words are computed here.
    """
    states = [in_autocast_dtype(each)[0].transpose(0, 1) for each in (query, key, value)]
    if isinstance(attention_mask, FirstSubwords):
        of_rows = (layer(attention_mask.hidden)[0] for layer in key_and_value_layers(module))
        states[1:] = (in_autocast_dtype(each).view(-1, *states[0].shape[1:]) for each in of_rows)
    if not dropout and not any(each.requires_grad for each in states):
        return _fused_attention(states, attention_mask, sliding_window, scaling)[None], None
    layout = attention_mask.layout(query.shape[1])
    biases = layout.biases(sliding_window, states[0].dtype)
    layouts = attention_mask.query_layout(query.shape[1]), layout
    return _AttentionFunction.apply(*states, *layouts, biases, scaling, dropout)[None], None


def _fused_attention(
    states: Sequence[torch.Tensor], rows: PackedRows | FirstSubwords, window: int | None, scaling: float
) -> torch.Tensor:
    """Attend without a gradient, to all neighbouring rows of the same length at once."""
    query, key, value = states
    attended = torch.zeros_like(query, memory_format=torch.contiguous_format)
    start = query_start = 0
    for length, same in groupby(rows.lengths):
        count, queries_each = sum(1 for _ in same), 1 if isinstance(rows, FirstSubwords) else length
        end, query_end = start + count * length, query_start + count * queries_each
        queries = query[query_start:query_end].unflatten(0, (count, queries_each)).transpose(1, 2)
        keys_each = min(round_up(length), length + len(key) - end)
        # the windows of `unfold` overlap where a row is given keys of the next one: nothing is copied
        keys, values = (each[start : end - length + keys_each].unfold(0, keys_each, length).mT for each in (key, value))
        mask = _fused_mask(length, keys_each, window)
        found = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, mask, scale=scaling)
        attended[query_start:query_end] = found.transpose(1, 2).flatten(0, 1)
        start, query_start = end, query_end
    return attended


def _fused_mask(length: int, keys: int, window: int | None) -> torch.Tensor | None:
    """[1 or length, keys]: whether the tokens of a row attend to each key; None: they attend to all."""
    if window is not None and window < length:
        return torch.nn.functional.pad(within_window(length, window), (0, keys - length))
    return (torch.arange(keys) < length)[None] if length < keys else None


def in_autocast_dtype(states: torch.Tensor) -> torch.Tensor:
    """Cast the states as autocast would: it does not reach into a `torch.autograd.Function`."""
    kind = states.device.type
    return states.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else states


class _AttentionFunction(torch.autograd.Function):
    """softmax(query @ key.T * scaling + bias) @ value. What the backward pass needs is saved in the dtype of the products."""

    @staticmethod
    def forward(
        context: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        query_layout: PaddedLayout,
        layout: PaddedLayout,
        biases: Sequence[torch.Tensor | None],
        scaling: float,
        dropout: float,
    ) -> torch.Tensor:
        """Query, key and value are [sub-words and filler, heads, width]; there may be fewer queries than keys and values."""
        padded = [query_layout.pad(query), layout.pad(key), layout.pad(value)]
        attended, saved = torch.empty_like(padded[0]), list[torch.Tensor | None]()
        of_queries = map(query_layout.by_chunk, (padded[0], attended))
        chunks = zip(*of_queries, *map(layout.by_chunk, padded[1:]), biases, strict=True)
        with torch.autocast(query.device.type, enabled=False):
            for queries, out, keys, values, bias in chunks:
                weights = _attention_weights(queries, keys, bias, scaling)
                mask = keep_mask(weights, dropout)
                torch.bmm(weights if mask is None else apply_mask(weights, mask), values, out=out)
                if any(context.needs_input_grad):
                    saved += [weights, mask]
        context.layouts, context.scaling, context.scale = (
            (query_layout, layout, layout),
            scaling,
            dropout_scale(dropout),
        )
        context.counts = len(query), len(key), len(value)
        context.save_for_backward(*padded, *saved)
        return query_layout.unpad(attended, len(query)).mul_(context.scale)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of query, key and value."""
        layouts: Sequence[PaddedLayout] = context.layouts
        everything = context.saved_tensors  # asked for once: gradient checkpointing computes them as they are asked for
        padded: Sequence[torch.Tensor] = everything[:3]
        saved: Sequence[torch.Tensor | None] = everything[3:]
        of_output = layouts[0].pad(gradient).mul_(context.scale).index_fill_(0, layouts[0].padding, 0)
        found = [torch.empty_like(states) for states in padded]
        by_chunk = (layout.by_chunk(states) for layout, states in zip([*layouts] * 2, [*padded, *found], strict=True))
        chunks = zip(layouts[0].by_chunk(of_output), *by_chunk, saved[::2], saved[1::2], strict=True)
        for of_out, queries, keys, values, of_queries, of_keys, of_values, weights, mask in chunks:
            used = weights if mask is None else apply_mask(weights, mask)
            torch.bmm(used.transpose(1, 2), of_out, out=of_values)
            of_used = torch.bmm(of_out, values.transpose(1, 2))
            of_weights = of_used if mask is None else apply_mask(of_used, mask, out=of_used)
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            torch.bmm(of_scores, keys, out=of_queries)
            torch.bmm(of_scores.transpose(1, 2), queries, out=of_keys)
        of_query, of_key, of_value = (
            layout.unpad(states, count) for layout, states, count in zip(layouts, found, context.counts, strict=True)
        )
        return of_query.mul_(context.scaling), of_key.mul_(context.scaling), of_value, *[None] * 5


def _attention_weights(
    queries: torch.Tensor, keys: torch.Tensor, bias: torch.Tensor | None, scaling: float
) -> torch.Tensor:
    """Return [heads, queries, keys] in the dtype of the states; products and softmax accumulate in fp32."""
    scores = torch.baddbmm(queries.new_empty(()), queries, keys.transpose(1, 2), beta=0, alpha=scaling)
    if bias is not None:
        scores.view(len(bias), -1, *scores.shape[1:])[..., -bias.shape[-1] :].add_(bias)
    return torch.softmax(scores, dim=-1)
