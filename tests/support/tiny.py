"""Tiny models with random weights and a real tokenizer, made on the spot: seconds, not minutes, and no network."""

import json
import string
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [
    "the",
    "a",
    "to",
    "in",
    "is",
    "was",
    "and",
    "of",
    "my",
    "order",
    "never",
    "great",
    "bad",
    "city",
    "team",
    "paris",
]


def write_tiny_model(
    folder: Path,
    *,
    family: str = "bert",
    seed: int = 0,
    words: Sequence[str] = WORDS,
    dropout: float = 0.1,
    width: int = 32,
) -> Path:
    """A model folder as `save_pretrained` writes it: 2 layers, 128 positions, WordPiece of letters and a few words."""
    folder.mkdir(parents=True)
    size = write_tiny_tokenizer(folder, words)
    torch.manual_seed(seed)
    shape: dict[str, float] = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": width}
    shape |= {"intermediate_size": 64, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    if family == "distilbert":
        shape = {
            "n_layers": 2,
            "n_heads": 2,
            "dim": width,
            "hidden_dim": 64,
            "dropout": dropout,
            "attention_dropout": dropout,
        }
    positions = 130 if family == "roberta" else 128
    config = AutoConfig.for_model(family, vocab_size=size, max_position_embeddings=positions, pad_token_id=0, **shape)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def write_tiny_tokenizer(folder: Path, words: Sequence[str] = WORDS) -> int:
    """Write `tokenizer.json` and its settings; returns the vocabulary's size."""
    letters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*SPECIAL, *words, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 128, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)
