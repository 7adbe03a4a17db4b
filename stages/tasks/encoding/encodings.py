"""How each kind of task makes a raw split a tokenized one, and the one place where the kind decides it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from datasets import Dataset, Features

from stages.configuration.schema import TokenizeConfig
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.encoding.text_encoding import TextEncoding
from stages.tasks.encoding.tokens_encoding import TokensEncoding


class Encoding(Protocol):
    """What the tokenize stage asks of a kind of task."""

    @property
    def takes(self) -> Sequence[str]:
        """The columns that a raw split must have."""

    @property
    def pretokenized(self) -> bool:
        """Whether the tokenizer is given words, and not texts."""

    def features(self, raw: Features, encoder: SubwordEncoder) -> Features:
        """Return the columns of a tokenized split."""

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """Encode a part of a raw split, whose first row is `first_example`, as columns of the tokenized split."""


_ENCODINGS: dict[str, Encoding] = {"text": TextEncoding(), "tokens": TokensEncoding()}


def register_encoding(kind: str, encoding: Encoding) -> None:
    """Let `encoding_for` find the encoding of another kind of task."""
    assert kind not in _ENCODINGS, f"{kind} is registered already"
    _ENCODINGS[kind] = encoding


def encoding_for(kind: str) -> Encoding:
    """Return how tasks of this kind encode examples."""
    return _ENCODINGS[kind]
