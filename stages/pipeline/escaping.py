"""Text out of data, labels and parameters, made harmless where it is shown. For HTML see `stages.reporting.markup`."""

import re
import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control and format characters (the bidirectional ones among them), what has no character, and separators of lines."""
_FORMULA = re.compile(r"\s*[=+\-@]")
_NUMBERS = re.compile(r"[-+]?[\d.]+(e[-+]\d+)?( to [-+]?[\d.]+(e[-+]\d+)?)?")
"""A number, or a bin of them: spreadsheets take it for what it is."""


def visible(text: str) -> str:
    """`text` in one line; what is not seen, or moves what is, becomes Python's escape of it."""
    return "".join(
        _escape(character) if unicodedata.category(character) in _UNSEEN else character for character in text
    )


def code(text: str) -> str:
    """`text` as Markdown code, in a table as well: nothing in it is a tag, a link or a mention.

    A table takes a backslash away from a `|`, and two of them for one that is no escape: of those the last is spelled out.
    """
    shown = visible(text).replace("\\|", r"\x5c|")
    if not shown.strip():
        return f"`'{shown}'`"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    padding = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{padding}{shown}{padding}{fence}".replace("|", "\\|")


def cell(text: str) -> str:
    """`text` as a cell of CSV, for spreadsheets and for `dvc plots`, which writes cells into a page's script as they are.

    What a spreadsheet would compute gets an apostrophe in front; `<`, which could end the script, is escaped as well.
    """
    shown = visible(text).replace("<", r"\x3c")
    return f"'{shown}" if _FORMULA.match(shown) and not _NUMBERS.fullmatch(shown) else shown


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
