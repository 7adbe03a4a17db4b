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
    TOKENS,
    WORDS,
    label_names,
)
from stages.configuration.schema import LabelOn, TokenizeConfig
from stages.tags.schemes import inside_tag
from stages.tasks.encoding.subwords import Ids, SubwordEncoder
from stages.tasks.encoding.windows import cut, effective_stride


class TokensEncoding:
    """One row a sentence, or a row a window where it is longer than one."""

    takes = (TOKENS, TAGS)
    pretokenized = True

    def features(self, raw: Features, encoder: SubwordEncoder) -> Features:
        """Return `example`, `subwords`, and lists of `input_ids`, of `labels` (tags as in `raw`) and of `words`."""
        return Features({
            EXAMPLE: Value("int32"),
            SUBWORDS: Value("int32"),
            INPUT_IDS: List(Value("int32")),
            LABELS: raw[TAGS],
            WORDS: List(Value("int32")),
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
        rows = _Rows(starts[is_read], found.length[is_read], *encoder.special)
        whole = sentences.lengths[found.example[is_read]] + encoder.max_length - encoder.capacity
        return {
            EXAMPLE: pa.array((first_example + found.example[is_read]).astype(np.int32)),
            SUBWORDS: pa.array(whole.astype(np.int32)),
            INPUT_IDS: rows.between_special(sentences.ids),
            LABELS: rows.between(sentences.labels, IGNORED),
            WORDS: rows.between(sentences.words, -1),
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
    pieces = encoder.encode_words(flat_strings(raw, TOKENS))
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
    """Windows on flat arrays of sub-words, and the special sub-words around each."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    before: Ids
    behind: Ids

    def between_special(self, values: Ids) -> pa.ListArray:
        """Return the rows' slices of `values`, [sub-words], between the special sub-words."""
        return self._framed(values, self.before, self.behind)

    def between(self, values: NDArray[np.integer], filler: int) -> pa.ListArray:
        """Return the same with `filler` in place of the special sub-words."""
        return self._framed(values, np.full_like(self.before, filler), np.full_like(self.behind, filler))

    def _framed(self, values: NDArray[np.integer], before: Ids, behind: Ids) -> pa.ListArray:
        lengths = self.lengths + len(before) + len(behind)
        ends = np.cumsum(lengths)
        framed = np.empty(lengths.sum(), values.dtype)
        framed[ranges(ends - lengths, np.full_like(lengths, len(before)))] = np.tile(before, len(lengths))
        framed[ranges(ends - len(behind), np.full_like(lengths, len(behind)))] = np.tile(behind, len(lengths))
        framed[ranges(ends - lengths + len(before), self.lengths)] = values[ranges(self.starts, self.lengths)]
        return as_lists(framed, lengths)
