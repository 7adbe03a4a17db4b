"""Texts and pairs of texts as rows, each with what the text is labelled with: one label, several, or a number."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

from stages.configuration.schema import Kind, TokenizeConfig
from stages.tasks.columns.names import EXAMPLE, INPUT_IDS, LABEL, LABELS, SECOND_TEXT, SUBWORDS, TEXT, TOKEN_TYPES
from stages.tasks.encoding.pairs import pair_rows
from stages.tasks.encoding.subwords import Ids, SubwordEncoder
from stages.tasks.encoding.windows import shared, windows


class TextEncoding:
    """One row a text or pair, or a row a window where it is longer than one."""

    kind: Kind = "text"

    def features(self, raw: Features) -> Features:
        """`example`, `subwords`, `input_ids` and `labels`: as in `raw`, but numbers in float32, as models compute."""
        label = raw[LABEL]
        return Features({
            EXAMPLE: Value("int32"),
            SUBWORDS: Value("int32"),
            INPUT_IDS: List(Value("int32")),
            LABELS: Value("float32") if isinstance(label, Value) else label,
        })  # fmt: skip

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """One row a text or pair, or a row a window where `overflow` is `windows`; token types for pairs alone."""
        encoded = _pairs(raw, encoder, config) if SECOND_TEXT in raw.column_names else _texts(raw, encoder, config)
        rows: dict[str, list[object]] = {EXAMPLE: [], SUBWORDS: [], INPUT_IDS: [], TOKEN_TYPES: [], LABELS: []}
        for example, ((subwords, windows_of_one), label) in enumerate(
            zip(encoded, raw[LABEL][:], strict=True), first_example
        ):
            for ids, types in windows_of_one:
                rows[EXAMPLE].append(example)
                rows[SUBWORDS].append(subwords)
                rows[INPUT_IDS].append(ids)
                rows[TOKEN_TYPES].append(types)
                rows[LABELS].append(label)
        return rows


_Encoded = tuple[int, list[tuple[Ids, NDArray[np.int8] | None]]]
"""How many sub-words an example has, and for each of its rows the sub-words, and token types where there are any."""


def _texts(raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig) -> Iterator[_Encoded]:
    specials = encoder.max_length - encoder.capacity
    for ids in encoder.encode_texts(raw[TEXT][:]):
        yield len(ids) + specials, [(encoder.row(ids[window]), None) for window in _windows(ids, encoder, config)]


def _windows(ids: Ids, encoder: SubwordEncoder, config: TokenizeConfig) -> list[slice]:
    if config.overflow == "truncate":
        return [slice(0, encoder.capacity)]
    return windows(len(ids), encoder, shared(config.stride, encoder))


def _pairs(raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig) -> Iterator[_Encoded]:
    specials = encoder.pair_template.specials
    first, second = (encoder.encode_texts(raw[column][:]) for column in (TEXT, SECOND_TEXT))
    for a, b in zip(first, second, strict=True):
        yield len(a) + len(b) + specials, [*pair_rows(a, b, encoder, config)]
