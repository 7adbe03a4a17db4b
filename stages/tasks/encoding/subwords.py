"""Encode texts and words as sub-words, with the `tokenizers` library alone: transformers takes 2.5 s to import."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages.columns.arrays import ranges
from stages.pipeline.errors import DataError, ModelError
from stages.pipeline.json_files import read_json

Ids: TypeAlias = NDArray[np.int32]

LONGEST_ROW = 512
"""The default of `max_length`: attention over longer rows costs more than windows do."""

_NOT_A_WORD = "a"
_TOKENIZER = "tokenizer.json"
_SETTINGS = "tokenizer_config.json"
_WORDS_AT_ONCE = 64
_MOST_REMEMBERED = 1 << 18
"""Distinct words after which the cache is emptied, so that memory does not grow with the data."""


@dataclass(frozen=True)
class WordPieces:
    """The sub-words of words, one word after the other, without special sub-words."""

    ids: Ids
    """[sub-words]."""
    lengths: Ids
    """[words]: how many sub-words each has, 1 at least."""

    def take(self, words: NDArray[np.int64]) -> "WordPieces":
        """Return the sub-words of the words at these indices, in their order."""
        starts = np.cumsum(self.lengths, dtype=np.int64) - self.lengths
        lengths = self.lengths[words]
        return WordPieces(self.ids[ranges(starts[words], lengths)], lengths)

    def followed_by(self, others: "WordPieces") -> "WordPieces":
        """Return these words followed by `others`."""
        return WordPieces(np.concatenate([self.ids, others.ids]), np.concatenate([self.lengths, others.lengths]))


_NO_WORDS = WordPieces(np.zeros(0, np.int32), np.zeros(0, np.int32))


@dataclass(frozen=True)
class PairTemplate:
    """BERT: [CLS] first [SEP] second [SEP], of types 0 0 0 1 1. RoBERTa: <s> first </s></s> second </s>, all of type 0."""

    before: NDArray[np.int32]
    between: NDArray[np.int32]
    behind: NDArray[np.int32]
    types: tuple[int, int, int, int, int]
    """The token types of `before`, the first text, `between`, the second text and `behind`."""

    @property
    def specials(self) -> int:
        """Return how many special sub-words a pair has."""
        return len(self.before) + len(self.between) + len(self.behind)

    @property
    def has_types(self) -> bool:
        """Return whether the texts have different types."""
        return any(self.types)

    def row(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the sub-words of both texts with the special ones around them."""
        return np.concatenate([self.before, first, self.between, second, self.behind])

    def row_types(self, first: int, second: int) -> NDArray[np.int8]:
        """Return the token types of such a row, from the numbers of sub-words of both texts."""
        parts = (len(self.before), first, len(self.between), second, len(self.behind))
        return np.repeat(np.array(self.types, np.int8), parts)


