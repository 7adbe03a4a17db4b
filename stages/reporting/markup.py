"""HTML that can't be broken out of: whatever is not markup by its type is escaped."""

import html
import re
from collections.abc import Iterable

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
    """`text` with hidden characters spelled out, as in ⟨U+202E⟩; Windows' line ends become plain ones."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n"))


def escaped(text: str) -> Html:
    """`text` as markup that shows it, in an element or in a quoted attribute; Html as it is."""
    return text if isinstance(text, Html) else Html(html.escape(visible(text)))


def joined(parts: Iterable[str]) -> Html:
    """Parts one after the other, those that are not Html escaped."""
    return Html("".join(map(escaped, parts)))


def breakable(name: str) -> Html:
    """A name that a narrow screen may break behind its underscores and points."""
    return Html(re.sub(r"([_.])", r"\1<wbr>", escaped(name)))


def tag(name: str, *children: str, **attributes: str | float | None) -> Html:
    """An element. Attributes that are None are left out; `class_` is `class`, and `_` in names stands for `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{joined(children)}</{name}>")


def _attribute(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
