"""Gold and predicted tags of the same words, and the entities that both mark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from stages.configuration.schema import EntityScheme, SchemeChoice, ScoringMode
from stages.pipeline.errors import DataError
from stages.scoring.core.bases import Bases, basis_of, flat_counts, loss_of_units, pooled_counts, right_units
from stages.scoring.core.formulas import Array, tally
from stages.scoring.core.metrics import Basis, Form
from stages.scoring.core.predicted import LabelPredictions, Predictions, ScoringRules
from stages.tags.schemes import OUTSIDE, SchemeDetector, are_entity_tags, parse, spelled_out
from stages.tags.spans import PREFIXES_OF, Integers, Reading, Spans, TagSequences, spans_of, types_in


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

    def mark_entities(self, declared: Sequence[str] | None = None) -> bool:
        """Return whether the tags mark entities. Gold decides: by its `declared` labels, or else by those that occur.

        Gold that is all `O` says nothing; then the predicted tags decide, and all `O` means that there are no entities.
        """
        gold = set(declared or self.names_of(self.gold)) - {OUTSIDE}
        known = gold or set(self.names_of(self.predicted)) - {OUTSIDE}
        return not known or are_entity_tags(spelled_out(sorted(known)))

    def names_of(self, codes: Integers) -> list[str]:
        """Return the names of the tags that occur among `codes`, in the order of their codes."""
        return [self.names[code] for code in np.unique(codes).tolist()]

    def as_entity_tags(self, declared: Sequence[str] | None = None) -> tuple["TaggedWords", dict[str, int]]:
        """Return the words with tags that all mark entities or none, and how often each other tag was predicted.

        Tags without types and spellings such as BMES's are written out. A predicted tag that marks no entity, such as `[PAD]`,
        becomes `O`: no gold entity is found where it stands.
        """
        names = spelled_out(self.names, declared or self.names_of(self.gold))
        strays = [code for code in np.unique(self.predicted).tolist() if parse(names[code]) is None]
        if OUTSIDE not in names:
            names = [*names, OUTSIDE]
        return replace(self, predicted=self._outside(strays, names), names=names), self._counts_of(strays)

    def within(self, reading: Reading) -> tuple["TaggedWords", dict[str, int]]:
        """Return the words without predicted tags that a scheme does not have, and how often each of these was predicted.

        They become `O`, like all that is not well-formed in the scheme. All entity tags are read as CoNLL does.
        """
        if reading == "conll":
            return self, {}
        used = np.unique(self.predicted).tolist()
        foreign = [code for code in used if (tag := parse(self.names[code])) and tag.prefix not in PREFIXES_OF[reading]]
        return replace(self, predicted=self._outside(foreign, self.names)), self._counts_of(foreign)

    def _outside(self, codes: Sequence[int], names: Sequence[str]) -> Integers:
        """Return the predicted tags with `O` in place of `codes`. `names`: the tags by code."""
        return np.where(np.isin(self.predicted, codes), list(names).index(OUTSIDE), self.predicted)

    def _counts_of(self, codes: Sequence[int]) -> dict[str, int]:
        """Return how often each of the tags is predicted."""
        return {self.names[code]: int((self.predicted == code).sum()) for code in codes}


@dataclass(frozen=True)
class EntityPairs:
    """Gold and predicted entities, read alike."""

    gold: Spans
    predicted: Spans
    types: Sequence[str]
    sentences: int

    @classmethod
    def read(cls, words: TaggedWords, reading: Reading) -> "EntityPairs":
        """Read the entities of gold and predicted tags. Raises DataError as `spans_of` does."""
        types = types_in(words.names)
        gold, predicted = (
            spans_of(TagSequences(codes, words.lengths, words.names), types, reading)
            for codes in (words.gold, words.predicted)
        )
        return cls(gold, predicted, types, len(words.lengths))

    def sums(self) -> Array:
        """Return how many entities are right, predicted and gold, [sentences, types, 3]."""
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
        """Return a number for each place and type, [entities]."""
        behind = 1 + max(self.gold.last_word, self.predicted.last_word)
        return (spans.start * behind + spans.end) * len(self.types) + spans.type


def reading_of(mode: ScoringMode, words: TaggedWords, scheme: SchemeChoice) -> Reading:
    """Return how tags are read: as CoNLL does, or in strict mode by the scheme, which `auto` tells by the gold tags.

    Raises DataError if the gold tags have prefixes that no scheme has together.
    """
    if mode == "conll":
        return "conll"
    found = scheme_of(words, scheme)
    if found == "conll" and scheme == "auto" and (prefixes := _prefixes(words, words.gold) - {OUTSIDE}):
        raise DataError(
            f"gold tags have the prefixes {', '.join(sorted(prefixes))}, which no scheme has together, so there are no strict "
            "scores; name the scheme of the tags, or choose mode conll"
        )
    return found


def scheme_of(words: TaggedWords, scheme: SchemeChoice) -> EntityScheme | Literal["conll"]:
    """Return the scheme that strict scores are measured in; `conll` where the tags are of none.

    `auto`: the scheme of the gold tags. Where these are all `O` it is that of the predicted ones.
    """
    if scheme != "auto":
        return "conll" if scheme == "plain" else scheme
    codes = words.gold if _prefixes(words, words.gold) - {OUTSIDE} else words.predicted
    detector = SchemeDetector()
    detector.add_codes(codes, words.lengths, words.names)
    found = detector.scheme
    return found if found != "plain" and _prefixes(words, codes) <= set(PREFIXES_OF[found]) else "conll"


def _prefixes(words: TaggedWords, codes: Integers) -> set[str]:
    """Return the prefixes of the tags that occur among `codes`."""
    return {tag.prefix if tag else "" for tag in map(parse, words.names_of(codes))}


@dataclass(frozen=True)
class EntityPredictions:
    """Words with tags that mark entities."""

    words: TaggedWords
    """The tags as they are."""
    entity_tags: TaggedWords
    """The tags as entities are read off them (`TaggedWords.as_entity_tags`)."""
    reading: Reading
    """How entities are read off tags."""
    scheme: SchemeChoice
    """The scheme of strict scores, as it was asked for."""
    strays: Mapping[str, int]
    """The predicted tags that mark no entity as the gold tags are read, and are no `O`, and how often each was predicted."""
    losses: Array | None = None
    """[words]: the negative log-probability of the gold tag, in nats."""
    form: ClassVar[Form] = "entities"
    is_independent: ClassVar[bool] = False

    @property
    def examples(self) -> int:
        """How many sentences there are."""
        return len(self.words.lengths)

    @cached_property
    def pairs(self) -> EntityPairs:
        """Gold and predicted entities. Raises DataError if a tag is none of the scheme that it is read in."""
        return EntityPairs.read(self.tags_read_in(self.reading), self.reading)

    def tags_read_in(self, reading: Reading) -> TaggedWords:
        """Return the tags that entities are read off. Where a scheme was not asked for, foreign predicted tags are `O`."""
        return self.entity_tags.within(reading)[0] if self.scheme == "auto" else self.entity_tags

    @property
    def labels(self) -> Sequence[str]:
        """All types."""
        return self.pairs.types

    @property
    def errors(self) -> Array:
        """[sentences]: how many entities are missed or spurious."""
        errors: Array = self.label_counts.sum(axis=1) @ np.array([-2.0, 1.0, 1.0])
        return errors

    # what bases of units need
    @property
    def gold(self) -> Integers:
        """[words]: indices of tags."""
        return self.words.gold

    @property
    def predicted(self) -> Integers:
        """[words]: indices of tags."""
        return self.words.predicted

    @property
    def lengths(self) -> Integers:
        """[sentences]: words in each."""
        return self.words.lengths

    @cached_property
    def label_counts(self) -> Array:
        """[sentences, types, 3]: how many entities of each type are right, predicted, and gold."""
        return self.pairs.sums()

    def basis(self, name: Basis) -> Array | None:
        """Return what metrics are computed from."""
        return basis_of(self, _ENTITY_BASES, name)


def note_on_strays(predictions: Predictions) -> str | None:
    """Return a sentence on predicted tags that mark no entity where gold tags do; None where there are none."""
    if not isinstance(predictions, EntityPredictions) or not predictions.strays:
        return None
    counts = ", ".join(f"{tag} {count}" for tag, count in sorted(predictions.strays.items()))
    return f"predicted tags that mark no entity count as O: {counts}"


def predictions_of_tags(
    words: TaggedWords,
    rules: ScoringRules,
    *,
    declared: Sequence[str] | None = None,
    losses: Array | None = None,
    confidence: Array | None = None,
) -> LabelPredictions | EntityPredictions:
    """Return predictions of entities where the gold tags mark some, else of one label a word.

    `declared`: the labels that the data have, where that is known.
    """
    if rules.scheme == "plain" or (rules.scheme == "auto" and not words.mark_entities(declared)):
        return LabelPredictions(words.gold, words.predicted, words.names, words.lengths, losses, None, confidence)
    entity_tags, strays = words.as_entity_tags(declared)
    reading = reading_of(rules.mode, entity_tags, rules.scheme)
    foreign = entity_tags.within(reading)[1] if rules.scheme == "auto" else {}
    return EntityPredictions(words, entity_tags, reading, rules.scheme, {**strays, **foreign}, losses)


_ENTITY_BASES: Bases = {
    "right": right_units,
    "loss": loss_of_units,
    "label_counts": flat_counts,
    "pooled_counts": pooled_counts,
}
