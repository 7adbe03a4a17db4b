"""Tell spans whose offsets count characters from those of tools that count UTF-16 code units or bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Interval: TypeAlias = tuple[int, int]
"""Where something begins and ends in a text: code points from 0, the end exclusive."""


@dataclass(frozen=True)
class Span:
    """A labelled part of a text."""

    start: int
    end: int
    label: str
    covers: str | None = None
    """The text that it covers, as the file states it."""

    def __str__(self) -> str:
        return f"span {self.start}-{self.end} {self.label}"


class SpanFit(IntFlag):
    """How a span's offsets fit the words of its text.

    The file may state the text that a span covers. Then that proves its offsets right, and they differ in no other unit.
    """

    CUTS_WORD = 1
    """Counted in characters, it begins or ends inside a word."""
    DIFFERS_IN_UTF16 = 2
    """Counted in UTF-16 code units, it is elsewhere."""
    FITS_IN_UTF16 = 4
    """There, it begins and ends at the edges of words."""
    DIFFERS_IN_UTF8 = 8
    FITS_IN_UTF8 = 16


@dataclass(frozen=True)
class OffsetUnit:
    """What some tools count instead of characters."""

    name: str
    code: str
    """Its name in codes of findings."""
    differs: SpanFit
    fits: SpanFit
    widths: Callable[[NDArray[np.uint32]], NDArray[np.int64]]
    """Returns how many of it each code point takes."""

    def in_characters(self, text: str, spans: Sequence[Span]) -> list[Interval | None]:
        """Return where spans are if their offsets count this unit; None for one that leaves the text or cuts a character."""
        points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        edges = np.concatenate([[0], np.cumsum(self.widths(points))])
        beyond = int(edges[-1]) + 1  # where offsets too large for NumPy's integers are as well
        bounded = [(min(max(span.start, -1), beyond), min(max(span.end, -1), beyond)) for span in spans]
        offsets = np.array(bounded, np.int64).reshape(-1, 2)
        places = np.searchsorted(edges, offsets)
        is_inside = (edges[np.minimum(places, len(points))] == offsets).all(axis=1) & (places[:, 0] < places[:, 1])
        return [
            (start, end) if known else None
            for (start, end), known in zip(places.tolist(), is_inside.tolist(), strict=True)
        ]


UTF16 = OffsetUnit(
    "UTF-16 code units, as JavaScript counts",
    "utf16",
    SpanFit.DIFFERS_IN_UTF16,
    SpanFit.FITS_IN_UTF16,
    lambda points: 1 + (points > 0xFFFF).astype(np.int64),
)
UTF8 = OffsetUnit(
    "bytes of UTF-8",
    "utf8",
    SpanFit.DIFFERS_IN_UTF8,
    SpanFit.FITS_IN_UTF8,
    lambda points: 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF),
)
UNITS: Mapping[str, OffsetUnit] = {unit.code: unit for unit in (UTF16, UTF8)}


def advice_on(text: str, words: Sequence[Interval], spans: Sequence[Span]) -> str:
    """Return what to do about spans of which one is out of place: name the unit in which all those fit that differ in it."""
    for unit in UNITS.values():
        fits = [fit for fit in fits_in(unit, text, words, spans) if fit & unit.differs]
        if fits and all(fit & unit.fits for fit in fits):
            return f"the offsets fit as {unit.name}: convert them to characters (Unicode code points)"
    return "correct its start and end, which count characters (Unicode code points) from 0"


def fits_in(unit: OffsetUnit, text: str, words: Sequence[Interval], spans: Sequence[Span]) -> list[SpanFit]:
    """Return for each span whether it is elsewhere in this unit, and fits there: the stated text, else edges of words."""
    if text.isascii():
        return [SpanFit(0)] * len(spans)
    starts, ends = {start for start, _ in words}, {end for _, end in words}
    fits: list[SpanFit] = []
    for span, place in zip(spans, unit.in_characters(text, spans), strict=True):
        fit = SpanFit(0)
        if place != (span.start, span.end):
            fit |= unit.differs
            if place is not None and _fits(text, place, span.covers, starts, ends):
                fit |= unit.fits
        fits.append(fit)
    return fits


def _fits(text: str, place: Interval, covers: str | None, starts: set[int], ends: set[int]) -> bool:
    covered = text[slice(*place)]
    if covers is not None:
        return covered.split() == covers.split()
    start, end = trimmed(text, *place)
    return start in starts and end in ends


def trimmed(text: str, start: int, end: int) -> Interval:
    """Return a part of a text without white space at its edges."""
    covered = text[start:end]
    first = start + len(covered) - len(covered.lstrip())
    return first, max(first, end - len(covered) + len(covered.rstrip()))
