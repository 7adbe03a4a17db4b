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


def _attend(
    _: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: _Layout,
    scaling: float | None = None,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """Query, key and value [1, heads, sub-words, width] to [1, sub-words, heads, width]."""
    layout, heads, width = attention_mask, query.shape[1], query.shape[3]
    padded = [layout.unpack(each.transpose(1, 2).flatten(2)[0]) for each in (query, key, value)]
    attended = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        [*padded, None, layout.mask],
        {"num_heads": heads, "scale": width**-0.5 if scaling is None else float(scaling)},
        dtype=query.dtype,
        shape=padded[0].shape,
        version=1,
    )
    return layout.pack(attended)[None].unflatten(2, (heads, width)), None
