"""The head of a page: what it is of and how to make it again, then its figures in one row of tiles."""

from collections.abc import Sequence

from stages.reporting.content import Fact, Tile
from stages.reporting.markup import Html, joined, tag


def provenance(facts: Sequence[Fact]) -> Html:
    """Return the facts on what the page is of, in one line if there is room."""
    if not facts:
        return Html()
    return tag("dl", *(tag("div", tag("dt", each.name), tag("dd", each.value)) for each in facts), class_="provenance")


def tiles(shown: Sequence[Tile]) -> Html:
    """Return a row of tiles; two a row on a phone."""
    if not shown:
        return Html()
    return tag("dl", *map(_tile, shown), class_="tiles")


def _tile(tile: Tile) -> Html:
    figure = tag("dd", tile.figure, class_="figure")
    said = joined(tag("dd", line) for line in tile.said)
    return tag("div", tag("dt", tile.name), figure, said, class_=" ".join(filter(None, ["tile", tile.tone])))
