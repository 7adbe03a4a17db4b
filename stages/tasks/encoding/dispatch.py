"""The one place where the kind of task decides how examples are encoded."""

from collections.abc import Mapping

from stages.configuration.schema import Kind
from stages.tasks.encoding.base import Encoding
from stages.tasks.encoding.text import TextEncoding
from stages.tasks.encoding.tokens import TokensEncoding

_ENCODINGS: Mapping[Kind, Encoding] = {"text": TextEncoding(), "tokens": TokensEncoding()}


def encoding_for(kind: Kind) -> Encoding:
    """How tasks of this kind encode examples."""
    return _ENCODINGS[kind]
