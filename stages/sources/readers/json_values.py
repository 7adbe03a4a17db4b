"""JSON without its traps: no NaN, no key twice, no half characters."""

import json
import math
from typing import Never, TypeAlias

JsonObject: TypeAlias = dict[str, object]


class NotJsonError(ValueError):
    """The text is not JSON as we take it; `place` is the character where, counted from 0, if it is known."""

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
    """Parse the JSON value that begins at `start`; give it and where it ends. Raises NotJsonError."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise NotJsonError(error.msg[0].lower() + error.msg[1:], error.pos) from error
    except RecursionError as error:
        raise NotJsonError("its values are nested too deeply", start) from error
    except NotJsonError:
        raise
    except ValueError as error:  # a number of more digits than Python converts
        raise NotJsonError(str(error), start) from error
    if _may_hold_half_characters(text, start, end) and _holds_half_characters(value):
        raise NotJsonError(r"an escape such as \ud83d is half a character", start)
    return value, end


def skip_space(text: str, start: int) -> int:
    """The place of the first character from `start` on that is not JSON's white space."""
    while start < len(text) and text[start] in " \t\r\n":
        start += 1
    return start


def _without_repeats(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise NotJsonError(f"key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return found


def _no_constant(literal: str) -> Never:
    raise NotJsonError(f"{literal} is no JSON; write null where there is no value")


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise NotJsonError(f"{literal} is too large a number")
    return number


def _may_hold_half_characters(text: str, start: int, end: int) -> bool:
    return text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0


def _holds_half_characters(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_no_constant, parse_float=_finite)
