"""Text fitted to the columns of a terminal."""

import textwrap
import unicodedata

from stages.pipeline.escaping import visible


def width(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    return sum(_columns(character) for character in text)


def fitted(text: str, columns: int) -> str:
    """`text`, visible, cut to `columns` with an ellipsis where it is longer, padded where it is shorter."""
    shown = shortened(visible(text), columns)
    return shown + " " * (columns - width(shown))


def shortened(text: str, columns: int) -> str:
    """`text` in at most `columns`; an ellipsis ends it where it is cut."""
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for character in text:
        used += _columns(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def lines(text: str, columns: int, most: int) -> list[str]:
    """`text` in at most `most` lines of at most `columns`; an ellipsis ends it where it is cut.

    Broken between words, or anywhere where characters are wider than one column (these scripts have no spaces).
    """
    if width(text) == len(text):
        return textwrap.wrap(text, columns, max_lines=most, placeholder=" …") or [""]
    rest, broken = text, list[str]()
    while rest and len(broken) < most - 1:
        end = next((end for end in range(1, len(rest) + 1) if width(rest[: end + 1]) > columns), len(rest))
        broken.append(rest[:end])
        rest = rest[end:]
    return [*broken, *([shortened(rest, columns)] if rest else [])]


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
