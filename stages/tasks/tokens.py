"""Token classification: one tag for each word, read off one of the word's sub-words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, List, Value
from numpy.typing import NDArray

from stages.configuration.schema import Kind, LabelOn, TokenizeConfig
from stages.scoring.predictions import (
    GOLD,
    LOSS,
    LOSS_DECIMALS,
    PREDICTED,
    SCORE,
    TOKEN,
    Description,
    described,
)
from stages.scoring.scores import Scores
from stages.tasks.base import EXAMPLE, IGNORED, INPUT_IDS, LABELS, SUBWORDS, WORDS, Gold, Units
from stages.tasks.columns import as_lists, flat, flat_strings, integers, lengths, ranges
from stages.tasks.schemes import are_entity_tags, inside_tag
from stages.tasks.subwords import Ids, SubwordEncoder
from stages.tasks.windows import cut, most_context, shared


class TokensTask:
    """One tag for each word; a word in several windows is read off the one where it has most context."""

    kind: Kind = "tokens"

    def label_names(self, split: Dataset) -> list[str]:
        """The tags in the order of their codes."""
        column = LABELS if LABELS in split.features else "tags"
        return list(split.features[column].feature.names)

    def tokenized_features(self, names: Sequence[str]) -> Features:
        """`example`, `subwords`, and a list a row of `input_ids`, of `labels` and of `words`."""
        return Features({
            EXAMPLE: Value("int32"),
            SUBWORDS: Value("int32"),
            INPUT_IDS: List(Value("int32")),
            LABELS: List(ClassLabel(names=list(names))),
            WORDS: List(Value("int32")),
        })  # fmt: skip

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """One row a sentence, or a row a window. Labels are where `label_on` says, `IGNORED` elsewhere.

        Sentences without words and windows inside a word longer than a row have nothing to read, and give no row.
        """
        sentences = _align(raw, encoder, config.label_on, self.label_names(raw))
        found = cut(sentences.lengths, encoder, shared(config.stride, encoder))
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

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Each word's logits from the window in which it is furthest from an edge."""
        example, word, chosen = _readings(tokenized)
        assert len(readings) == len(example)
        return Units(example[chosen], word[chosen], readings[chosen])

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """The labels on the sub-words that words are read off."""
        example, _, chosen = _readings(tokenized)
        labels = flat(tokenized, LABELS)[flat(tokenized, WORDS) >= 0]
        return Gold(example[chosen], labels[chosen])

    def raw_gold(self, raw: Dataset) -> Gold:
        """The tag of every word."""
        length = lengths(raw, "tags")
        return Gold(np.repeat(np.arange(len(length)), length), flat(raw, "tags"))

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """CoNLL's scores for entity tags (B-, I-, …); for plain tags such as parts of speech, those of classification."""
        from stages.scoring.metric_modules import EntityMetric, LabelMetric  # importing `evaluate` takes seconds

        loss = units.loss(gold.label)
        if are_entity_tags(names):
            result = EntityMetric(keep_in_memory=True).compute(
                predictions=_by_sentence(units.predicted, units.example, names),
                references=_by_sentence(gold.label, gold.example, names),
                loss=loss,
            )
        else:
            result = LabelMetric(keep_in_memory=True).compute(
                predictions=units.predicted, references=gold.label, names=names, loss=loss
            )
        scores: Scores = result["scores"]
        return scores

    def predictions(self, raw: Dataset, units: Units, names: Sequence[str]) -> pa.Table:
        """One row a word: `id`, `word`, `token`, `gold`, `predicted`, the probability of the predicted tag, and the loss."""
        labels, gold = np.array(names, dtype=object), self.raw_gold(raw)
        ids, unknown = np.array(raw["id"][:], dtype=object), gold.label < 0
        table = pa.table(
            {
                "id": pa.array(ids[gold.example], pa.string()),
                "word": pa.array(units.word, pa.int32()),
                TOKEN: pa.array([token for tokens in raw["tokens"][:] for token in tokens], pa.string()),
                GOLD: pa.array(labels[gold.label], pa.string(), mask=unknown),
                PREDICTED: pa.array(labels[units.predicted], pa.string()),
                SCORE: pa.array(units.score.round(6), pa.float64()),
                LOSS: pa.array(units.losses(gold.label).round(LOSS_DECIMALS), pa.float64(), mask=unknown),
            }
        )
        return described(table, Description(self.kind, "label", names))


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
    length, tags = lengths(raw, "tokens"), flat(raw, "tags")
    pieces = encoder.encode_words(flat_strings(raw, "tokens"))
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
    """[labels + 1]: for each label's code that of the sub-words behind a word's first; last, -1 for -1 (not labelled)."""
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
        """The rows' parts of `values` (shape [sub-words]) between the special sub-words."""
        return self._framed(values, self.before, self.behind)

    def between(self, values: NDArray[np.integer], filler: int) -> pa.ListArray:
        """The same with `filler` in place of the special sub-words."""
        return self._framed(values, np.full_like(self.before, filler), np.full_like(self.behind, filler))

    def _framed(self, values: NDArray[np.integer], before: Ids, behind: Ids) -> pa.ListArray:
        lengths = self.lengths + len(before) + len(behind)
        ends = np.cumsum(lengths)
        framed = np.empty(lengths.sum(), values.dtype)
        framed[ranges(ends - lengths, np.full_like(lengths, len(before)))] = np.tile(before, len(lengths))
        framed[ranges(ends - len(behind), np.full_like(lengths, len(behind)))] = np.tile(behind, len(lengths))
        framed[ranges(ends - lengths + len(before), self.lengths)] = values[ranges(self.starts, self.lengths)]
        return as_lists(framed, lengths)


def _readings(tokenized: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """`example` and `word` of every reading, [readings], and the indices of those chosen, [units]."""
    words, length = flat(tokenized, WORDS), lengths(tokenized, WORDS)
    row = np.repeat(np.arange(len(length)), length)
    place = np.arange(len(words)) - np.repeat(np.cumsum(length) - length, length)
    context = np.minimum(place, length[row] - 1 - place)
    read = words >= 0
    example, word = integers(tokenized, EXAMPLE)[row[read]], words[read]
    return example, word, most_context(example, word, context[read])


def _by_sentence(codes: NDArray[np.int64], example: NDArray[np.int64], names: Sequence[str]) -> list[list[str]]:
    ends = np.flatnonzero(np.diff(example)) + 1
    return [[names[code] for code in sentence] for sentence in np.split(codes, ends)]
