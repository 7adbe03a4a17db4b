"""Attention of packed rows, each to itself alone, through transformers' interface for attention.

For training, rows of like length are padded to their longest, and padding is dropped again: on the CPU plain products and a
softmax, a few heads at a time, are faster than PyTorch's fused attention with its gradient at every length. Ours is written
out. Without a gradient the fused attention is the faster one, which takes rows of one length from the pack as they are. It
sees keys of a round number, those of the next row among them, and a mask hides these: 205 keys take it 1.7 times as long as 208.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch

from stages.modeling.dropout import drawn, kept, scale
from stages.modeling.products import keys_and_values
from stages.modeling.rows import FirstSubwords, Rows
from stages.modeling.slots import Slots, is_near, padded_length


def attend_within_rows(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Rows | FirstSubwords,
    scaling: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """Query, key and value [1, heads, sub-words, width] of a pack of rows to [1, sub-words, heads, width].

    With a sliding window, sub-words closer than it see each other. Of first sub-words alone the keys and values are not used:
    they see those of their whole rows.
    """
    states = [_in_autocast_type(each)[0].transpose(0, 1) for each in (query, key, value)]
    if isinstance(attention_mask, FirstSubwords):
        of_rows = (layer(attention_mask.hidden)[0] for layer in keys_and_values(module))
        states[1:] = (_in_autocast_type(each).view(-1, *states[0].shape[1:]) for each in of_rows)
    if not dropout and not any(each.requires_grad for each in states):
        return _attended(states, attention_mask, sliding_window, scaling)[None], None
    slots = attention_mask.slots(query.shape[1])
    where = attention_mask.query_slots(query.shape[1]), slots, slots.biases(sliding_window, states[0].dtype)
    return _Attended.apply(*states, *where, scaling, dropout)[None], None


def _attended(
    states: Sequence[torch.Tensor], layout: Rows | FirstSubwords, window: int | None, scaling: float
) -> torch.Tensor:
    """Of query, key and value, without a gradient: rows of the same length that follow each other at once."""
    query, key, value = states
    attended = torch.zeros_like(query, memory_format=torch.contiguous_format)
    first = first_query = 0
    for length, same in groupby(layout.lengths):
        rows, asking = sum(1 for _ in same), 1 if isinstance(layout, FirstSubwords) else length
        end, end_query = first + rows * length, first_query + rows * asking
        queries = query[first_query:end_query].unflatten(0, (rows, asking)).transpose(1, 2)
        seen = min(padded_length(length), length + len(key) - end)
        # rows overlap where more is seen of each than its own: nothing is copied
        keys, values = (each[first : end - length + seen].unfold(0, seen, length).mT for each in (key, value))
        mask = _mask(length, seen, window)
        of_rows = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, mask, scale=scaling)
        attended[first_query:end_query] = of_rows.transpose(1, 2).flatten(0, 1)
        first, first_query = end, end_query
    return attended


def _mask(length: int, seen: int, window: int | None) -> torch.Tensor | None:
    """[1 or length, seen]: whether a row's sub-words look at what is seen with it; None if at all of that."""
    if window is not None and window < length:
        return torch.nn.functional.pad(is_near(length, window), (0, seen - length))
    return (torch.arange(seen) < length)[None] if length < seen else None


def _in_autocast_type(states: torch.Tensor) -> torch.Tensor:
    """What products are computed in: autocast does not reach into a gradient that is written out."""
    kind = states.device.type
    return states.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else states


class _Attended(torch.autograd.Function):
    """softmax(query · key * scaling + bias) · value. What is kept for the gradient is of the products' type."""

    @staticmethod
    def forward(
        context: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        query_slots: Slots,
        slots: Slots,
        biases: Sequence[torch.Tensor | None],
        scaling: float,
        dropout: float,
    ) -> torch.Tensor:
        """All [sub-words and filler, heads, width]; there may be fewer queries than keys and values."""
        padded = [query_slots.fill(query), slots.fill(key), slots.fill(value)]
        attended, saved = torch.empty_like(padded[0]), list[torch.Tensor | None]()
        of_queries = map(query_slots.by_piece, (padded[0], attended))
        pieces = zip(*of_queries, *map(slots.by_piece, padded[1:]), biases, strict=True)
        with torch.autocast(query.device.type, enabled=False):
            for queries, out, keys, values, bias in pieces:
                weights = _softmax(queries, keys, bias, scaling)
                draw = drawn(weights, dropout)
                torch.bmm(weights if draw is None else kept(weights, draw), values, out=out)
                if context.needs_input_grad[0]:
                    saved += [weights, draw]
        context.slots, context.scaling, context.scale = (query_slots, slots, slots), scaling, scale(dropout)
        context.counts = len(query), len(key), len(value)
        context.save_for_backward(*padded, *saved)
        return query_slots.read(attended, len(query)).mul_(context.scale)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Of the query, the key and the value."""
        slots: Sequence[Slots] = context.slots
        padded: Sequence[torch.Tensor] = context.saved_tensors[:3]
        saved: Sequence[torch.Tensor | None] = context.saved_tensors[3:]
        of_output = slots[0].fill(gradient).mul_(context.scale).index_fill_(0, slots[0].padding, 0)
        found = [torch.empty_like(states) for states in padded]
        in_pieces = (where.by_piece(states) for where, states in zip([*slots] * 2, [*padded, *found], strict=True))
        pieces = zip(slots[0].by_piece(of_output), *in_pieces, saved[::2], saved[1::2], strict=True)
        for of_out, queries, keys, values, of_queries, of_keys, of_values, weights, draw in pieces:
            used = weights if draw is None else kept(weights, draw)
            torch.bmm(used.transpose(1, 2), of_out, out=of_values)
            of_used = torch.bmm(of_out, values.transpose(1, 2))
            of_weights = of_used if draw is None else kept(of_used, draw, out=of_used)
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            torch.bmm(of_scores, keys, out=of_queries)
            torch.bmm(of_scores.transpose(1, 2), queries, out=of_keys)
        of_query, of_key, of_value = (
            where.read(states, count) for where, states, count in zip(slots, found, context.counts, strict=True)
        )
        return of_query.mul_(context.scaling), of_key.mul_(context.scaling), of_value, *[None] * 5


def _softmax(queries: torch.Tensor, keys: torch.Tensor, bias: torch.Tensor | None, scaling: float) -> torch.Tensor:
    """[heads and rows, longest, longest], of the products' type; the products and the softmax add up in fp32."""
    scores = torch.baddbmm(queries.new_empty(()), queries, keys.transpose(1, 2), beta=0, alpha=scaling)
    if bias is not None:
        scores.view(len(bias), -1, *scores.shape[1:])[..., -bias.shape[-1] :].add_(bias)
    return torch.softmax(scores, dim=-1)
