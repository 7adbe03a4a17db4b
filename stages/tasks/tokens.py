"""Token classification: one tag for each word, read off the word's first sub-word."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, List, Value
from numpy.typing import NDArray

from stages.configuration.schema import Kind, TokenizeConfig
from stages.scoring.scores import Scores
from stages.tasks.base import EXAMPLE, IGNORED, INPUT_IDS, LABELS, WORDS, Gold, Units
from stages.tasks.columns import flat, integers, lengths
from stages.tasks.subwords import SubwordEncoder, WordPieces
from stages.tasks.windows import most_context, windows


class TokensTask:
    """One tag for each word; a word in several windows is read off the one where it has most context."""

    kind: Kind = "tokens"

    def label_names(self, split: Dataset) -> list[str]:
        """The tags in the order of their codes."""
        column = LABELS if LABELS in split.features else "tags"
        return list(split.features[column].feature.names)

    def tokenized_features(self, names: Sequence[str]) -> Features:
        """`example`, and a list a row of `input_ids`, of `labels` and of `words`."""
        return Features({
            EXAMPLE: Value("int32"),
            INPUT_IDS: List(Value("int32")),
            LABELS: List(ClassLabel(names=list(names))),
            WORDS: List(Value("int32")),
        })  # fmt: skip

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """One row a sentence, or a row a window. The label is on the first sub-word, `IGNORED` elsewhere."""
        rows: dict[str, list[object]] = {EXAMPLE: [], INPUT_IDS: [], LABELS: [], WORDS: []}
        sentences = encoder.encode_words(raw["tokens"][:])
        for example, (pieces, tags) in enumerate(zip(sentences, raw["tags"][:], strict=True), start=first_example):
            for window in windows(len(pieces.ids), encoder, config.stride):
                words = _between_special(encoder, pieces, window)
                if max(words, default=-1) < 0:
                    continue  # an empty sentence, or the inside of a word longer than a row: nothing to learn or to score
                rows[EXAMPLE].append(example)
                rows[INPUT_IDS].append(encoder.row(pieces.ids[window]))
                rows[WORDS].append(words)
                rows[LABELS].append([tags[word] if word >= 0 else IGNORED for word in words])
        return rows

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Each word's logits from the window in which it is furthest from an edge."""
        example, word, chosen = _readings(tokenized)
        assert len(readings) == len(example)
        return Units(example[chosen], word[chosen], readings[chosen])

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """The labels on the sub-words that words begin with."""
        example, _, chosen = _readings(tokenized)
        labels = flat(tokenized, LABELS)[flat(tokenized, WORDS) >= 0]
        return Gold(example[chosen], labels[chosen])

    def raw_gold(self, raw: Dataset) -> Gold:
        """The tag of every word."""
        length = lengths(raw, "tags")
        return Gold(np.repeat(np.arange(len(length)), length), flat(raw, "tags"))

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """Seqeval's scores for entity tags (B-, I-, …); for plain tags such as parts of speech, those of classification."""
        from stages.scoring.classification import score_labels
        from stages.scoring.entities import are_entity_tags, score_entities

        loss = units.loss(gold.label)
        if not are_entity_tags(names):
            return score_labels(units.predicted, gold.label, names, loss=loss)
        return score_entities(
            _by_sentence(units.predicted, units.example, names),
            _by_sentence(gold.label, gold.example, names),
            loss=loss,
        )

    def predictions(self, raw: Dataset, units: Units, names: Sequence[str]) -> pa.Table:
        """One row a word: `id`, `word`, `token`, `gold`, `predicted`, `score`."""
        labels, gold = np.array(names, dtype=object), self.raw_gold(raw)
        ids = np.array(raw["id"][:], dtype=object)
        return pa.table(
            {
                "id": pa.array(ids[gold.example], pa.string()),
                "word": pa.array(units.word, pa.int32()),
                "token": pa.array([token for tokens in raw["tokens"][:] for token in tokens], pa.string()),
                "gold": pa.array(labels[gold.label], pa.string()),
                "predicted": pa.array(labels[units.predicted], pa.string()),
                "score": pa.array(units.score.round(6), pa.float64()),
            }
        )


def _between_special(encoder: SubwordEncoder, pieces: WordPieces, window: slice) -> list[int]:
    before, behind = encoder.special
    return [-1] * len(before) + [int(word) for word in pieces.first_of_word[window]] + [-1] * len(behind)


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
