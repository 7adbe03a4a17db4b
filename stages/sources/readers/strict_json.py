"""Parse JSON strictly: no NaN, no infinite number, no key twice in an object, and no half of a surrogate pair."""

import json
import math
from collections import Counter
from typing import Never, TypeAlias

JsonObject: TypeAlias = dict[str, object]


class NotJsonError(ValueError):
    """The text is not strict JSON. `place`: the position of the fault in characters, from 0, if it is known."""

    def __init__(self, reason: str, place: int | None = None) -> None:
        super().__init__(reason)
        self.place = place


def parse(text: str) -> object:
    """Parse one JSON value. Raises NotJsonError."""
    value, end = parse_at(text, skip_space(text, 0))
    rest = skip_space(text, end)
    if rest < len(text):
        raise NotJsonError("something follows its end", rest)
    return value


def parse_at(text: str, start: int) -> tuple[object, int]:
    """Parse the JSON value that begins at `start`; return it and where it ends. Raises NotJsonError."""
    try:
        value, end = _DECODER.raw_decode(text, start)
        may_hold_surrogates = text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0
        if may_hold_surrogates and not _is_unicode(value):
            raise NotJsonError(r"an escape such as \ud83d is half a character", start)
    except json.JSONDecodeError as error:
        raise NotJsonError(error.msg[0].lower() + error.msg[1:], error.pos) from error
    except RecursionError as error:
        raise NotJsonError("its values are nested too deeply", start) from error
    except NotJsonError:
        raise
    except ValueError as error:  # a number with more digits than Python converts
        raise NotJsonError(str(error), start) from error
    return value, end


def skip_space(text: str, start: int) -> int:
    """Return the position of the first character from `start` on that is not JSON's white space."""
    while start < len(text) and text[start] in " \t\r\n":
        start += 1
    return start


def _without_repeats(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise NotJsonError(f"key {next(key for key, count in counts.items() if count > 1)!r} occurs twice")
    return found


def _no_constant(literal: str) -> Never:
    raise NotJsonError(f"{literal} is not JSON; write null where there is no value")


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise NotJsonError(f"{literal} is too large a number")
    return number


def _is_unicode(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_no_constant, parse_float=_finite)
