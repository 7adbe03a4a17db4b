"""Encode texts and words as sub-words, each between the special sub-words of its tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.columns.arrays import ranges
from stages.columns.names import SPACE_BEFORE_WORDS
from stages.pipeline.errors import DataError, ModelError
from stages.pipeline.json_files import read_json
from stages.pipeline.paths import TOKENIZER_CONFIG
from stages.tasks.encoding.tokenizer_backends import TokenizerBackend, tokenizer_backend

Ids: TypeAlias = NDArray[np.int32]
Types: TypeAlias = NDArray[np.int8]

LONGEST_ROW = 512
"""The default of `max_length`: attention over longer rows costs more than windows do."""

_NOT_A_WORD = "a"
_PROBES = 100
"""How many sub-words are looked at for one that a text can have."""
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
class RowTemplate:
    """How a row of one text or of two is laid out.

    BERT: [CLS] text [SEP], and [CLS] first [SEP] second [SEP] with the types 0 0 0 1 1. RoBERTa: <s> first </s></s> second </s>,
    all of type 0. XLNet: text <sep> <cls> with the types 0 0 2.
    """

    special: tuple[Ids, ...]
    """The special sub-words before the first text, behind it, and behind the second one if there is one."""
    special_types: tuple[Types, ...]
    """Their token types."""
    text_types: tuple[int, ...]
    """The token type of each text."""

    @classmethod
    def of(cls, backend: TokenizerBackend, *texts: str) -> "RowTemplate":
        """Read the layout off the row of `texts`, each of which has at least one sub-word."""
        (codes, types), text_of = backend.row(*texts)
        ids, kinds, owners = np.array(codes, np.int32), np.array(types, np.int8), np.array(text_of)
        bounds = [0]
        for number in range(len(texts)):
            first, last = np.flatnonzero(owners == number)[[0, -1]]
            if first < bounds[-1]:
                raise ModelError(
                    "the tokenizer puts the second text before the first, which is not supported; choose another model"
                )
            bounds += [int(first), int(last) + 1]
        parts = np.split(np.arange(len(ids)), bounds[1:])
        inside = [kinds[part] for part in parts[1::2]]
        assert all(len(set(kind.tolist())) == 1 for kind in inside), "a text has one token type"
        special = parts[::2]
        return cls(
            tuple(ids[part] for part in special),
            tuple(kinds[part] for part in special),
            tuple(int(kind[0]) for kind in inside),
        )

    @property
    def largest_type(self) -> int:
        """Return the largest token type."""
        return max(*self.text_types, *(int(types.max(initial=0)) for types in self.special_types))

    @property
    def specials(self) -> int:
        """Return how many special sub-words a row has."""
        return sum(map(len, self.special))

    @property
    def has_types(self) -> bool:
        """Return whether not all token types are 0."""
        return any(self.text_types) or any(types.any() for types in self.special_types)

    def row(self, *texts: Ids) -> Ids:
        """Return the sub-words of the texts with the special ones around them."""
        return np.concatenate([self.special[0], *chain(*zip(texts, self.special[1:], strict=True))])

    def row_types(self, *lengths: int) -> Types:
        """Return the token types of such a row, from the number of sub-words of each text."""
        of_texts = (np.full(length, kind, np.int8) for length, kind in zip(lengths, self.text_types, strict=True))
        return np.concatenate([self.special_types[0], *chain(*zip(of_texts, self.special_types[1:], strict=True))])


class SubwordEncoder:
    """A tokenizer as the `download` stage wrote it, without truncation or padding."""

    def __init__(self, folder: Path, max_length: int | None) -> None:
        """`max_length`: the most sub-words in a row; None for what the model takes, up to `LONGEST_ROW`.

        Raises ModelError if the folder holds no usable tokenizer or the model takes fewer than `max_length`.
        """
        self._settings = read_json(folder / TOKENIZER_CONFIG)
        self._backend = tokenizer_backend(folder)
        self.model_limit = int(str(self._settings["model_max_length"]))
        """The most sub-words that the model takes in a row."""
        if max_length is not None and max_length > self.model_limit:
            raise ModelError(
                f"tokenize.max_length={max_length}: the model takes {self.model_limit} at most; lower it or set null"
            )
        self.max_length = max_length or min(self.model_limit, LONGEST_ROW)
        self.words = 0
        """How many words were encoded so far."""
        self.lost_words = 0
        """How many of the words that were encoded so far have no sub-word of their own."""
        self._lost: set[str] = set()
        self._known: dict[str, int] = {}
        self._remembered = _NO_WORDS

    @cached_property
    def template(self) -> RowTemplate:
        """Return how a row of one text is laid out."""
        return RowTemplate.of(self._backend, self._probe)

    @cached_property
    def pair_template(self) -> RowTemplate:
        """Return how a row of a pair of texts is laid out."""
        return RowTemplate.of(self._backend, self._probe, self._probe)

    @property
    def largest_type(self) -> int:
        """Return the largest token type of a pair, 1 at least."""
        try:
            return max(1, self.pair_template.largest_type)
        except ModelError:
            return 1

    @cached_property
    def _probe(self) -> str:
        """Return a text with a sub-word at least."""
        codes = self._backend.ordinary_codes()
        texts = (_NOT_A_WORD, *(self._backend.decode(code) for code in codes[:: max(1, len(codes) // _PROBES)]))
        for text in texts:
            if self._backend.encode_texts([text])[0]:
                return text
        raise ModelError("the tokenizer gives no sub-word for any text; choose another model")

    @property
    def capacity(self) -> int:
        """Return how many sub-words of an example fit into a row."""
        return self.max_length - self.template.specials

    @property
    def padding_id(self) -> int:
        """Return the code of the padding sub-word."""
        return self._code("pad_token")

    @property
    def padding_side(self) -> Literal["left", "right"]:
        """Return the side on which the tokenizer pads rows."""
        return "left" if self._settings.get("padding_side") == "left" else "right"

    @cached_property
    def unknown_id(self) -> int | None:
        """Return the code of what stands for text that is not in the vocabulary; None if no such text can be told by it."""
        if self._settings.get("unk_token") is None:
            return None
        code = self._code("unk_token")
        return None if any((part == code).any() for part in self.template.special) else code  # GPT-2's ends texts too

    def ordinary_codes(self) -> Ids:
        """Return the codes of all sub-words but the special ones, sorted."""
        return np.array(self._backend.ordinary_codes(), np.int32)

    def encode_texts(self, texts: Sequence[str]) -> list[Ids]:
        """Return the sub-words of each text, without special ones."""
        return [np.array(ids, np.int32) for ids in self._backend.encode_texts(texts)]

    def words_of_sentences(self, words: pa.Array, lengths: NDArray[np.int64]) -> pa.Array:
        """Return words as the tokenizer takes them, [words], from those of sentences of these lengths.

        All but the first of a sentence have a space before them if its configuration says so.
        """
        if not self._settings.get(SPACE_BEFORE_WORDS):
            return words
        starts = np.cumsum(lengths) - lengths
        is_first = np.isin(np.arange(len(words)), starts)
        return pc.if_else(is_first, words, pc.binary_join_element_wise("", words, " "))

    def encode_words(self, words: pa.Array) -> WordPieces:
        """Return the sub-words of words (strings, shape [words]). Every word has at least one.

        A word that the tokenizer gives nothing for (control or zero-width characters) is shown to the model as the
        unknown sub-word, so that it is predicted and scored like any other, and shifts no label.

        Words given one by one are tokenized each by itself, whatever stands beside them; so each is tokenized once,
        and remembered.
        """
        self.words += len(words)
        coded = words.dictionary_encode()
        distinct = coded.dictionary.to_pylist()
        if len(self._known) > _MOST_REMEMBERED:
            self._known, self._remembered = {}, _NO_WORDS
        new = [word for word in distinct if word not in self._known]
        if new:
            self._remembered = self._remembered.followed_by(self._encode_anew(new))
            self._known.update(zip(new, count(len(self._known))))
        lost = [place for place, word in enumerate(distinct) if word in self._lost]
        if lost:
            self.lost_words += int(np.isin(coded.indices.to_numpy(), lost).sum())
        indices = np.fromiter((self._known[word] for word in distinct), np.int64, len(distinct))
        return self._remembered.take(indices[coded.indices.to_numpy()])

    def _encode_anew(self, words: Sequence[str]) -> WordPieces:
        """Encode words that are not cached."""
        found = self._backend.encode_words(words)
        self._lost.update(word for word, ids in zip(words, found, strict=True) if not ids)
        codes = [ids or [self._stand_in] for ids in found]
        lengths = np.fromiter(map(len, codes), np.int32, len(codes))
        return WordPieces(np.fromiter(chain.from_iterable(codes), np.int32), lengths)

    @cached_property
    def _stand_in(self) -> int:
        """Return the code for a word or row without sub-words: the unknown token, or the first of others that there is."""
        for name in ("unk_token", "mask_token", "eos_token", "bos_token"):
            if self._settings.get(name) is not None:
                return self._code(name)
        raise DataError("data: the tokenizer gives no sub-word for a word, and has no unknown token; remove such words")

    def row(self, template: RowTemplate, *texts: Ids) -> tuple[Ids, Types]:
        """Return the sub-words and token types of a row, which has one at least: a row of none can't be computed."""
        if not template.specials and not any(map(len, texts)):
            texts = (np.array([self._stand_in], np.int32), *texts[1:])
        return template.row(*texts), template.row_types(*map(len, texts))

    def _code(self, name: str) -> int:
        """Return the code of a special sub-word by its name in the tokenizer's configuration."""
        code = self._backend.code(str(self._settings[name]))
        assert code is not None, "download has checked it"
        return code
