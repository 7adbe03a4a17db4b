"""Entity-level precision, recall and F1: counted here, and as a local `evaluate` metric."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from stages.configuration.schema import EntityScheme, SchemeChoice, ScoringMode
from stages.scoring.averages import label_score, label_scores, macro_average, micro_average, weighted_average
from stages.scoring.entity_errors import entity_errors
from stages.scoring.rates import GOLD, PREDICTED, RIGHT, Array, tally
from stages.scoring.scores import Average, EntityDetails, LabelScore, LabelScores
from stages.scoring.spans import PREFIXES_OF, Integers, Reading, Spans, TagSequences, spans_of, types_in
from stages.scoring.surfaces import are_seen
from stages.tasks.schemes import SchemeDetector, parse


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
        right = self.predicted.where(np.isin(self._keys(self.predicted), self._keys(self.gold)))
        tallies = [
            tally(spans.sentence, spans.type, self.sentences, len(self.types))
            for spans in (right, self.predicted, self.gold)
        ]
        return np.stack(tallies, axis=-1)

    def sums_of_seen(self, words: Sequence[str], seen: Set[str]) -> Array:
        """[2, 3]: the sums of the entities whose wording is not seen, and of those whose is, of all types."""
        sides = [
            (PREDICTED, self.predicted),
            (GOLD, self.gold),
            (RIGHT, self.gold.where(np.isin(self._keys(self.gold), self._keys(self.predicted)))),
        ]
        sums = np.zeros((2, 3))
        for which, spans in sides:
            sums[:, which] = np.bincount(are_seen(spans, words, seen), minlength=2)
        return sums

    def _keys(self, spans: Spans) -> Integers:
        """[entities]: a number for each place and type."""
        behind = 1 + max(self.gold.last_word, self.predicted.last_word)
        return (spans.start * behind + spans.end) * len(self.types) + spans.type


def reading_of(mode: ScoringMode, words: TaggedWords, scheme: SchemeChoice) -> Reading:
    """How the headline reads tags: as CoNLL does, or in strict mode by the scheme, which `auto` tells by the gold tags."""
    return "conll" if mode == "conll" else scheme_of(words, scheme)


def scheme_of(words: TaggedWords, scheme: SchemeChoice) -> EntityScheme | Literal["conll"]:
    """The scheme that strict scores are measured in; `conll` where the tags are of none.

    `auto`: the scheme of the gold tags, if it has the prefixes of the predicted ones too; else the scheme of both.
    """
    if scheme != "auto":
        return "conll" if scheme == "plain" else scheme
    for sides in ((words.gold,), (words.gold, words.predicted)):
        detector = SchemeDetector()
        for codes in sides:
            detector.add_codes(codes, words.lengths, words.names)
        found = detector.scheme
        if found != "plain" and _prefixes(words) <= set(PREFIXES_OF[found]):
            return found
    return "conll"


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


def entity_details(
    words: TaggedWords,
    pairs: EntityPairs,
    other: tuple[str, Reading],
    tokens: Sequence[str] | None,
    seen: Set[str] | None,
) -> EntityDetails:
    """What else there is to tell. `other`: another reading, by name; `tokens` [words]; `seen`: wordings in train."""
    name, reading = other
    headline = micro_average(pairs.sums().sum(axis=0))
    average = micro_average(EntityPairs.read(words, reading).sums().sum(axis=0))
    halves: tuple[LabelScore | None, LabelScore | None] = (None, None)
    if tokens is not None and seen is not None:
        unseen_sums, seen_sums = pairs.sums_of_seen(tokens, seen)
        halves = label_score(seen_sums), label_score(unseen_sums)
    others: dict[str, Average] = {} if average == headline else {name: average}
    return EntityDetails(entity_errors(pairs.gold, pairs.predicted), others, *halves)


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


def _prefixes(words: TaggedWords) -> set[str]:
    used = np.unique(np.concatenate([words.gold, words.predicted])).tolist()
    return {tag.prefix if tag else "" for tag in (parse(words.names[code]) for code in used)}
