"""What is told of entities besides their headline scores."""

from collections.abc import Sequence, Set
from typing import Literal

import numpy as np

from stages.configuration.schema import EntityScheme, SchemeChoice, ScoringMode
from stages.scoring.final.entity_errors import entity_errors
from stages.scoring.final.scores import EntityDetails
from stages.scoring.final.surfaces import are_seen
from stages.scoring.headline.averages import label_score, micro_average
from stages.scoring.headline.entities import EntityPairs, TaggedWords
from stages.scoring.headline.rates import GOLD, PREDICTED, RIGHT, Array
from stages.scoring.headline.scores import Average, LabelScore
from stages.scoring.headline.spans import PREFIXES_OF, Reading
from stages.tasks.schemes import SchemeDetector, parse


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
        unseen_sums, seen_sums = _sums_of_seen(pairs, tokens, seen)
        halves = label_score(seen_sums), label_score(unseen_sums)
    others: dict[str, Average] = {} if average == headline else {name: average}
    return EntityDetails(entity_errors(pairs.gold, pairs.predicted), others, *halves)


def _sums_of_seen(pairs: EntityPairs, words: Sequence[str], seen: Set[str]) -> Array:
    """[2, 3]: the sums of the entities whose wording is not seen, and of those whose is, of all types."""
    sums = np.zeros((2, 3))
    for which, spans in ((RIGHT, pairs.right), (PREDICTED, pairs.predicted), (GOLD, pairs.gold)):
        sums[:, which] = np.bincount(are_seen(spans, words, seen), minlength=2)
    return sums


def _prefixes(words: TaggedWords) -> set[str]:
    used = np.unique(np.concatenate([words.gold, words.predicted])).tolist()
    return {tag.prefix if tag else "" for tag in (parse(words.names[code]) for code in used)}
