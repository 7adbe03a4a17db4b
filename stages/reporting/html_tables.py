"""Tables and the numbers in them. They scroll in a box of their own where the screen is narrow, and can be sorted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.reporting.markup import Html, tag
from stages.scoring.evaluation.resampling import Interval

MISSING = "—"
"""What stands for a number that is not defined."""


@dataclass(frozen=True)
class Column:
    """A column and how it is set."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the number it is sorted by."""

    content: str
    sort: float | None = None


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, sortable: bool = False) -> Html:
    """A table; the first cell of each row is its header. The box around it can be scrolled with the keyboard."""
    head = tag("thead", tag("tr", *(_header(column, sortable) for column in columns)))
    body = tag("tbody", *(_row(columns, row) for row in rows))
    content = tag("table", tag("caption", caption), head, body, class_="sortable" if sortable else None)
    return scrolling(caption, content)


def scrolling(label: str, content: Html) -> Html:
    """A box that scrolls sideways, by keyboard as well."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=label)


def _header(column: Column, sortable: bool) -> Html:
    kind = "number" if column.numeric else None
    if not sortable:
        return tag("th", column.title, scope="col", class_=kind)
    return tag("th", tag("button", column.title, type="button"), scope="col", class_=kind, aria_sort="none")


def _row(columns: Sequence[Column], row: Sequence[Cell]) -> Html:
    first, *others = row
    cells = (
        tag("td", cell.content, class_="number" if column.numeric else None, data_value=_exact(cell.sort))
        for column, cell in zip(columns[1:], others, strict=True)
    )
    return tag("tr", tag("th", first.content, scope="row", data_value=_exact(first.sort)), *cells)


def _exact(value: float | None) -> str | None:
    return None if value is None else repr(value)


def score_text(value: float | None) -> str:
    """A score with four decimals."""
    return MISSING if value is None else f"{value:.4f}"


def signed_text(value: float | None) -> str:
    """A difference with its sign; no minus sign before a difference that rounds to 0."""
    return MISSING if value is None else f"{round(value, 4) + 0.0:+.4f}".replace("-", "\u2212")


def interval_text(interval: Interval | None, *, signed: bool = False) -> str:
    """An interval in brackets."""
    if interval is None:
        return MISSING
    shown = signed_text if signed else score_text
    return f"[{shown(interval.low)}, {shown(interval.high)}]"


def p_text(p: float | None) -> str:
    """A p-value with three decimals."""
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
