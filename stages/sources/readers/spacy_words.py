"""Words in spaCy's formats: some are white space, and some have no annotation of entities."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from stages.pipeline.errors import DataError

log = logging.getLogger("stages.sources")

MISSING, INSIDE, OUTSIDE, BEGIN = range(4)
"""The values of spaCy's ENT_IOB. `MISSING`: the word has no annotation."""


def tagged_words(words: Iterable[tuple[str, int, str]]) -> dict[str, object] | None:
    """Return the columns `tokens` and `tags` (IOB2) of words that have a code and an entity type each.

    Words of white space are left out; an entity that begins with one begins with the word behind it. None if a word
    has no annotation.
    """
    tokens: list[str] = []
    tags: list[str] = []
    begins = False
    for word, code, label in words:
        begins = begins or code == BEGIN
        if word.isspace():
            continue
        if code == MISSING:
            return None
        tokens.append(word)
        is_inside = code in (INSIDE, BEGIN) and label  # a word that is blocked for entities begins one without a label
        tags.append(f"{'B' if begins else 'I'}-{label}" if is_inside else "O")
        begins = False
    return {"tokens": tokens, "tags": tags}


@dataclass
class Unannotated:
    """The documents of a file that are left out because a word has no annotation."""

    name: str
    unit: str
    mark: str
    """How the file marks a word without annotation."""
    kept: int = 0
    left_out: int = 0
    first: int = 0

    def leave_out(self, number: int) -> None:
        """Count a document that is left out."""
        self.left_out += 1
        self.first = self.first or number

    def report(self) -> None:
        """Log how many documents were left out, once all are read. Raises DataError if none is left."""
        if not self.left_out:
            return
        if not self.kept:
            raise DataError(
                f"{self.name}, {self.unit} {self.first}: has words without annotation of entities ({self.mark}), as all "
                "others have; annotate them, or choose task=text if these are labelled texts"
            )
        log.warning(
            "%s: left out %d of %d documents, which have words without annotation of entities (%s), the first in %s %d",
            self.name, self.left_out, self.left_out + self.kept, self.mark, self.unit, self.first,
        )  # fmt: skip
