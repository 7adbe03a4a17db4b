"""Sentences as rows, the tag of each word on the sub-words where `label_on` says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

from stages.columns.arrays import as_lists, flat, flat_strings, lengths, ranges
from stages.columns.names import (
    EXAMPLE,
    IGNORED,
    INPUT_IDS,
    LABELS,
    SUBWORDS,
    TAGS,
    TOKEN_TYPES,
    TOKENS,
    WORDS,
    label_names,
)
from stages.configuration.schema import LabelOn, TokenizeConfig
from stages.tags.schemes import inside_tag
from stages.tasks.encoding.subwords import Ids, SubwordEncoder
from stages.tasks.encoding.text_encoding import token_type_features
from stages.tasks.encoding.windows import cut, effective_stride


class TokensEncoding:
    """One row a sentence, or a row a window where it is longer than one."""

    takes = (TOKENS, TAGS)
    pretokenized = True

    def features(self, raw: Features, encoder: SubwordEncoder) -> Features:
        """Return `example`, `subwords`, and lists of `input_ids`, of `labels` (tags as in `raw`) and of `words`.

        Where the tokenizer gives any but 0, there are `token_type_ids` too.
        """
        return Features({
            EXAMPLE: Value("int32"),
            SUBWORDS: Value("int32"),
            INPUT_IDS: List(Value("int32")),
            LABELS: raw[TAGS],
            WORDS: List(Value("int32")),
            **token_type_features(raw, encoder),
        })  # fmt: skip

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """Return one row a sentence, or a row a window. Sub-words that `label_on` does not name have the label `IGNORED`.

        Sentences without words and windows inside a word longer than a row have nothing to read, and give no row.
        """
        sentences = _align(raw, encoder, config.label_on, label_names(raw.features))
        found = cut(sentences.lengths, encoder, effective_stride(config.stride, encoder))
        starts = found.start + (np.cumsum(sentences.lengths) - sentences.lengths)[found.example]
        read_before = np.concatenate([[0], np.cumsum(sentences.words >= 0)])
        is_read = read_before[starts + found.length] > read_before[starts]
        template, rows = encoder.template, _Rows(starts[is_read], found.length[is_read])
        whole = sentences.lengths[found.example[is_read]] + template.specials
        types = np.full(len(sentences.ids), template.text_types[0], np.int8)

        def filled(value: int) -> tuple[Ids, ...]:
            return tuple(np.full_like(part, value) for part in template.special)

        return {
            EXAMPLE: pa.array((first_example + found.example[is_read]).astype(np.int32)),
            SUBWORDS: pa.array(whole.astype(np.int32)),
            INPUT_IDS: rows.between(sentences.ids, *template.special),
            LABELS: rows.between(sentences.labels, *filled(IGNORED)),
            WORDS: rows.between(sentences.words, *filled(-1)),
            TOKEN_TYPES: rows.between(types, *template.special_types),
        }


@dataclass(frozen=True)
class _Sentences:
    """The sub-words of sentences, one sentence after the other, without special ones."""

    lengths: NDArray[np.int64]
    """[sentences]: how many sub-words each has."""
    ids: Ids
    """[sub-words]."""
    labels: NDArray[np.int64]
    """[sub-words]: the label, or `IGNORED`."""
    words: Ids
    """[sub-words]: the place in its sentence of the word that is read there, or -1."""


def _align(raw: Dataset, encoder: SubwordEncoder, label_on: LabelOn, names: Sequence[str]) -> _Sentences:
    length, tags = lengths(raw, TOKENS), flat(raw, TAGS)
    pieces = encoder.encode_words(encoder.words_of_sentences(flat_strings(raw, TOKENS), length))
    ends = np.cumsum(pieces.lengths, dtype=np.int64)
    read_at = ends - (1 if label_on == "last" else pieces.lengths)
    words = np.full(len(pieces.ids), -1, np.int32)
    words[read_at] = ranges(np.zeros_like(length), length)
    labels = np.full(len(pieces.ids), IGNORED, np.int64)
    if label_on == "all":
        labels = np.repeat(_inside_codes(names)[tags], pieces.lengths)
    labels[read_at] = tags
    ends_of_sentences = np.concatenate([[0], ends])[np.cumsum(length)]
    return _Sentences(np.diff(ends_of_sentences, prepend=0), pieces.ids, labels, words)


def _inside_codes(names: Sequence[str]) -> NDArray[np.int64]:
    """Return the code for the sub-words after a word's first, by the word's code, [labels + 1]; the last is -1 for -1."""
    codes = {name: code for code, name in enumerate(names)}
    return np.array([*(codes[inside_tag(name, codes)] for name in names), -1], np.int64)


@dataclass(frozen=True)
class _Rows:
    """Windows on flat arrays of sub-words."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def between(
        self, values: NDArray[np.integer], before: NDArray[np.integer], behind: NDArray[np.integer]
    ) -> pa.ListArray:
        """Return the rows' slices of `values`, [sub-words], each between `before` and `behind`."""
        lengths = self.lengths + len(before) + len(behind)
        ends = np.cumsum(lengths)
        framed = np.empty(lengths.sum(), values.dtype)
        framed[ranges(ends - lengths, np.full_like(lengths, len(before)))] = np.tile(before, len(lengths))
        framed[ranges(ends - len(behind), np.full_like(lengths, len(behind)))] = np.tile(behind, len(lengths))
        framed[ranges(ends - lengths + len(before), self.lengths)] = values[ranges(self.starts, self.lengths)]
        return as_lists(framed, lengths)
