"""Entity-level precision, recall and F1."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stages.scoring.headline.averages import label_scores, macro_average, micro_average, weighted_average
from stages.scoring.headline.rates import Array, tally
from stages.scoring.headline.scores import LabelScores
from stages.scoring.headline.spans import Integers, Reading, Spans, TagSequences, spans_of, types_in


@dataclass(frozen=True)
class TaggedWords:
    """Gold and predicted tags of the same words."""

    gold: Integers
    """[words]: indices in `names`."""
    predicted: Integers
    """[words]."""
    lengths: Integers
    """[sentences]: words in each, one sentence after the other."""
    names: Sequence[str]

    @property
    def sentence(self) -> Integers:
        """[words]: the sentence of each."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


@dataclass(frozen=True)
class EntityPairs:
    """Gold and predicted entities, read alike."""

    gold: Spans
    predicted: Spans
    types: Sequence[str]
    sentences: int

    @classmethod
    def read(cls, words: TaggedWords, reading: Reading) -> "EntityPairs":
        """The entities of both sides. Raises DataError as `spans_of` does."""
        types = types_in(words.names)
        gold, predicted = (
            spans_of(TagSequences(codes, words.lengths, words.names), types, reading)
            for codes in (words.gold, words.predicted)
        )
        return cls(gold, predicted, types, len(words.lengths))

    def sums(self) -> Array:
        """[sentences, types, 3]: how many entities are right, predicted and gold."""
        tallies = [
            tally(spans.sentence, spans.type, self.sentences, len(self.types))
            for spans in (self.right, self.predicted, self.gold)
        ]
        return np.stack(tallies, axis=-1)

    @property
    def right(self) -> Spans:
        """The gold entities that are predicted, with the same words and type."""
        return self.gold.where(np.isin(self._keys(self.gold), self._keys(self.predicted)))

    def _keys(self, spans: Spans) -> Integers:
        """[entities]: a number for each place and type."""
        behind = 1 + max(self.gold.last_word, self.predicted.last_word)
        return (spans.start * behind + spans.end) * len(self.types) + spans.type


def entity_scores(words: TaggedWords, pairs: EntityPairs, *, loss: float | None) -> LabelScores:
    """The scores of entities, and the accuracy of tags."""
    sums = pairs.sums().sum(axis=0)
    return LabelScores(
        accuracy=float((words.gold == words.predicted).mean()),
        loss=loss,
        headline=micro_average(sums),
        macro=macro_average(sums),
        weighted=weighted_average(sums),
        per_label=label_scores(sums, pairs.types),
    )


def score_entities(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    loss: float | None,
    reading: Reading = "conll",
) -> LabelScores:
    """Score sentences of tags against sentences of the same lengths."""
    words = tagged_words(predictions, references)
    return entity_scores(words, EntityPairs.read(words, reading), loss=loss)


def tagged_words(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> TaggedWords:
    """Sentences of tags as arrays. Both have the same lengths."""
    lengths = np.array([len(tags) for tags in references], np.int64)
    assert lengths.tolist() == [len(tags) for tags in predictions]
    both = [tag for side in (references, predictions) for tags in side for tag in tags]
    encoded = pa.array(both, pa.string()).dictionary_encode()
    gold, predicted = np.split(encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), 2)
    return TaggedWords(gold, predicted, lengths, encoded.dictionary.to_pylist())
