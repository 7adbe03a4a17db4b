"""Text as words with their places, for formats that annotate characters."""

import re
import sys
import unicodedata
from functools import cache
from typing import TypeAlias

Interval: TypeAlias = tuple[int, int]
"""Where something begins and ends in a text: code points from 0, the end not included."""

_JOINERS = "\u200c\u200d"


def words_in(text: str) -> list[Interval]:
    """Find the words: runs of letters, digits and underscores, and every other character but white space by itself.

    Combining marks, and the joiners of Persian, Indic scripts and emoji, stay with the character before them.
    """
    return [match.span() for match in _word_pattern().finditer(text)]


@cache
def _word_pattern() -> re.Pattern[str]:
    attached = _combining_marks() + _JOINERS
    return re.compile(rf"\w[\w{attached}]*|\S[{attached}]*")


def _combining_marks() -> str:
    """The ranges of combining marks, as `re` writes them: `re` itself knows no such class."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith("M"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
