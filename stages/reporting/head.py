"""The head of a page: what it is of and how to make it again, then its figures in one row of tiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from stages.reporting.content import Fact
from stages.reporting.markup import Html, joined, tag

Tone: TypeAlias = Literal["headline", "better", "worse"]


@dataclass(frozen=True)
class Tile:
    """One figure that a reader should take away."""

    name: str
    figure: str
    said: Sequence[str] = ()
    """Lines below it: the interval, or what it is compared with. Text or markup."""
    tone: Tone | None = None
    """`headline` for the page's own figure; `better` and `worse` for a difference that has this verdict."""


def provenance(facts: Sequence[Fact]) -> Html:
    """What the page is of, in one line where it has room."""
    if not facts:
        return Html()
    return tag("dl", *(tag("div", tag("dt", each.name), tag("dd", each.value)) for each in facts), class_="provenance")


def tiles(shown: Sequence[Tile]) -> Html:
    """A row of tiles; two a row on a phone."""
    if not shown:
        return Html()
    return tag("dl", *map(_tile, shown), class_="tiles")


def _tile(tile: Tile) -> Html:
    figure = tag("dd", tile.figure, class_="figure")
    said = joined(tag("dd", line) for line in tile.said)
    return tag("div", tag("dt", tile.name), figure, said, class_=" ".join(filter(None, ["tile", tile.tone])))
