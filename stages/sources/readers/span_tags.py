"""Turn labelled spans of a text's characters into its words and their IOB2 tags."""

import re
import sys
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cache

from stages.sources.readers.offset_units import UNITS, Interval, Span, SpanFit, advice_on, fits_in, trimmed

SPAN_FITS = "span_fits"
"""The column that readers make of how each span of a row fits (`SpanFit`)."""


class NotSpansError(ValueError):
    """A row is not a text with spans. The message says why and what to do."""

    def __init__(self, reason: str, span: Span | None = None) -> None:
        super().__init__(reason)
        self.span = span
        """The span that is at fault, if one is."""


def iob2_tags(text: str, words: Sequence[Interval], spans: Sequence[Span]) -> tuple[list[str], list[SpanFit]]:
    """Return the tag of each word, and how each span fits. A span that begins or ends inside a word is widened to it.

    White space at a span's edges is ignored. Raises NotSpansError for spans that overlap, share a word, cover none or leave
    the text, and for those that do not cover the text that they state.
    """
    spans = sorted(spans, key=lambda span: (span.start, span.end))
    starts, ends = [start for start, _ in words], [end for _, end in words]
    tags = ["O"] * len(words)
    fits: list[SpanFit] = []
    before: Span | None = None

    def misplaced(what: str) -> NotSpansError:
        return NotSpansError(f"{span} {what}; {advice_on(text, words, spans)}", span)

    for span in spans:
        if before is not None and span.start < before.end:
            raise NotSpansError(f"{before} and {span} overlap; keep one of them", span)
        before = span
        if not 0 <= span.start < span.end <= len(text):
            raise misplaced(outside(text))
        covered = text[span.start : span.end]
        if span.covers is not None and span.covers.split() != covered.split():
            raise misplaced(f"covers {covered!r}, and the file says {span.covers!r}")
        start, end = trimmed(text, span.start, span.end)
        first, last = bisect_right(ends, start), bisect_left(starts, end) - 1
        if first > last:
            raise misplaced("covers no word")
        if any(tag != "O" for tag in tags[first : last + 1]):
            raise misplaced(f"and the span before it share the word {text[starts[first] : ends[first]]!r}")
        tags[first : last + 1] = [f"B-{span.label}"] + [f"I-{span.label}"] * (last - first)
        fits.append(SpanFit.CUTS_WORD if (starts[first], ends[last]) != (start, end) else SpanFit(0))
    return tags, [fit | other for fit, other in zip(fits, _fits_in_other_units(text, words, spans), strict=True)]


def _fits_in_other_units(text: str, words: Sequence[Interval], spans: Sequence[Span]) -> list[SpanFit]:
    """Return how spans fit in other units, which is of interest if the file does not state the text that they cover."""
    fits = [SpanFit(0)] * len(spans)
    if all(span.covers is not None for span in spans):
        return fits
    for unit in UNITS.values():
        found = fits_in(unit, text, words, spans)
        fits = [
            fit if span.covers is not None else fit | other for span, fit, other in zip(spans, fits, found, strict=True)
        ]
    return fits


def outside(text: str) -> str:
    """Say that a span is not one of this text."""
    return f"is empty or leaves the text, which has {len(text)} characters"


_JOINERS = "\u200c\u200d"


def words_in(text: str) -> list[Interval]:
    """Find the words: runs of letters, digits and underscores, and every other character except white space.

    Combining marks, and the joiners of Persian, Indic scripts and emoji, stay with the character before them.
    """
    return [match.span() for match in _word_pattern().finditer(text)]


@cache
def _word_pattern() -> re.Pattern[str]:
    """Return the pattern of words. The ranges of combining marks are listed, since `re` has no class for them."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith("M"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    attached = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + _JOINERS
    return re.compile(rf"\w[\w{attached}]*|\S[{attached}]*")
