"""Text out of data, labels and parameters, made harmless where it is shown."""

import re
import textwrap
import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control and format characters (the bidirectional ones among them), what has no character, and separators of lines."""


def visible(text: str) -> str:
    """`text` in one line; what is not seen, or moves what is, becomes Python's escape of it."""
    return "".join(
        _escape(character) if unicodedata.category(character) in _UNSEEN else character for character in text
    )


def code(text: str) -> str:
    """`text` as Markdown code, in a table as well: nothing in it is a tag, a link or a mention."""
    shown = visible(text)
    if not shown.strip():
        return f"`'{shown}'`"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    padding = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{padding}{shown}{padding}{fence}".replace("|", "\\|")


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


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii") if character != "\xad" else "\\xad"
