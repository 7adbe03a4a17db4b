"""Unpadding inside an ONNX graph: the encoder computes on sub-words alone, however much padding a batch has.

A gather packs the rows before the encoder, the shortest one first, another one puts them back behind it.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import embedding
from transformers import PreTrainedModel

from stages.exporting.onnx_attention import row_attention
from stages.modeling.cpu.bf16_linear import key_and_value_layers
from stages.modeling.cpu.packing import pack_encoder

_ATTENTION = "onnx_packed"
"""The attention's name in transformers' registry."""


def pack_in_graph(model: PreTrainedModel) -> None:
    """Let the model's export pack its rows. From now on the model can be exported, but not called."""
    pack_encoder(model, _ATTENTION, _attend, _Layout.of)


@dataclass(frozen=True)
class _Layout:
    """Where the sub-words of a batch stand, as tensors of the graph."""

    place: torch.Tensor
    """[sub-words]: their places in the flattened batch."""
    present: torch.Tensor
    """[rows of the pack, longest], int32: 0 where there is padding."""
    number: torch.Tensor
    """[rows of the pack, longest]: which sub-word stands there; where there is padding, another one."""
    rank: torch.Tensor
    """[rows of the batch]: which row of the pack each is."""

    @classmethod
    def of(cls, _: torch.Tensor, mask: torch.Tensor) -> "_Layout":
        order = mask.sum(dim=1).argsort()
        present = mask.index_select(0, order).to(torch.int32)
        place = torch.arange(mask.numel()).view(mask.shape).index_select(0, order)
        number = (present.flatten().cumsum(0) - 1).clamp(min=0).view(mask.shape)
        return cls(
            place.flatten().index_select(0, present.flatten().nonzero().squeeze(1)), present, number, order.argsort()
        )

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn [rows, longest, width] into [sub-words, width]."""
        # exported as one operator, where indexing is also a reshape or two
        return embedding(self.place, batch.flatten(0, 1))

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """Turn [sub-words, width] into [rows, longest, width]."""
        return embedding(self.number.index_select(0, self.rank), packed)

    def first_subwords(self, hidden: torch.Tensor) -> "_FirstSubwords":
        """Select the first sub-words from hidden states [1, sub-words, width]."""
        return _FirstSubwords(self, hidden)


@dataclass(frozen=True)
class _FirstSubwords:
    """The first sub-words of the rows, the shortest row's first; keys and values are of all of them."""

    of: _Layout
    hidden: torch.Tensor

    def pack(self) -> torch.Tensor:
        """Return their hidden states, [1, rows, width]."""
        return self.hidden.index_select(1, self.of.number[:, 0])

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """Turn [rows, width] into [rows, 1, width], in the order of the batch."""
        return embedding(self.of.rank, packed)[:, None]


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: _Layout | _FirstSubwords,
    scaling: float | None = None,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """Attend from query, key and value [1, heads, sub-words, width] to [1, sub-words, heads, width].

    Of first sub-words alone the keys and values are not used: they see those of their whole rows.
    """
    heads, width = query.shape[1], query.shape[3]
    queries, keys, values = (each.transpose(1, 2).reshape(-1, heads * width) for each in (query, key, value))
    if isinstance(attention_mask, _FirstSubwords):
        layout = attention_mask.of
        queries = queries[:, None]
        keys, values = (layer(attention_mask.hidden)[0] for layer in key_and_value_layers(module))
    else:
        layout = attention_mask
    scale = width**-0.5 if scaling is None else float(scaling)
    attended = row_attention(queries, keys, values, layout.present, layout.number, heads=heads, scale=scale)
    return attended.view(1, -1, heads, width), None
