"""What pydantic finds wrong with a group, told by the keys and choices that the user knows."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import ErrorDetails

from stages.configuration.schema import Params

UNSET = "???"
"""What Hydra writes for a value that has yet to be given."""

_LONGEST = 100
"""Characters of a value that a message shows."""
_WORDS = {"a valid array": "a list", "an object": "a mapping of keys to values"}
"""JSON's words, which pydantic uses, in those of YAML."""
_PATTERNS = {
    "revision": "is not pinned; give the 40 hexadecimal digits of a commit, as `git ls-remote` with the repository's "
    "address prints them",
    "sha256": "is no SHA-256; give the 64 hexadecimal digits that `sha256sum` prints",
}
"""What to do about a text that is not of its key's form."""


@cache
def groups() -> dict[str, TypeAdapter[Any]]:
    """The groups of the configuration, and what validates each."""
    hints = get_type_hints(Params, include_extras=True)
    return {name: TypeAdapter(annotation) for name, annotation in hints.items()}


@cache
def keys_of(group: str) -> list[str]:
    """All keys that a group may have, whatever its source."""
    schema = groups()[group].json_schema()
    definitions = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for definition in definitions for name in definition.get("properties", {})})


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The choice that is most like `word`, or all choices."""
    choices = list(choices)
    close = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(choices)}"


def unknown_groups(params: Mapping[str, object]) -> list[str]:
    """One text for each key on top that is no group."""
    return [f"{key}: there is no such group; {did_you_mean(key, groups())}" for key in params if key not in groups()]


def shortened(text: str) -> str:
    """`text` as far as a message shows it."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def unset(key: str, value: object) -> list[str]:
    """The keys at and below `key` that wait for the user's value."""
    if isinstance(value, Mapping):
        return [found for name, item in value.items() for found in unset(f"{key}.{name}", item)]
    return [key] if value == UNSET else []


def in_words(group: str, details: Sequence[ErrorDetails]) -> list[str]:
    """One text a key. Where a key takes values of several types, pydantic has a fault for each of them."""
    by_key: dict[str, list[ErrorDetails]] = {}
    for detail in details:
        by_key.setdefault(".".join(_location(group, detail)), []).append(detail)
    return [_told(group, key, found) for key, found in by_key.items()]


def _told(group: str, key: str, details: Sequence[ErrorDetails]) -> str:
    detail = details[0]
    value = detail["input"]
    match detail["type"]:
        case "missing":
            where, what = key, "is missing"
        case "unexpected_keyword_argument":
            where, what = key, f"there is no such key; {did_you_mean(key.rpartition('.')[2], keys_of(group))}"
        case "union_tag_invalid":
            where, what = f"{key}.source={shortened(str(_tag(value)))}", f"choose from {detail['ctx']['expected_tags']}"
        case "union_tag_not_found":
            where, what = f"{key}.source", "is missing"
        case "literal_error":
            where, what = f"{key}={shortened(str(value))}", f"choose from {detail['ctx']['expected']}"
        case "string_pattern_mismatch":
            where, what = f"{key}={shortened(repr(value))}", _PATTERNS[key.split(".")[1]]
        case _:
            where, what = f"{key}={shortened(repr(value))}", _joined([detail["msg"] for detail in details])
    return f"{where}: {what}"


def _location(group: str, detail: ErrorDetails) -> list[str]:
    """The key's path: pydantic puts the source in front, and the types that a key takes among its parts."""
    parts = [str(part) for part in detail["loc"]]
    if group in ("data", "model") and detail["type"] not in ("union_tag_invalid", "union_tag_not_found"):
        parts = parts[1:]
    if detail["type"] == "unexpected_keyword_argument":
        return [group, *parts]
    return [group, *(part for part in parts if part in keys_of(group) or part.isdecimal())]


def _joined(messages: Sequence[str]) -> str:
    """What every type that a key takes asks for."""
    first, *others = dict.fromkeys(message[:1].lower() + message[1:] for message in messages)
    text = " or ".join([first, *(other.removeprefix("input should be ") for other in others)])
    for word, ours in _WORDS.items():
        text = text.replace(word, ours)
    return text


def _tag(value: object) -> object:
    return value.get("source") if isinstance(value, Mapping) else value
