"""How much of a long text or sentence a page shows."""

from stages.reporting.markup import visible

MOST_CHARACTERS = 1_200
"""Characters shown of a text; of one with more, its start and its end."""

_KEPT_END = 200
MOST_WORDS = 150
"""Words shown of a sentence; of one with more, those around what it is shown for."""

_BEFORE = 20


def shortened(text: str) -> str:
    """Return a text as a page shows it."""
    if len(text) <= MOST_CHARACTERS:
        return visible(text)
    left_out = len(text) - MOST_CHARACTERS
    return visible(f"{text[: MOST_CHARACTERS - _KEPT_END]} […{left_out:,} characters…] {text[-_KEPT_END:]}")


def excerpt(words: int, first: int) -> tuple[int, int]:
    """Return the words shown of a sentence of so many: the first, and the one behind the last. `first` is to be seen."""
    start = 0 if words <= MOST_WORDS else max(0, min(first - _BEFORE, words - MOST_WORDS))
    return start, min(words, start + MOST_WORDS)
