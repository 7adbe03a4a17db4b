"""Packing: a model computes the rows of a batch as one sequence without padding, in which each row attends only to itself.

Hooks pack the hidden states before the model's encoder, and unpack its output to [rows, length] for the head. The result is the
same, since padding is masked in attention and only takes time.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from threading import get_ident
from typing import Any, Protocol, TypeAlias

import torch
from torch.utils.hooks import RemovableHandle
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from stages.modeling.cpu.bf16_linear import separate_queries
from stages.modeling.cpu.packed_attention import packed_attention
from stages.modeling.cpu.packed_rows import PackedRows

_ATTENTION = "packed_rows"
"""The name of our attention in the registry of transformers."""

_ENCODERS = {
    "albert": "encoder",
    "bert": "encoder",
    "camembert": "encoder",
    "data2vec-text": "encoder",
    "distilbert": "transformer",
    "electra": "encoder",
    "ernie": "encoder",
    "roberta": "encoder",
    "xlm-roberta": "encoder",
}
"""By family, the attribute of the base model that is its encoder: a module called with hidden states and an attention mask."""

_WITHOUT_ENCODER = ("modernbert",)
"""Families whose base model calls the layers itself, with position ids: the whole base model computes on the pack."""

PACKED_ENCODERS = tuple(_ENCODERS)
"""The families that `pack_encoder` is proven for, by the `model_type` of their configuration."""

PACKED_FAMILIES = (*PACKED_ENCODERS, *_WITHOUT_ENCODER)
"""The families that `pack_rows` is proven for."""


class FirstLayout(Protocol):
    """The layout of the first sub-word of each row."""

    def pack(self) -> torch.Tensor:
        """Return their hidden states [1, rows, width]."""

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """Turn [rows, width] into [rows, 1, width]."""


class Layout(Protocol):
    """The layout of the sub-words of a batch."""

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn [rows, length, …] into [sub-words, …]."""

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """Turn [sub-words, …] into [rows, length, …]."""

    def first_subwords(self, hidden: torch.Tensor) -> FirstLayout:
        """Select the first sub-word of each row from hidden states [1, sub-words, width]."""


LayoutOf: TypeAlias = Callable[[torch.Tensor, torch.Tensor], Layout]
"""The layout of a batch [rows, length, …] by its attention mask [rows, length]."""

RowsOf: TypeAlias = Callable[[torch.Tensor, torch.Tensor | None], PackedRows]
"""The same for `pack_by`; without a mask, nothing is padding."""


def pack_rows(model: PreTrainedModel) -> PreTrainedModel:
    """Let a model of `PACKED_FAMILIES` compute without padding. Return the model."""
    pack_by(model, _ATTENTION, packed_attention, PackedRows.of)
    return model


def pack_by(
    model: PreTrainedModel,
    name: str,
    attend: Callable[..., Any],
    rows_of: RowsOf,
) -> Sequence[RemovableHandle]:
    """Let a model of `PACKED_FAMILIES` compute without padding, and attend by `attend`, which gets what `rows_of` returns.

    `attend` is registered with transformers under `name`. Return the handles of the hooks.
    """
    if model.config.model_type in _ENCODERS:
        return pack_encoder(model, name, attend, rows_of)
    assert model.config.model_type in _WITHOUT_ENCODER, "packing is not proven for this family"
    _use_attention(model, name, attend)
    hooks = _PackingHooks(rows_of)
    return [
        model.base_model.register_forward_pre_hook(partial(hooks.pack_inputs, rows_of), with_kwargs=True),
        model.base_model.register_forward_hook(hooks.unpack),
    ]


def is_packed(model: PreTrainedModel) -> bool:
    """Return whether `pack_rows` was applied. Several threads may then call the model at once, each with its own batch."""
    return getattr(model.config, "_attn_implementation", None) == _ATTENTION


