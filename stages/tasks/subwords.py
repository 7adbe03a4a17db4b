"""Texts and words to sub-words, straight on the `tokenizers` library (transformers takes 2.5 s to import)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages.pipeline.errors import DataError, ModelError
from stages.pipeline.json_files import read_json
from stages.tasks.pair_template import PairTemplate, pair_template

Ids: TypeAlias = NDArray[np.int32]

_NOT_A_WORD = "a"
_TOKENIZER = "tokenizer.json"
_SETTINGS = "tokenizer_config.json"


@dataclass(frozen=True)
class WordPieces:
    """The sub-words of one sentence of words, without special sub-words; both arrays have shape [sub-words]."""

    ids: Ids
    first_of_word: Ids
    """The word's index where a word begins, -1 elsewhere."""


class SubwordEncoder:
    """A tokenizer as the `download` stage wrote it, without truncation or padding."""

    def __init__(self, folder: Path, max_length: int | None, *, pretokenized: bool) -> None:
        """`max_length`: sub-words in a row at most; None takes what the model takes. `pretokenized`: words, not texts.

        Raises ModelError if the folder holds no usable tokenizer or the model takes fewer than `max_length`.
        """
        self._settings = read_json(folder / _SETTINGS)
        tokenizer = read_json(folder / _TOKENIZER)
        if pretokenized:
            _add_prefix_space(tokenizer["pre_tokenizer"])
        self._tokenizer = Tokenizer.from_str(json.dumps(tokenizer))
        model_limit = int(str(self._settings["model_max_length"]))
        if max_length is not None and max_length > model_limit:
            raise ModelError(
                f"tokenize.max_length={max_length}: the model takes {model_limit} at most; lower it or set null"
            )
        self.max_length = max_length or model_limit

    @cached_property
    def special(self) -> tuple[Ids, Ids]:
        """The special sub-words that stand before and behind every row."""
        encoding = self._tokenizer.encode(_NOT_A_WORD)
        mask = np.array(encoding.special_tokens_mask)
        inside = np.flatnonzero(mask == 0)
        ids = np.array(encoding.ids, np.int32)
        return ids[: inside[0]], ids[inside[-1] + 1 :]

    @cached_property
    def pair_template(self) -> PairTemplate:
        """Where special sub-words and token types stand in a row of a pair of texts."""
        return pair_template(self._tokenizer, _NOT_A_WORD)

    @property
    def capacity(self) -> int:
        """Sub-words of the example itself that fit into a row."""
        before, behind = self.special
        return self.max_length - len(before) - len(behind)

    def row(self, ids: Ids) -> list[int]:
        """`ids` between the special sub-words."""
        before, behind = self.special
        return [int(index) for index in np.concatenate([before, ids, behind])]

    def encode_texts(self, texts: Sequence[str]) -> list[Ids]:
        """The sub-words of each text, without special ones."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def encode_words(self, sentences: Sequence[Sequence[str]]) -> list[WordPieces]:
        """The sub-words of each sentence of words. Every word has at least one.

        A word that the tokenizer gives nothing for (control or zero-width characters) is shown to the model as the
        unknown sub-word, so that it is predicted and scored like any other, and shifts no label.
        """
        encodings = self._tokenizer.encode_batch(
            [list(words) for words in sentences], is_pretokenized=True, add_special_tokens=False
        )
        return [
            self._aligned(np.array(encoding.ids, np.int32), np.array(encoding.word_ids, np.int32), len(words))
            for encoding, words in zip(encodings, sentences, strict=True)
        ]

    def _aligned(self, ids: Ids, word_ids: Ids, words: int) -> WordPieces:
        lost = np.setdiff1d(np.arange(words, dtype=np.int32), word_ids)
        if len(lost):
            places = np.searchsorted(word_ids, lost)
            ids, word_ids = np.insert(ids, places, self._stand_in), np.insert(word_ids, places, lost)
        begins = np.diff(word_ids, prepend=-1) != 0
        return WordPieces(ids, np.where(begins, word_ids, np.int32(-1)))

    @cached_property
    def _stand_in(self) -> int:
        """What stands for a word without sub-words: the unknown sub-word, or the mask where there is none."""
        for name in ("unk_token", "mask_token"):
            token = self._settings.get(name)
            if token is not None:
                index = self._tokenizer.token_to_id(str(token))
                assert index is not None
                return int(index)
        raise DataError(
            "data: a word gives no sub-word, and the tokenizer has no unknown token to stand for it; remove such words"
        )


def _add_prefix_space(pre_tokenizer: object) -> None:
    """Byte-level BPE marks a word's beginning by the space before it, which words given one by one have lost."""
    if not isinstance(pre_tokenizer, dict):
        return
    if pre_tokenizer.get("type") == "ByteLevel":
        pre_tokenizer["add_prefix_space"] = True
    for part in pre_tokenizer.get("pretokenizers", []):
        _add_prefix_space(part)


def padding_id(folder: Path) -> int:
    """The padding sub-word's code in a tokenizer folder. Raises ModelError if it has none."""
    token = read_json(folder / _SETTINGS).get("pad_token")
    for added in read_json(folder / _TOKENIZER)["added_tokens"]:
        if added["content"] == token:
            return int(added["id"])
    raise ModelError(f"{folder}: the tokenizer has no padding token; choose a model whose tokenizer has one")
