"""Token classification: one tag for each word, read off one of the word's sub-words."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.schema import Kind
from stages.scoring.headline.classification import score_labels
from stages.scoring.headline.entities import EntityPairs, TaggedWords, entity_scores
from stages.scoring.headline.scores import Scores
from stages.tasks.columns.arrays import flat, integers, lengths
from stages.tasks.columns.names import EXAMPLE, LABELS, TAGS, WORDS
from stages.tasks.decoding.base import Gold, Units
from stages.tasks.schemes import are_entity_tags


class TokensDecoding:
    """One tag for each word; a word in several windows is read off the one where it has most context."""

    kind: Kind = "tokens"

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
        length = lengths(raw, TAGS)
        return Gold(np.repeat(np.arange(len(length)), length), flat(raw, TAGS))

    def labelled(self, gold: Gold) -> NDArray[np.bool_]:
        """[words]: where the code is not -1."""
        known: NDArray[np.bool_] = gold.label >= 0
        return known

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """CoNLL's scores for entity tags (B-, I-, …); for plain tags such as parts of speech, those of classification."""
        loss = units.loss(gold.label)
        if not are_entity_tags(names):
            return score_labels(units.predicted, gold.label, names, loss=loss)
        words = TaggedWords(gold.label, units.predicted, _words_of_sentences(gold), names)
        return entity_scores(words, EntityPairs.read(words, "conll"), loss=loss)


def _readings(tokenized: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """`example` and `word` of every reading, [readings], and the indices of those chosen, [units]."""
    words, length = flat(tokenized, WORDS), lengths(tokenized, WORDS)
    row = np.repeat(np.arange(len(length)), length)
    place = np.arange(len(words)) - np.repeat(np.cumsum(length) - length, length)
    context = np.minimum(place, length[row] - 1 - place)
    read = words >= 0
    example, word = integers(tokenized, EXAMPLE)[row[read]], words[read]
    return example, word, most_context(example, word, context[read])


def most_context(example: NDArray[np.int64], word: NDArray[np.int64], context: NDArray[np.int64]) -> NDArray[np.int64]:
    """The index of the reading with the largest `context` for each (example, word), in that order.

    Arrays have shape [readings]. Among equals the first reading wins.
    """
    order = np.lexsort((np.arange(len(example)), -context, word, example))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(example[order]) != 0) | (np.diff(word[order]) != 0)
    return order[first]


def _words_of_sentences(gold: Gold) -> NDArray[np.int64]:
    """How many words each sentence has that has any, [sentences]."""
    return np.unique(gold.example, return_counts=True)[1]
