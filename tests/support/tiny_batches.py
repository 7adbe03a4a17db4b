"""Tiny models of every packed family and of two decoders with random weights, and padded batches for them."""

from collections.abc import Sequence

import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, PreTrainedModel

from benchmarks.shapes import Shape, configuration

HEADS = {"text": AutoModelForSequenceClassification, "tokens": AutoModelForTokenClassification}
PAD = 1
"""RoBERTa's own, behind which its positions start."""


def model_of(family: str, kind: str, rate: float = 0.0, layers: int = 3) -> PreTrainedModel:
    """A model in training mode whose weights are large enough for a mistake to show."""
    torch.manual_seed(0)
    shape = Shape(layers, heads=2, width=32, inner=64, window=8)
    config = configuration(
        family, shape, pad=PAD, dropout=rate, vocab_size=70, max_position_embeddings=130, num_labels=3
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