def pack_encoder(
    model: PreTrainedModel, name: str, attend: Callable[..., Any], layout_of: LayoutOf
) -> Sequence[RemovableHandle]:
    """Let the encoder of a model of `PACKED_ENCODERS` compute on packed rows. Return the handles of the hooks.

    `attend` is registered with transformers under `name` and receives the layout as its attention mask. The last layer of a text
    classifier computes only the first sub-word of each row, which is all that the head reads.
    """
    _use_attention(model, name, attend)
    hooks = _PackingHooks(layout_of)
    encoder: torch.nn.Module = getattr(model.base_model, _ENCODERS[model.config.model_type])
    handles: list[RemovableHandle] = [
        encoder.register_forward_pre_hook(hooks.pack_hidden, with_kwargs=True),
        encoder.register_forward_hook(hooks.unpack),
    ]
    layers = getattr(encoder, "layer", None)  # ALBERT has none by this name: all its layers are the same module
    # the heads of all text classifiers in these families read the first sub-word alone
    is_text = type(model).__name__ == MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES[model.config.model_type]
    if is_text and isinstance(layers, torch.nn.ModuleList):
        handles.append(layers[-1].register_forward_pre_hook(hooks.keep_first, with_kwargs=True))
        separate_queries(layers[-1])
    return handles


def _use_attention(model: PreTrainedModel, name: str, attend: Callable[..., Any]) -> None:
    """Register `attend` with transformers and let the model attend by it."""
    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, _unchanged_mask)
    model.set_attn_implementation(name)


def _unchanged_mask(*_: object, attention_mask: torch.Tensor | None = None, **__: object) -> torch.Tensor | None:
    """Hand on the mask [rows, length]; transformers would expand it to [rows, 1, length, length]."""
    return attention_mask


class _PackingHooks:
    """The hooks of one model. They run in order in each forward pass; several threads may run passes at once."""

    def __init__(self, layout_of: LayoutOf) -> None:
        self._layout_of = layout_of
        self._layouts: dict[int, Layout | FirstLayout] = {}
        """The layout of each thread's forward pass."""

    def pack_hidden(
        self, encoder: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before an encoder, turn hidden states [rows, length, width] into [1, sub-words, width]."""
        named = _bound_arguments(encoder, args, kwargs)
        hidden = next(name for name in named if name.startswith("hidden_state"))
        self._layouts[get_ident()] = layout = self._layout_of(named[hidden], named["attention_mask"])
        return (), {**named, hidden: layout.pack(named[hidden])[None], "attention_mask": layout}

    def keep_first(
        self, layer: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before an encoder's last layer, turn hidden states [1, sub-words, width] into [1, rows, width]."""
        named = _bound_arguments(layer, args, kwargs)
        layout: Layout = named["attention_mask"]
        first = layout.first_subwords(named["hidden_states"])
        if (
            get_ident() in self._layouts
        ):  # else the layer is computed anew for the backward pass, and nothing unpacks it
            self._layouts[get_ident()] = first
        return (), {**named, "hidden_states": first.pack(), "attention_mask": first}

    def pack_inputs(
        self, rows_of: RowsOf, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before a base model, turn codes [rows, length] into [1, sub-words], with the position of each in its row."""
        named = _bound_arguments(model, args, kwargs)
        self._layouts[get_ident()] = rows = rows_of(named["input_ids"], named["attention_mask"])
        masks = {"full_attention": rows, "sliding_attention": rows}
        codes, positions = rows.pack_codes(named["input_ids"])[None], rows.positions[None]
        return (), {**named, "input_ids": codes, "position_ids": positions, "attention_mask": masks}

    def unpack(self, _: torch.nn.Module, __: object, output: Any) -> Any:
        """After either, turn the last hidden state into [rows, length, width] again."""
        layout = self._layouts.pop(get_ident())
        output.last_hidden_state = layout.unpack(output.last_hidden_state[0])
        return output


def _bound_arguments(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return all arguments of a call by name."""
    named = dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)
    others: dict[str, Any] = named.pop("kwargs", {})
    return {**named, **others}
