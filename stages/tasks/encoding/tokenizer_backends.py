"""Tokenizers behind one interface: of the `tokenizers` library, or in Python if a family has no fast tokenizer.

The `tokenizers` library takes 0.05 s to import and transformers 2.5 s, so transformers is imported only if it is needed.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from tokenizers import Tokenizer

from stages.pipeline.errors import ModelError, first_line
from stages.pipeline.json_files import read_json
from stages.pipeline.paths import TOKENIZER_CONFIG, TOKENIZER_JSON

_WHOLE = "PreTrainedTokenizerFast"
"""The class of a tokenizer that is all in `tokenizer.json`."""

Row: TypeAlias = tuple[list[int], list[int]]
"""The codes and the token types of the sub-words of a row."""


class TokenizerBackend(Protocol):
    """What encoding asks of a tokenizer."""

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the codes of each text, without special sub-words."""

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Return the codes of each word by itself, without special sub-words. A word may have none."""

    def row(self, first: str, second: str | None = None) -> tuple[Row, list[int]]:
        """Return the row of a text or of a pair, and for each sub-word which text it belongs to: 0, 1, or -1 if special."""

    def code(self, subword: str) -> int | None:
        """Return the code of a sub-word."""

    def ordinary_codes(self) -> list[int]:
        """Return the codes of all sub-words but the special ones, sorted."""

    def decode(self, code: int) -> str:
        """Return the text of a sub-word."""


def tokenizer_backend(folder: Path) -> TokenizerBackend:
    """Return the tokenizer in the folder: in Python, if its configuration names a class that is more than `tokenizer.json`."""
    if read_json(folder / TOKENIZER_CONFIG).get("tokenizer_class", _WHOLE) == _WHOLE:
        return FastBackend(Tokenizer.from_str(json.dumps(read_json(folder / TOKENIZER_JSON))))
    return PythonBackend(folder)


class FastBackend:
    """A tokenizer of the `tokenizers` library."""

    _WORDS_AT_ONCE = 64
    """Words in one call: a call costs more than a word."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """`tokenizer`: must have no truncation or padding."""
        self._tokenizer = tokenizer

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the codes of each text, without special sub-words."""
        return [each.ids for each in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Return the codes of each word by itself, without special sub-words."""
        starts = range(0, len(words), self._WORDS_AT_ONCE)
        together = [words[start : start + self._WORDS_AT_ONCE] for start in starts]
        encodings = self._tokenizer.encode_batch(together, is_pretokenized=True, add_special_tokens=False)
        codes: list[list[int]] = [[] for _ in words]
        for start, encoding in zip(starts, encodings, strict=True):
            for code, word in zip(encoding.ids, encoding.word_ids, strict=True):
                assert word is not None, "there are no special sub-words"
                codes[start + word].append(code)
        return codes

    def row(self, first: str, second: str | None = None) -> tuple[Row, list[int]]:
        """Return the row of a text or of a pair, and the text of each sub-word."""
        encoding = self._tokenizer.encode(first, second)
        texts = [-1 if text is None else text for text in encoding.sequence_ids]
        return (encoding.ids, encoding.type_ids), texts

    def code(self, subword: str) -> int | None:
        """Return the code of a sub-word."""
        return self._tokenizer.token_to_id(subword)

    def ordinary_codes(self) -> list[int]:
        """Return the codes of all sub-words but the special ones, sorted."""
        special = {code for code, added in self._tokenizer.get_added_tokens_decoder().items() if added.special}
        return sorted(set(self._tokenizer.get_vocab(with_added_tokens=False).values()) - special)

    def decode(self, code: int) -> str:
        """Return the text of a sub-word."""
        return str(self._tokenizer.decode([code]))


class PythonBackend:
    """A tokenizer that transformers has in Python alone. It encodes one text or word at a time."""

    def __init__(self, folder: Path) -> None:
        """Load it from the folder. Raise ModelError if it can't be loaded."""
        from transformers import AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(f"{folder}: the tokenizer can't be loaded ({first_line(error)})") from error

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the codes of each text, without special sub-words."""
        return [self._codes(text) for text in texts]

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Return the codes of each word by itself, without special sub-words."""
        return [self._codes(word) for word in words]

    def row(self, first: str, second: str | None = None) -> tuple[Row, list[int]]:
        """Return the row of a text or of a pair, and the text of each sub-word.

        A tokenizer in Python does not tell where a text ends, so its codes are looked for in the row.
        """
        encoded = self._tokenizer(first, second, return_token_type_ids=True, verbose=False)
        ids: list[int] = list(encoded["input_ids"])
        texts, end = [-1] * len(ids), 0
        for number, text in enumerate((first,) if second is None else (first, second)):
            codes = self._codes(text)
            begin = next(at for at in range(end, len(ids)) if ids[at : at + len(codes)] == codes)
            end = begin + len(codes)
            texts[begin:end] = [number] * len(codes)
        return (ids, list(encoded.get("token_type_ids", [0] * len(ids)))), texts

    def code(self, subword: str) -> int | None:
        """Return the code of a sub-word."""
        return self._tokenizer.get_vocab().get(subword)

    def ordinary_codes(self) -> list[int]:
        """Return the codes of all sub-words but the special ones, sorted."""
        codes = set(self._tokenizer.get_vocab().values()) or set(range(self._tokenizer.vocab_size))
        special = {code for code, added in self._tokenizer.added_tokens_decoder.items() if added.special}
        return sorted(codes - special - set(self._tokenizer.all_special_ids))

    def decode(self, code: int) -> str:
        """Return the text of a sub-word."""
        return str(self._tokenizer.decode([code]))

    def _codes(self, text: str) -> list[int]:
        codes: list[int] = self._tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return codes