class SubwordEncoder:
    """A tokenizer as the `download` stage wrote it, without truncation or padding."""

    def __init__(self, folder: Path, max_length: int | None, *, pretokenized: bool) -> None:
        """`max_length`: sub-words in a row at most; None takes what the model takes, up to `LONGEST_ROW`.

        `pretokenized`: words, not texts.
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
        self.max_length = max_length or min(model_limit, LONGEST_ROW)
        self._known: dict[str, int] = {}
        self._remembered = _NO_WORDS

    @cached_property
    def special(self) -> tuple[Ids, Ids]:
        """Return the special sub-words at the start and the end of every row."""
        encoding = self._tokenizer.encode(_NOT_A_WORD)
        mask = np.array(encoding.special_tokens_mask)
        inside = np.flatnonzero(mask == 0)
        ids = np.array(encoding.ids, np.int32)
        return ids[: inside[0]], ids[inside[-1] + 1 :]

    @cached_property
    def pair_template(self) -> PairTemplate:
        """Return how a row of a pair of texts is laid out."""
        return _pair_template(self._tokenizer, _NOT_A_WORD)

    @property
    def capacity(self) -> int:
        """Return how many sub-words of an example fit into a row."""
        before, behind = self.special
        return self.max_length - len(before) - len(behind)

    def row(self, ids: Ids) -> Ids:
        """Return `ids` between the special sub-words."""
        before, behind = self.special
        return np.concatenate([before, ids, behind])

    def encode_texts(self, texts: Sequence[str]) -> list[Ids]:
        """Return the sub-words of each text, without special ones."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def encode_words(self, words: pa.Array) -> WordPieces:
        """Return the sub-words of words (strings, shape [words]). Every word has at least one.

        A word that the tokenizer gives nothing for (control or zero-width characters) is shown to the model as the
        unknown sub-word, so that it is predicted and scored like any other, and shifts no label.

        Words given one by one are tokenized each by itself, whatever stands beside them; so each is tokenized once,
        and remembered.
        """
        coded = words.dictionary_encode()
        distinct = coded.dictionary.to_pylist()
        if len(self._known) > _MOST_REMEMBERED:
            self._known, self._remembered = {}, _NO_WORDS
        new = [word for word in distinct if word not in self._known]
        if new:
            self._remembered = self._remembered.followed_by(self._encode_anew(new))
            self._known.update(zip(new, count(len(self._known))))
        indices = np.fromiter((self._known[word] for word in distinct), np.int64, len(distinct))
        return self._remembered.take(indices[coded.indices.to_numpy()])

    def _encode_anew(self, words: Sequence[str]) -> WordPieces:
        """Encode words that are not cached, many in one call, because a call costs more than a word."""
        together = [words[start : start + _WORDS_AT_ONCE] for start in range(0, len(words), _WORDS_AT_ONCE)]
        encodings = self._tokenizer.encode_batch(together, is_pretokenized=True, add_special_tokens=False)
        ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), np.int32)
        word = np.concatenate(
            [np.array(encoding.word_ids, np.int64) + place * _WORDS_AT_ONCE for place, encoding in enumerate(encodings)]
        )
        lengths = np.bincount(word, minlength=len(words)).astype(np.int32)
        lost = np.flatnonzero(lengths == 0)
        if len(lost):
            ids = np.insert(ids, np.searchsorted(word, lost), self._stand_in)
            lengths[lost] = 1
        return WordPieces(ids, lengths)

    @cached_property
    def _stand_in(self) -> int:
        """Return the code for a word without sub-words: the unknown token, or the mask token if there is none."""
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
    """Let byte-level BPE see the space before a word, which marks its beginning and which single words lack."""
    if not isinstance(pre_tokenizer, dict):
        return
    if pre_tokenizer.get("type") == "ByteLevel":
        pre_tokenizer["add_prefix_space"] = True
    for part in pre_tokenizer.get("pretokenizers", []):
        _add_prefix_space(part)


def _pair_template(tokenizer: Tokenizer, text: str) -> PairTemplate:
    """Read the layout of a pair off the encoding of `text`, which has at least one sub-word, paired with itself."""
    encoding = tokenizer.encode(text, text)
    ids, types = np.array(encoding.ids, np.int32), encoding.type_ids
    sequence = np.array([-1 if part is None else part for part in encoding.sequence_ids])
    (first, last), (second, end) = ((np.flatnonzero(sequence == part)[[0, -1]]) for part in (0, 1))
    assert last < second, "the second text stands behind the first"
    parts = (
        slice(0, first),
        slice(first, last + 1),
        slice(last + 1, second),
        slice(second, end + 1),
        slice(end + 1, None),
    )
    kinds = [set(types[part]) or {0} for part in parts]
    assert all(len(kind) == 1 for kind in kinds), "a part of a pair has one type"
    before, _, between, _, behind = (ids[part] for part in parts)
    a, b, c, d, e = (kind.pop() for kind in kinds)
    return PairTemplate(before, between, behind, (a, b, c, d, e))
