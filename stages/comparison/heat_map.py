"""Differences as the cells of a table, shaded by their size: figures first, and colours that the colour-blind tell apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.comparison.results import Difference, LabelDifference, SliceDifference
from stages.reporting.markup import Html, scrolling, tag

_LEVELS = 5
"""Shades to either side that the style sheet has (`better-1` …)."""


@dataclass(frozen=True)
class HeatCell:
    """A cell and its shade."""

    content: str
    """Text or markup."""
    shade: str = ""
    """As `shade` returns it."""


def reach_of(found: Iterable[Difference | LabelDifference | SliceDifference | None]) -> float:
    """Return the largest difference, up or down."""
    return max((abs(each.difference) for each in found if each and each.difference is not None), default=0.0)


def shade(difference: float | None, reach: float, *, is_good_up: bool) -> str:
    """Return the class of a cell, such as `better-3` or `worse-1`; an empty text for a difference that rounds to no shade."""
    level = 0 if difference is None or not reach else round(_LEVELS * min(1.0, abs(difference) / reach))
    if not level or difference is None:
        return ""
    return f"{'better' if (difference > 0) == is_good_up else 'worse'}-{level}"


def heat_table(caption: str, titles: Sequence[str], rows: Sequence[Sequence[HeatCell]]) -> Html:
    """Return a table of cells with their shades; the first cell of each row is its header, and stays where others scroll."""
    head = tag(
        "tr", *(tag("th", title, scope="col", class_="number" if place else None) for place, title in enumerate(titles))
    )
    body = (
        tag(
            "tr",
            tag("th", first.content, scope="row"),
            *(tag("td", cell.content, class_=f"number {cell.shade}".strip()) for cell in cells),
        )
        for first, *cells in rows
    )
    content = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body), class_="heat")
    return scrolling(caption, content)
