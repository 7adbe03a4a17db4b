"""Text out of data, labels and parameters, made harmless and fitted to where it is shown.

For HTML see `stages.reporting.markup`.
"""

import re
import unicodedata
from collections.abc import Iterator

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control and format characters (bidirectional ones included), unassigned code points, and line separators."""
_FORMULA = re.compile(r"\s*[=+\-@]")
_NUMBERS = re.compile(r"[-+]?[\d.]+(e[-+]\d+)?( to [-+]?[\d.]+(e[-+]\d+)?)?")
"""A number, or a bin of numbers: a spreadsheet computes nothing of it."""


def visible(text: str) -> str:
    """Return `text` in one line. Characters that are invisible, or move others, become Python's escapes."""
    return "".join(
        character.encode("unicode_escape", "surrogatepass").decode("ascii")
        if unicodedata.category(character) in _UNSEEN
        else character
        for character in text
    )


def code(text: str) -> str:
    r"""Return `text` as Markdown code, also for a table: nothing in it is a tag, a link or a mention.

    In a table, `\|` stands for `|`. A backslash that stands before a `|` in `text` is therefore written as `\x5c`.
    """
    shown = visible(text).replace("\\|", r"\x5c|")
    if not shown.strip():
        return f"`'{shown}'`"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    padding = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{padding}{shown}{padding}{fence}".replace("|", "\\|")


def cell(text: str) -> str:
    """Return `text` as a cell of CSV, for spreadsheets and for `dvc plots`, which copies cells into a page's script.

    What a spreadsheet would compute gets an apostrophe in front. `<`, which could end the script, is escaped.
    """
    shown = visible(text).replace("<", r"\x3c")
    return f"'{shown}" if _FORMULA.match(shown) and not _NUMBERS.fullmatch(shown) else shown


def width(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(map(_columns, text))


def fitted(text: str, columns: int) -> str:
    """Return `text`, visible, in exactly `columns`: cut with an ellipsis if it is longer, padded if it is shorter."""
    shown = shortened(visible(text), columns)
    return shown + " " * (columns - width(shown))


def shortened(text: str, columns: int) -> str:
    """Return `text` in at most `columns`. If it is cut, an ellipsis ends it."""
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for character in text:
        used += _columns(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def lines(text: str, columns: int, most: int | None = None) -> list[str]:
    """Return `text` in at most `most` lines of at most `columns`. If it is cut, an ellipsis ends it.

    Break lines between words, and a word only where it is longer than a line.
    """
    broken = [""]
    for part in _breakable(text.strip(), columns):
        if width(broken[-1]) + width(part) <= columns:
            broken[-1] += part
        elif len(broken) == most:
            return [*broken[:-1], _cut_off(broken[-1], columns)]
        else:
            broken.append(part.lstrip())
    return broken


def _breakable(text: str, columns: int) -> Iterator[str]:
    """Yield the parts between which a line may end: words with the spaces before them, and pieces of overlong words.

    A character that is two columns wide is a part by itself, since the scripts that have them have no spaces.
    """
    part, used = "", 0
    for before, character in zip(" " + text, text, strict=False):
        size = _columns(character)
        begins_word = character == " " != before
        if part and (begins_word or (size and (2 in (size, _columns(before)) or used + size > columns))):
            yield part
            part, used = "", 0
        part += character
        used += size if part.strip() else 0  # spaces before a word are left out at the start of a line
    yield part


def _cut_off(line: str, columns: int) -> str:
    """Return a full line with an ellipsis, which replaces the last word if there is no room for both."""
    for whole in (line, line.rpartition(" ")[0]):
        if whole and width(whole) + 2 <= columns:
            return f"{whole} …"
    return shortened(f"{line}  ", columns)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
