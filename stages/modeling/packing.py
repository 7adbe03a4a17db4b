"""Unpadding: the rows of a batch as one sequence without padding, each row attending to itself alone.

A model's encoder then computes on sub-words only; what it gives is put back into [rows, longest] for the head. Rows, their
order and the result are those of the padded batch: padding was never looked at, only computed.
"""

import inspect
import logging
from collections.abc import Callable
from threading import get_ident
from typing import Any, Protocol, TypeAlias

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from stages.modeling.dropout import use_cpu_dropout
from stages.modeling.precision import device
from stages.modeling.products import part_queries, use_cpu_products
from stages.modeling.row_attention import attend_within_rows
from stages.modeling.rows import Rows

_ATTENTION = "within_rows"
"""Our attention's name in transformers' registry."""

_ENCODERS = {
    "albert": "encoder",
    "bert": "encoder",
    "camembert": "encoder",
    "distilbert": "transformer",
    "electra": "encoder",
    "roberta": "encoder",
    "xlm-roberta": "encoder",
}
"""By family, the part of the base model that runs on the pack: it takes hidden states and an attention mask."""

_ROTARY = ("modernbert",)
"""Families whose layers the base model itself calls, with positions: the whole of it runs on the pack."""


PACKED_FAMILIES = (*_ENCODERS, *_ROTARY)
"""The families that packing is proven for, by the name that a model's configuration calls them."""


_LISTED = ", ".join(PACKED_FAMILIES)

log = logging.getLogger("stages.packing")


class FirstLayout(Protocol):
    """Where the first sub-words of a batch's rows stand."""

    def pack(self) -> torch.Tensor:
        """[1, rows, width]"""

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[rows, width] to [rows, 1, width]."""


class Layout(Protocol):
    """Where the sub-words of a batch stand."""

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """[rows, longest, …] to [sub-words, …]."""

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """[sub-words, …] to [rows, longest, …]."""

    def first_subwords(self, hidden: torch.Tensor) -> FirstLayout:
        """Those of the hidden states [1, sub-words, width]."""


LayoutOf: TypeAlias = Callable[[torch.Tensor, torch.Tensor], Layout]
"""From a batch [rows, longest, …] and its mask [rows, longest]."""


def pack(model: PreTrainedModel) -> bool:
    """Let the model compute without padding from now on; False if its family is none that this is proven for."""
    family = model.config.model_type
    if family not in PACKED_FAMILIES:
        return False
    if family in _ENCODERS:
        pack_encoder(model, _ATTENTION, attend_within_rows, Rows.of)
        return True
    use_attention(model, _ATTENTION, attend_within_rows)
    packing = _Packing(Rows.of)
    model.base_model.register_forward_pre_hook(packing.pack_inputs, with_kwargs=True)
    model.base_model.register_forward_hook(packing.unpack)
    return True


def is_packed(model: PreTrainedModel) -> bool:
    """Whether `pack` has been here. Several threads may then call the model at once, each with a batch of its own."""
    return getattr(model.config, "_attn_implementation", None) == _ATTENTION


def has_packed_encoder(model: PreTrainedModel) -> bool:
    """Whether the model's family has an encoder that takes hidden states and a mask, and that packing is proven for."""
    return model.config.model_type in _ENCODERS


def pack_encoder(model: PreTrainedModel, name: str, attend: Callable[..., Any], layout_of: LayoutOf) -> None:
    """Let the encoder run on packed rows, with `attend` as the attention called `name`; it gets the layout as its mask.

    The last layer computes no more than a text's head reads: the first sub-word of each row. Its attention gets the layout of
    these.
    """
    use_attention(model, name, attend)
    packing = _Packing(layout_of)
    encoder: torch.nn.Module = getattr(model.base_model, _ENCODERS[model.config.model_type])
    encoder.register_forward_pre_hook(packing.pack_hidden, with_kwargs=True)
    encoder.register_forward_hook(packing.unpack)
    layers = getattr(encoder, "layer", None)  # ALBERT has none by this name: its layers are all the same one
    if isinstance(layers, torch.nn.ModuleList) and _reads_first_alone(model):
        layers[-1].register_forward_pre_hook(packing.keep_first, with_kwargs=True)
        part_queries(layers[-1])


def _reads_first_alone(model: PreTrainedModel) -> bool:
    """Whether the head reads the first sub-word of each row alone, as all those of texts do in these families."""
    return type(model).__name__ == MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES[model.config.model_type]


def use_attention(model: PreTrainedModel, name: str, attend: Callable[..., Any]) -> None:
    """Let the model attend by `attend`, through transformers' registry."""
    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, _mask_as_it_is)
    model.set_attn_implementation(name)


def compute_without_padding(model: PreTrainedModel) -> PreTrainedModel:
    """The model, which from now on packs rows and draws dropout quickly on the CPU; elsewhere it stays as it is.

    The log tells if its family is none that packing is proven for.
    """
    if device().type == "cpu":
        use_cpu_dropout(model)
        use_cpu_products(model.base_model)
        if not pack(model):
            log.info("%s models compute padding too: packing is proven for %s", model.config.model_type, _LISTED)
    return model


def _mask_as_it_is(*_: object, attention_mask: torch.Tensor | None = None, **__: object) -> torch.Tensor | None:
    """The masks of transformers are [rows, 1, longest, longest]; [rows, longest] is all that is needed here."""
    return attention_mask


class _Packing:
    """The hooks of one model. They run one after the other in each forward pass; each thread may have one of its own."""

    def __init__(self, layout_of: LayoutOf) -> None:
        self._layout_of = layout_of
        self._layouts: dict[int, Layout | FirstLayout] = {}
        """By thread, that of the pass which it is in."""

    def pack_hidden(
        self, encoder: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before an encoder: hidden states [rows, longest, width] become [1, sub-words, width]."""
        named = _named(encoder, args, kwargs)
        hidden = next(name for name in named if name.startswith("hidden_state"))
        self._layouts[get_ident()] = layout = self._layout_of(named[hidden], named["attention_mask"])
        return (), {**named, hidden: layout.pack(named[hidden])[None], "attention_mask": layout}

    def keep_first(
        self, layer: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before an encoder's last layer: hidden states [1, sub-words, width] become [1, rows, width]."""
        named = _named(layer, args, kwargs)
        layout: Layout = named["attention_mask"]
        self._layouts[get_ident()] = first = layout.first_subwords(named["hidden_states"])
        return (), {**named, "hidden_states": first.pack(), "attention_mask": first}

    def pack_inputs(
        self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before a base model: sub-words [rows, longest] become [1, sub-words], with their places in their rows."""
        named = _named(model, args, kwargs)
        self._layouts[get_ident()] = rows = Rows.of(named["input_ids"], named["attention_mask"])
        masks = {"full_attention": rows, "sliding_attention": rows}
        ids, positions = rows.pack(named["input_ids"])[None], rows.positions[None]
        return (), {**named, "input_ids": ids, "position_ids": positions, "attention_mask": masks}

    def unpack(self, _: torch.nn.Module, __: object, output: Any) -> Any:
        """After it: the last hidden state is [rows, longest, width] again."""
        layout = self._layouts.pop(get_ident())
        output.last_hidden_state = layout.unpack(output.last_hidden_state[0])
        return output


def _named(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments of a call by their names."""
    named = dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)
    others: dict[str, Any] = named.pop("kwargs", {})
    return {**named, **others}
