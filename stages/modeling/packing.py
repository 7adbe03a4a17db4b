"""Unpadding: the rows of a batch as one sequence without padding, each row attending to itself alone.

A model's encoder then computes on sub-words only; what it gives is put back into [rows, longest] for the head. Rows, their
order and the result are those of the padded batch: padding was never looked at, only computed.
"""

import inspect
import logging
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from stages.modeling.dropout import use_cpu_dropout
from stages.modeling.precision import device
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


def pack(model: PreTrainedModel) -> bool:
    """Let the model compute without padding from now on; False if its family is none that this is proven for."""
    family = model.config.model_type
    if family not in PACKED_FAMILIES:
        return False
    AttentionInterface.register(_ATTENTION, attend_within_rows)
    AttentionMaskInterface.register(_ATTENTION, _mask_as_it_is)
    model.set_attn_implementation(_ATTENTION)
    packing = _Packing()
    if family in _ROTARY:
        part: torch.nn.Module = model.base_model
        part.register_forward_pre_hook(packing.pack_inputs, with_kwargs=True)
    else:
        part = getattr(model.base_model, _ENCODERS[family])
        part.register_forward_pre_hook(packing.pack_hidden, with_kwargs=True)
    part.register_forward_hook(packing.unpack)
    return True


def encoder_of(model: PreTrainedModel) -> torch.nn.Module | None:
    """The part that packing runs on: it takes hidden states and a mask; None where the family's isn't known."""
    name = _ENCODERS.get(model.config.model_type)
    return None if name is None else getattr(model.base_model, name)


def compute_without_padding(model: PreTrainedModel) -> PreTrainedModel:
    """The model, which from now on packs rows and draws dropout quickly on the CPU; elsewhere it stays as it is.

    The log tells if its family is none that packing is proven for.
    """
    if device().type == "cpu":
        use_cpu_dropout(model)
        if not pack(model):
            log.info("%s models compute padding too: packing is proven for %s", model.config.model_type, _LISTED)
    return model


def _mask_as_it_is(*_: object, attention_mask: torch.Tensor | None = None, **__: object) -> torch.Tensor | None:
    """The masks of transformers are [rows, 1, longest, longest]; [rows, longest] is all that is needed here."""
    return attention_mask


class _Packing:
    """The hooks of one model. They run one after the other in each forward pass."""

    def __init__(self) -> None:
        self._rows: Rows | None = None

    def pack_hidden(
        self, encoder: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before an encoder: hidden states [rows, longest, width] become [1, sub-words, width]."""
        named = named_arguments(encoder, args, kwargs)
        hidden = next(name for name in named if name.startswith("hidden_state"))
        self._rows = Rows.of(named[hidden], named["attention_mask"])
        return (), {**named, hidden: self._rows.pack(named[hidden])[None], "attention_mask": self._rows}

    def pack_inputs(
        self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        """Before a base model: sub-words [rows, longest] become [1, sub-words], with their places in their rows."""
        named = named_arguments(model, args, kwargs)
        self._rows = rows = Rows.of(named["input_ids"], named["attention_mask"])
        masks = {"full_attention": rows, "sliding_attention": rows}
        ids, positions = rows.pack(named["input_ids"])[None], rows.positions[None]
        return (), {**named, "input_ids": ids, "position_ids": positions, "attention_mask": masks}

    def unpack(self, _: torch.nn.Module, __: object, output: Any) -> Any:
        """After it: the last hidden state is [rows, longest, width] again, 0 where there is padding."""
        assert self._rows is not None
        output.last_hidden_state = self._rows.unpack(output.last_hidden_state[0])
        self._rows = None
        return output


def named_arguments(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments of a call by their names."""
    named = dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)
    others: dict[str, Any] = named.pop("kwargs", {})
    return {**named, **others}
