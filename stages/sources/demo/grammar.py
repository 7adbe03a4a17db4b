"""A small generator of sentences: templates whose `{slots}` are filled from lists, part of which train never sees.

Everything depends on the split and the seed alone: the same on every platform, under every hash seed.
"""

import hashlib
import random
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from stages.configuration.schema import SPLITS, Split

Phrases = Mapping[str, tuple[str, ...]]
"""The ways to fill each slot; a filling may have slots of its own."""

Drawn = TypeVar("Drawn")

HELD_OUT_EVERY = 3
"""Of a vocabulary list, each third entry occurs in validation and test only."""


@dataclass(frozen=True)
class Grammar:
    """What the slots of templates are filled with."""

    vocabulary: Phrases
    """Open lists (names, nouns, wordings): part of each is held out of train."""
    structure: Phrases
    """Closed lists, the same in every split."""

    def choices(self, split: Split) -> dict[str, tuple[str, ...]]:
        """The fillings of every slot that may occur in `split`."""
        open_lists = {
            slot: seen_in_train(entries) if split == "train" else entries for slot, entries in self.vocabulary.items()
        }
        return {**open_lists, **self.structure}


class Writer:
    """Fills templates for one split."""

    def __init__(self, grammar: Grammar, split: Split, seed: int) -> None:
        digest = hashlib.sha256(f"{split} {seed}".encode()).digest()
        self._random = random.Random(int.from_bytes(digest, "big"))
        self._choices = grammar.choices(split)

    def fill(self, template: str, roles: Mapping[str, str] | None = None) -> str:
        """Fill every `{slot}`, and the slots inside its filling. `{role.aspect}` stands for `roles[role].aspect`."""
        pieces = _pieces(template)
        if len(pieces) == 1:
            return template
        filled = list(pieces)
        for place in range(1, len(pieces), 2):
            slot = pieces[place]
            role, dot, aspect = slot.partition(".")
            if dot and roles and role in roles:
                slot = f"{roles[role]}.{aspect}"
            filled[place] = self.fill(self.pick(self._choices[slot]), roles)
        return "".join(filled)

    def pick(self, options: Sequence[Drawn]) -> Drawn:
        """One of the options, each as likely as the others."""
        return options[int(self._random.random() * len(options))]

    def weighted(self, weights: Mapping[Drawn, float]) -> Drawn:
        """One of the keys, as likely as its share of all weights."""
        point = self._random.random() * sum(weights.values())
        for option, weight in weights.items():
            point -= weight
            if point < 0:
                return option
        return option

    def happens(self, probability: float) -> bool:
        """True as often as `probability` says."""
        return self._random.random() < probability


def seen_in_train(entries: tuple[str, ...]) -> tuple[str, ...]:
    """The entries of a vocabulary list that occur in every split."""
    return tuple(entry for place, entry in enumerate(entries, start=1) if place % HELD_OUT_EVERY)


def held_out(entries: tuple[str, ...]) -> tuple[str, ...]:
    """The entries of a vocabulary list that occur in validation and test only."""
    return entries[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]


def distinct(split: Split, count: int, write: Callable[[], tuple[str, Drawn]]) -> list[Drawn]:
    """`count` of what `write` makes, no two with the same text (its first result), in any case of letters.

    A text belongs to one split by its own content, so that no text is in two splits, whatever their seeds. There are
    vastly more sentences than anyone asks for: the search for a new one is short.
    """
    taken: set[str] = set()
    made: list[Drawn] = []
    while len(made) < count:
        text, example = write()
        key = text.lower()
        if key not in taken and _split_of(key) == split:
            taken.add(key)
            made.append(example)
    return made


def with_articles(text: str) -> str:
    """`a` becomes `an` before a vowel."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def capitalized(text: str) -> str:
    """The first letter in upper case, and the others as they are."""
    return text[:1].upper() + text[1:]


def lines(block: str) -> tuple[str, ...]:
    """The lines of a block of text, without indentation and without empty ones."""
    return tuple(line.strip() for line in block.splitlines() if line.strip())


def words(block: str) -> tuple[str, ...]:
    """The entries of a comma-separated list, which may run over several lines."""
    return tuple(" ".join(entry.split()) for entry in block.split(",") if entry.strip())


@cache
def _pieces(template: str) -> tuple[str, ...]:
    """Literal text and names of slots, in turn."""
    return tuple(re.split(r"\{([\w.]+)\}", template))


def _split_of(text: str) -> Split:
    return SPLITS[zlib.crc32(text.encode()) % len(SPLITS)]
