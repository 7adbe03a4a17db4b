"""Empty words that have a tag, as in the Broad Twitter Corpus: one error for all of them, or left out."""

import logging
from dataclasses import dataclass, field
from typing import Literal

from stages.pipeline.errors import DataError

log = logging.getLogger("stages.sources")

_SHOWN = 5


@dataclass
class EmptyWords:
    """The empty words of a file, as they are found."""

    name: str
    unit: str
    choice: Literal["drop", "error"]
    """What `data.empty_words` says."""
    count: int = 0
    tagged: int = 0
    """How many of them have another tag than `O`."""
    first: list[int] = field(default_factory=list)

    def add(self, number: int, tag: object) -> None:
        """Count the empty word of a line or row."""
        self.count += 1
        self.tagged += tag not in ("O", "", None)
        if len(self.first) < _SHOWN:
            self.first.append(number)

    def report(self) -> None:
        """Log how many words were left out, or raise DataError naming file and rows, once all of the file is read."""
        if not self.count:
            return
        first, *others = self.first
        shown = ", ".join(map(str, others)) + (" …" if self.count > _SHOWN else "")
        more = f", like {self.count - 1} more ({shown})" if others else ""
        if self.choice == "error":
            raise DataError(
                f"{self.name}, {self.unit} {first}: expected a word and its tag, and the word is empty{more}; correct them, or "
                "leave such words out with data.empty_words=drop"
            )
        tagged = f", {self.tagged} of them with another tag than O" if self.tagged else ""
        log.warning(
            "%s: left out %d empty words%s, the first in %s %d", self.name, self.count, tagged, self.unit, first
        )
