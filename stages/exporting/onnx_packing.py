"""Unpadding inside an ONNX graph: the encoder computes on sub-words alone, however much padding a batch has.

A gather packs the rows before the encoder, another one puts them back behind it. Attention, as ONNX Runtime's fused operator,
takes the rows padded and the mask.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from stages.modeling.packing import encoder_of, named_arguments

_ATTENTION = "onnx_packed"
"""The attention's name in transformers' registry."""


def packed_in_graph(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the model whose export packs its rows; it can be exported, and not called.

    In families that packing is not proven for it is the model itself.
    """
    if encoder_of(model) is None:
        return model
    model = copy.deepcopy(model)
    encoder = encoder_of(model)
    assert encoder is not None
    AttentionInterface.register(_ATTENTION, _attend)
    AttentionMaskInterface.register(_ATTENTION, _mask_as_it_is)
    model.set_attn_implementation(_ATTENTION)
    packing = _Packing()
    encoder.register_forward_pre_hook(packing.pack, with_kwargs=True)
    encoder.register_forward_hook(packing.unpack)
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
    def of(cls, mask: torch.Tensor) -> "_Layout":
        flat = mask.reshape(-1)
        rows, longest = mask.shape
        return cls(rows, longest, mask.to(torch.int32), flat.nonzero().squeeze(1), (flat.cumsum(0) - 1).clamp(min=0))

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """[rows, longest, width] to [1, sub-words, width]."""
        return padded.flatten(0, 1).index_select(0, self.place)[None]

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[sub-words, width] to [rows, longest, width]."""
        return packed.index_select(0, self.number).view(self.rows, self.longest, -1)


class _Packing:
    """The hooks of one model's encoder."""

    def __init__(self) -> None:
        self._layout: _Layout | None = None

    def pack(
        self, encoder: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before the encoder."""
        named = named_arguments(encoder, args, kwargs)
        hidden = next(name for name in named if name.startswith("hidden_state"))
        self._layout = _Layout.of(named["attention_mask"])
        return (), {**named, hidden: self._layout.pack(named[hidden]), "attention_mask": self._layout}

    def unpack(self, _: torch.nn.Module, __: object, output: Any) -> Any:
        """Behind it."""
        assert self._layout is not None
        output.last_hidden_state = self._layout.unpack(output.last_hidden_state[0])
        return output


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
    return layout.pack(attended).unflatten(2, (heads, width)), None


def _mask_as_it_is(*_: object, attention_mask: torch.Tensor | None = None, **__: object) -> torch.Tensor | None:
    return attention_mask
