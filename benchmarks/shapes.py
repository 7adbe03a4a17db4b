"""What the layers, widths and rates of a model are called in the configurations of its family."""

from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

_LAYERS = {
    "distilbert": ("n_layers", "n_heads", "dim", "hidden_dim"),
    "gpt2": ("n_layer", "n_head", "n_embd", "n_inner"),
}
_USUAL_LAYERS = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size")

_RATES = {
    "albert": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob"),
    "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout"),
    "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
    "llama": ("attention_dropout",),
    "modernbert": ("attention_dropout",),
}
_USUAL_RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob")

_MODERNBERT_TOKENS = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")


@dataclass(frozen=True)
class Shape:
    """The size of a model."""

    layers: int
    heads: int
    width: int
    inner: int
    """The width inside a feed-forward block."""
    window: int = 8
    """The tokens around a token that it attends to in every other layer of ModernBERT."""


def configuration(
    family: str, shape: Shape, *, pad: int, dropout: float | None = None, **further: Any
) -> PreTrainedConfig:
    """Return the configuration of a model of the family, by its `model_type`, with this shape.

    `pad`: the code of padding. `dropout`: all rates; None: the family's own. `further`: what all families call by one name.
    """
    sizes = (shape.layers, shape.heads, shape.width, shape.inner)
    named: dict[str, Any] = dict(zip(_LAYERS.get(family, _USUAL_LAYERS), sizes, strict=True))
    if dropout is not None:
        named |= dict.fromkeys(_RATES.get(family, _USUAL_RATES), dropout)
    if family == "albert":
        named["embedding_size"] = shape.width // 2
    elif family == "llama":
        named["num_key_value_heads"] = max(1, shape.heads // 2)
    elif family == "modernbert":
        named |= {"local_attention": shape.window, "global_attn_every_n_layers": 2}
        named |= dict.fromkeys(_MODERNBERT_TOKENS, pad)
    return AutoConfig.for_model(family, pad_token_id=pad, **named, **further)
