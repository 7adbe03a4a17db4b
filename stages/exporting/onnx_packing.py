"""Unpadding inside an ONNX graph: the encoder computes on sub-words alone, however much padding a batch has.

A gather packs the rows before the encoder, another one puts them back behind it. Attention, as ONNX Runtime's fused operator,
takes the rows padded and the mask.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from stages.modeling.packing import has_packed_encoder, pack_encoder
from stages.modeling.products import keys_and_values

_ATTENTION = "onnx_packed"
"""The attention's name in transformers' registry."""


def packed_in_graph(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the model whose export packs its rows; it can be exported, and not called.

    In families that packing is not proven for it is the model itself.
    """
    if not has_packed_encoder(model):
        return model
    model = copy.deepcopy(model)
    pack_encoder(model, _ATTENTION, _attend, _Layout.of)
    return model


@dataclass(frozen=True)
class _Layout:
    """Where the sub-words of a batch stand, as tensors of the graph."""

    rows: int
    longest: int
    mask: torch.Tensor
    """[rows, longest]: 0 where there is padding."""
    place: torch.Tensor
    """[sub-words]: their places in the flattened batch."""
    number: torch.Tensor
    """[rows x longest]: which sub-word stands there; where there is padding, the one before it."""

    @classmethod
    def of(cls, _: torch.Tensor, mask: torch.Tensor) -> "_Layout":
        flat = mask.reshape(-1)
        rows, longest = mask.shape
        return cls(rows, longest, mask.to(torch.int32), flat.nonzero().squeeze(1), (flat.cumsum(0) - 1).clamp(min=0))

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """[rows, longest, width] to [sub-words, width]."""
        return batch.flatten(0, 1).index_select(0, self.place)

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[sub-words, width] to [rows, longest, width]."""
        return packed.index_select(0, self.number).view(self.rows, self.longest, -1)

    def first_subwords(self, hidden: torch.Tensor) -> "_FirstSubwords":
        """Those of the hidden states [1, sub-words, width]."""
        return _FirstSubwords(self, hidden)


@dataclass(frozen=True)
class _FirstSubwords:
    """The first sub-words of the rows; keys and values are of all of them."""

    of: _Layout
    hidden: torch.Tensor

    def pack(self) -> torch.Tensor:
        """[1, rows, width]"""
        return self.of.unpack(self.hidden[0])[None, :, 0]

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[rows, width] to [rows, 1, width]."""
        return packed[:, None]


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: _Layout | _FirstSubwords,
    scaling: float | None = None,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """Query, key and value [1, heads, sub-words, width] to [1, sub-words, heads, width].

    Of first sub-words alone the keys and values are not used: they see those of their whole rows.
    """
    heads, width = query.shape[1], query.shape[3]

    def attended(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.onnx.ops.symbolic(
            "com.microsoft::MultiHeadAttention",
            [queries, keys, values, None, mask],
            {"num_heads": heads, "scale": width**-0.5 if scaling is None else float(scaling)},
            dtype=query.dtype,
            shape=queries.shape,
            version=1,
        )

    queries, keys, values = (each.transpose(1, 2).flatten(2)[0] for each in (query, key, value))
    if isinstance(attention_mask, _FirstSubwords):
        layout = attention_mask.of
        keys, values = (layout.unpack(layer(attention_mask.hidden)[0]) for layer in keys_and_values(module))
        found = attended(attention_mask.unpack(queries), keys, values, layout.mask)[:, 0]
    else:
        layout = attention_mask
        queries, keys, values = map(layout.unpack, (queries, keys, values))
        found = layout.pack(attended(queries, keys, values, layout.mask))
    return found[None].unflatten(2, (heads, width)), None
