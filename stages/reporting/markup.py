"""HTML that can't be broken out of: whatever is not markup by its type is escaped.

Tables scroll in a box of their own where the screen is narrow, and can be sorted.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.scoring.evaluation.resampling import Interval

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Characters that show nothing, turn the direction of others, or can't be written in UTF-8. The joiners U+200C and U+200D
are spared: Persian and emoji need them. So are line breaks and tabs."""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def visible(text: str) -> str:
    """Return `text` with hidden characters spelled out, as ⟨U+202E⟩, and with plain line ends."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n"))


def capitalized(text: str) -> str:
    """Return `text` with a capital letter at its start, and the rest unchanged."""
    return text[:1].upper() + text[1:]


def escaped(text: str) -> Html:
    """Escape `text` for an element or a quoted attribute. Html is returned as it is."""
    return text if isinstance(text, Html) else Html(html.escape(visible(text)))


def joined(parts: Iterable[str]) -> Html:
    """Join parts. Those that are not Html are escaped."""
    return Html("".join(map(escaped, parts)))


def breakable(name: str) -> Html:
    """Return a name that a narrow screen may break after underscores and points."""
    return Html(re.sub(r"([_.])", r"\1<wbr>", escaped(name)))


def tag(name: str, *children: str, **attributes: str | float | None) -> Html:
    """Return an element. Attributes that are None are left out; `class_` is `class`, and `_` in names stands for `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{joined(children)}</{name}>")


def _attribute(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


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


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]],
    *,
    sortable: bool = False,
    wide: bool = False,
) -> Html:
    """Return a table; the first cell of each row is its header. The box around it can be scrolled with the keyboard.

    `wide`: whether it takes all the room that there is, for the bars in its cells.
    """
    head = tag("thead", tag("tr", *(_header(column, sortable) for column in columns)))
    body = tag("tbody", *(_row(columns, row) for row in rows))
    kind = " ".join([*(["sortable"] if sortable else []), *(["wide"] if wide else [])])
    content = tag("table", tag("caption", caption), head, body, class_=kind or None)
    return scrolling(caption, content)


def scrolling(label: str, content: Html) -> Html:
    """Return a box that scrolls sideways, by keyboard as well."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=f"{label} (scrolls)")


def _header(column: Column, sortable: bool) -> Html:
    kind = "number" if column.numeric else None
    if not column.title:
        return tag("td")
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
    """Return a score with four decimals."""
    return MISSING if value is None else f"{value:.4f}"


def signed_text(value: float | None) -> str:
    """Return a difference with its sign; no minus sign before a difference that rounds to 0."""
    return MISSING if value is None else f"{round(value, 4) + 0.0:+.4f}".replace("-", "\u2212")


def interval_text(interval: Interval | None, *, signed: bool = False) -> str:
    """Return an interval in brackets."""
    if interval is None:
        return MISSING
    shown = signed_text if signed else score_text
    return f"[{shown(interval.low)}, {shown(interval.high)}]"
