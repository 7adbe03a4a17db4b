"""Parse a list that stands in a cell as text, in the notation of JSON, of Python, which pandas writes, or of NumPy."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Callable


def parsed_list(text: str) -> list[object] | None:
    """Return the list that the text is; None if it is none."""
    for parse in _NOTATIONS:
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    return None


_MAYBE_ADJACENT = re.compile(r"""['"]\s+u?['"]""")


def _adjacent_strings(text: str) -> list[object] | None:
    """Return the strings of NumPy's `['a' 'b']`, which Python would join to one; None if the text is no such list.

    Raises ValueError or SyntaxError for a string that Python does not read.
    """
    if not (_MAYBE_ADJACENT.search(text) and text.startswith("[") and text.endswith("]")):
        return None
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text[1:-1].replace("\n", " ")).readline))
    except tokenize.TokenError:
        return None
    found = [token for token in tokens if token.type not in (tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER)]
    if any(token.type != tokenize.STRING for token in found):
        return None
    return [ast.literal_eval(token.string) for token in found]


_NOTATIONS: tuple[Callable[[str], object], ...] = (json.loads, _adjacent_strings, ast.literal_eval)
