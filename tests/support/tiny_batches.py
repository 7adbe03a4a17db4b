"""Tiny models of every packed family and of two decoders with random weights, and padded batches for them."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

HEADS = {"text": AutoModelForSequenceClassification, "tokens": AutoModelForTokenClassification}
PAD = 1
"""RoBERTa's own, behind which its positions start."""


def shape_of(family: str, rate: float) -> dict[str, Any]:
    if family == "distilbert":
        return {"n_layers": 3, "n_heads": 2, "dim": 32, "hidden_dim": 64, "dropout": rate, "attention_dropout": rate,
                "seq_classif_dropout": rate}  # fmt: skip
    if family == "gpt2":
        return {"n_layer": 3, "n_head": 2, "n_embd": 32, "resid_pdrop": rate, "embd_pdrop": rate, "attn_pdrop": rate}
    shape = {"num_hidden_layers": 3, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}
    if family == "modernbert":  # two layers see 8 neighbours, one all
        special = dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 2)
        return {**shape, **special, "local_attention": 8, "global_attn_every_n_layers": 2, "attention_dropout": rate}
    if family == "llama":
        return {**shape, "num_key_value_heads": 1, "attention_dropout": rate}
    rates = {"hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate}
    return {**shape, **rates, **({"embedding_size": 16, "classifier_dropout_prob": rate} if family == "albert" else {})}


def model_of(family: str, kind: str, rate: float = 0.0) -> PreTrainedModel:
    """A model in training mode whose weights are large enough for a mistake to show."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, vocab_size=70, max_position_embeddings=130, pad_token_id=PAD, num_labels=3, **shape_of(family, rate)
    )
    model = HEADS[kind].from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(8)
    return model.train()


def batch_of(lengths: Sequence[int]) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    longest = max(lengths)
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(5, 70, (len(lengths), longest)).masked_fill(mask == 0, PAD)
    return {"input_ids": ids, "attention_mask": mask}


def logits_of(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Where there is no padding."""
    logits: torch.Tensor = model(**batch).logits
    return logits[batch["attention_mask"].bool()] if logits.dim() == 3 else logits
