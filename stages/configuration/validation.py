"""Turn untyped parameters into typed objects, or into one message that names every fault."""

import dataclasses
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stages.configuration.contradictions import contradictions
from stages.configuration.schema import KEY, Params
from stages.pipeline import escaping
from stages.pipeline.errors import ConfigError

StageConfig = TypeVar("StageConfig")


def validate(params: Mapping[str, object], origin: str) -> Params:
    """Turn plain parameters into typed ones. Raises ConfigError naming every faulty key, its value and the choices."""
    faults = unknown_groups(params)
    valid: dict[str, Any] = {}
    for group, adapter in groups().items():
        if group not in params:
            faults.append(f"{group}: is missing")
            continue
        faults += [f"{key}: is missing; give {key}=VALUE" for key in unset(group, params[group])]
        try:  # strict JSON mode takes mappings for dataclasses
            valid[group] = adapter.validate_json(json.dumps(params[group], default=str), strict=True)
        except ValidationError as error:
            details = error.errors(include_url=False)
            faults += in_words(group, [detail for detail in details if detail["input"] != UNSET])
    faults += contradictions(valid)
    if faults:
        raise ConfigError(f"{origin}: " + "; ".join(faults))
    return Params(**valid)


def select(params: Params, stage: type[StageConfig]) -> StageConfig:
    """Return the part of the parameters that a stage reads: the fields of its dataclass."""
    assert dataclasses.is_dataclass(stage)
    return stage(**{field.name: attrgetter(key_of(field))(params) for field in dataclasses.fields(stage)})


def key_of(field: dataclasses.Field[Any]) -> str:
    """Return the group, or the key of a group, that a field of a stage's dataclass holds; `dvc.yaml` lists it in `params:`."""
    return str(field.metadata.get(KEY, field.name))


UNSET = "???"
"""What Hydra writes for a value that is still to be given."""

_LONGEST = 100
"""Characters of a value that a message shows."""
_WORDS = {"a valid array": "a list", "an object": "a mapping of keys to values"}
"""Pydantic's words, which are JSON's, in those of YAML."""
_PATTERNS = {
    "revision": "is not pinned; give the 40 hexadecimal digits of a commit, as `git ls-remote` with the repository's "
    "address prints them",
    "sha256": "is not a SHA-256 digest; give the 64 hexadecimal digits that `sha256sum` prints",
    "fingerprint": "is not a fingerprint; leave it to the composition, or set null",
    "language": "is not a language code; give the two or three letters of ISO 639, such as en, or multilingual "
    "(Norwegian is nb, nn or nor: YAML reads no as false)",
    "license": "is not a license name of the Hub; write it in lower case, such as apache-2.0, mit or other",
}
"""What is wrong with a string that has not the form of its key, and what to do."""


@cache
def groups() -> dict[str, TypeAdapter[Any]]:
    """Return the groups of the configuration, each with its validator."""
    hints = get_type_hints(Params, include_extras=True)
    return {name: TypeAdapter(annotation) for name, annotation in hints.items()}


@cache
def keys_of(group: str) -> list[str]:
    """Return all keys that a group may have, whatever its source."""
    schema = groups()[group].json_schema()
    definitions = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for definition in definitions for name in definition.get("properties", {})})


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return the choice that is most similar to `word`, or all choices."""
    choices = list(choices)
    close = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(choices)}"


def unknown_groups(params: Mapping[str, object]) -> list[str]:
    """Return one text for each top-level key that is no group."""
    return [f"{key}: there is no such group; {did_you_mean(key, groups())}" for key in params if key not in groups()]


def shortened(text: str) -> str:
    """Return as much of `text` as a message shows."""
    return escaping.shortened(text, _LONGEST)


def unset(key: str, value: object) -> list[str]:
    """Return the keys at and below `key` that have no value yet."""
    if isinstance(value, Mapping):
        return [found for name, item in value.items() for found in unset(f"{key}.{name}", item)]
    return [key] if value == UNSET else []


def in_words(group: str, details: Sequence[ErrorDetails]) -> list[str]:
    """Return one text for each faulty key. Where a key takes several types, pydantic reports a fault for each of them."""
    by_key: dict[str, list[ErrorDetails]] = {}
    for detail in details:
        by_key.setdefault(".".join(_location(group, detail)), []).append(detail)
    return [_fault_of_key(group, key, found) for key, found in by_key.items()]


def _fault_of_key(group: str, key: str, details: Sequence[ErrorDetails]) -> str:
    detail = details[0]
    value = detail["input"]
    match detail["type"]:
        case "missing":
            where, what = key, "is missing"
        case "unexpected_keyword_argument":
            where, what = key, f"there is no such key; {did_you_mean(key.rpartition('.')[2], keys_of(group))}"
        case "union_tag_invalid":
            source = value.get("source") if isinstance(value, Mapping) else value
            where, what = f"{key}.source={shortened(str(source))}", f"choose from {detail['ctx']['expected_tags']}"
        case "union_tag_not_found":
            where, what = f"{key}.source", "is missing"
        case "literal_error" if len(details) == 1:
            where, what = f"{key}={shortened(str(value))}", f"choose from {detail['ctx']['expected']}"
        case "string_pattern_mismatch":
            where, what = f"{key}={shortened(repr(value))}", _PATTERNS[key.split(".")[1]]
        case "string_type" if isinstance(value, int | float) and len(details) == 1:
            kind = "a boolean" if isinstance(value, bool) else "a number"
            where, what = (
                f"{key}={value}",
                f"is {kind} and should be text; put the text into quotes, as in '{key}=\"{value}\"'",
            )
        case _:
            where, what = f"{key}={shortened(repr(value))}", _joined([detail["msg"] for detail in details])
    return f"{where}: {what}"


def _location(group: str, detail: ErrorDetails) -> list[str]:
    """Return the key's path. Pydantic puts the source in front, and names of types among its parts."""
    parts = [str(part) for part in detail["loc"]]
    if group in ("data", "model") and detail["type"] not in ("union_tag_invalid", "union_tag_not_found"):
        parts = parts[1:]
    if detail["type"] == "unexpected_keyword_argument":
        return [group, *parts]
    return [group, *(part for part in parts if part in keys_of(group) or part.isdecimal())]


def _joined(messages: Sequence[str]) -> str:
    """Join what pydantic reports for each type that a key takes."""
    first, *others = dict.fromkeys(message[:1].lower() + message[1:] for message in messages)
    text = " or ".join([first, *(other.removeprefix("input should be ") for other in others)])
    for word, ours in _WORDS.items():
        text = text.replace(word, ours)
    return text
