"""Models with random weights, of the sizes that are measured on a GPU: speed does not care what they have learned."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from stages.columns.names import INPUT_IDS
from stages.modeling.batches import MASK, Batch
from stages.modeling.precision import compute_head_in_fp32

_BERT_TOKENS = {"pad_token_id": 0}
_MODERNBERT_TOKENS = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)

SIZES: Mapping[str, Mapping[str, Any]] = {
    "distilbert": {"model_type": "distilbert", **_BERT_TOKENS},
    "minilm": {
        "model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536, **_BERT_TOKENS
    },
    "modernbert-base": {"model_type": "modernbert", **_MODERNBERT_TOKENS},
}  # fmt: skip
"""DistilBERT base and ModernBERT base are the sizes that transformers has by default; MiniLM has 6 layers of 384."""

_TINY: Mapping[str, Mapping[str, Any]] = {
    "distilbert": {"n_layers": 2, "n_heads": 2, "dim": 32, "hidden_dim": 64},
    "bert": {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64},
    "modernbert": {
        "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64,
        "local_attention": 16, "global_attn_every_n_layers": 2,
    },
}  # fmt: skip
_TINY_VOCABULARY = 100
_LEAST_CODE = 5


def random_model(size: str, device: torch.device, *, tiny: bool) -> PreTrainedModel:
    """Return a text classifier of the size in training mode. `tiny`: of its family, and otherwise as small as can be."""
    shape = dict(SIZES[size])
    family = shape.pop("model_type")
    if tiny:
        shape |= {**_TINY[family], "vocab_size": _TINY_VOCABULARY}
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, num_labels=2, **shape))
    assert isinstance(model, PreTrainedModel)
    torch.nn.Module.to(compute_head_in_fp32(model), device)
    model.train()
    return model


def random_batch(lengths: Sequence[int], vocabulary: int, seed: int = 0) -> Batch:
    """Return a padded batch of rows of these lengths, on the host."""
    draw, longest = np.random.default_rng(seed), max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    codes = torch.from_numpy(draw.integers(_LEAST_CODE, vocabulary, (len(lengths), longest)))
    return {INPUT_IDS: codes.masked_fill(~mask, 0), MASK: mask.long()}
