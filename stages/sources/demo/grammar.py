"""Generate sentences from templates, whose `{slots}` are filled from lists. Train never sees some entries of these.

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
    """The lists that the slots of templates are filled from."""

    vocabulary: Phrases
    """Open lists (names, nouns, wordings): part of each is held out of train."""
    structure: Phrases
    """Closed lists, the same in every split."""

    def choices(self, split: Split) -> dict[str, tuple[str, ...]]:
        """Return the entries of every slot that may occur in `split`."""
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
        """Draw one of the options, each with the same probability."""
        return options[int(self._random.random() * len(options))]

    def weighted(self, weights: Mapping[Drawn, float]) -> Drawn:
        """Draw one of the keys, with a probability proportional to its weight."""
        point = self._random.random() * sum(weights.values())
        for option, weight in weights.items():
            point -= weight
            if point < 0:
                return option
        return option

    def happens(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random.random() < probability


def seen_in_train(entries: tuple[str, ...]) -> tuple[str, ...]:
    """Return the entries of a vocabulary list that occur in every split."""
    return tuple(entry for place, entry in enumerate(entries, start=1) if place % HELD_OUT_EVERY)


def distinct(split: Split, count: int, write: Callable[[], tuple[str, Drawn]]) -> list[Drawn]:
    """Return `count` results of `write`, no two with the same text (its first value), ignoring case.

    A text's content decides which split it belongs to, so no text is in two splits, whatever their seeds. There are far
    more possible sentences than are asked for, so a new one is found soon.
    """
    taken: set[str] = set()
    made: list[Drawn] = []
    while len(made) < count:
        text, example = write()
        key = text.lower()
        if key not in taken and SPLITS[zlib.crc32(key.encode()) % len(SPLITS)] == split:
            taken.add(key)
            made.append(example)
    return made


def with_articles(text: str) -> str:
    """Replace `a` by `an` before a vowel."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def capitalized(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def lines(block: str) -> tuple[str, ...]:
    """Return the lines of a block of text, without indentation and empty lines."""
    return tuple(line.strip() for line in block.splitlines() if line.strip())


def words(block: str) -> tuple[str, ...]:
    """Return the entries of a comma-separated list, which may span several lines."""
    return tuple(" ".join(entry.split()) for entry in block.split(",") if entry.strip())


@cache
def _pieces(template: str) -> tuple[str, ...]:
    """Split a template into literal text and names of slots, in turn."""
    return tuple(re.split(r"\{([\w.]+)\}", template))
