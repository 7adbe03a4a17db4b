"""Read the body of a request for predictions. It is what transformers' pipelines take as arguments, as JSON:

{"inputs": "text"}
{"inputs": ["text", "text"], "parameters": {"top_k": 3}}
{"inputs": {"text": "text", "text_pair": "text"}}
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import JsonValue, TypeAdapter, ValidationError

Form: TypeAlias = Literal["text", "object", "list"]
Ranks: TypeAlias = Literal["best", "all"] | int
"""Which labels of a text are wanted: what the model decides for, all, or so many of the most probable."""

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_EXAMPLE = 'send {"inputs": "text"} or {"inputs": ["text", …]}'


class BodyError(Exception):
    """The body is not a request for predictions. The text is one line: where it is wrong, how, and what to send."""


@dataclass(frozen=True)
class Input:
    """A text to label, or a pair of texts."""

    text: str
    pair: str | None = None


@dataclass(frozen=True)
class PredictRequest:
    """What is to be labelled, and in which form the answer is wanted."""

    inputs: tuple[Input, ...]
    form: Form
    """What inputs came as: the answer's form depends on it."""
    ranks: Ranks = "best"


@dataclass(frozen=True)
class Accepted:
    """What a server accepts."""

    of_words: bool
    """Whether the model labels words: it then takes no pairs and no `top_k`."""
    max_texts: int
    """The most inputs in a request."""
    pairs: bool | None = None
    """Whether the model was trained on pairs of texts, and so takes nothing else. None is not known: it takes both."""


def read_body(body: bytes, accepted: Accepted) -> PredictRequest:
    """Read a request. Raises BodyError."""
    try:
        content = _JSON.validate_json(body)
    except ValidationError as error:
        fault = error.errors()[0]["msg"].removeprefix("Invalid JSON: ")
        raise BodyError(f"the body is not JSON ({fault}); {_EXAMPLE}") from error
    if not isinstance(content, dict):
        raise BodyError(f"the body is {_shown(content)}, not an object; {_EXAMPLE}")
    _require_known(content, ("inputs", "parameters"), "the body")
    if "inputs" not in content:
        raise BodyError(f"the body has no inputs; {_EXAMPLE}")
    inputs = content["inputs"]
    items = inputs if isinstance(inputs, list) else [inputs]
    if len(items) > accepted.max_texts:
        raise BodyError(
            f"inputs: are {len(items)}, and this server takes {accepted.max_texts} at once; send several requests"
        )
    form: Form = "list" if isinstance(inputs, list) else "object" if isinstance(inputs, dict) else "text"
    places = [f"inputs[{index}]" for index in range(len(items))] if form == "list" else ["inputs"]
    read = tuple(_input(item, place, accepted) for item, place in zip(items, places, strict=True))
    return PredictRequest(read, form, _ranks(content.get("parameters"), accepted))


def _input(item: JsonValue, place: str, accepted: Accepted) -> Input:
    if not isinstance(item, dict):
        return _fitting(Input(_text(item, place)), place, accepted)
    if accepted.of_words:
        raise BodyError(f"{place}: is an object, but a model that labels words takes no pairs; send a text")
    _require_known(item, ("text", "text_pair"), place)
    text = _text(item.get("text"), f"{place}.text")
    pair = item.get("text_pair")
    return _fitting(Input(text, _text(pair, f"{place}.text_pair") if pair is not None else None), place, accepted)


def _fitting(made: Input, place: str, accepted: Accepted) -> Input:
    """Return the input. Raises BodyError if it is a pair and the model takes none, or the other way round."""
    if accepted.pairs is False and made.pair is not None:
        raise BodyError(f"{place}: is a pair, and the model was not trained on pairs; send a text")
    if accepted.pairs and made.pair is None:
        raise BodyError(f'{place}: is one text, and the model was trained on pairs; send {{"text": …, "text_pair": …}}')
    return made


def _text(item: JsonValue, place: str) -> str:
    if not isinstance(item, str) or not item:
        raise BodyError(f"{place}: is {_shown(item)}; send a text")
    return item


def _ranks(parameters: JsonValue, accepted: Accepted) -> Ranks:
    if parameters is None:
        return "best"
    if not isinstance(parameters, dict):
        raise BodyError(f"parameters: is {_shown(parameters)}; send an object, or leave it out")
    _require_known(parameters, ("aggregation_strategy",) if accepted.of_words else ("top_k",), "parameters")
    if (strategy := parameters.get("aggregation_strategy", "simple")) != "simple":
        raise BodyError(f'parameters.aggregation_strategy: is {_shown(strategy)}; this server supports only "simple"')
    if "top_k" not in parameters:
        return "best"
    top_k = parameters["top_k"]
    if top_k is None:
        return "all"
    if not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 1:
        raise BodyError(f"parameters.top_k: is {_shown(top_k)}; send a number from 1 on, or null for all labels")
    return top_k


def _require_known(content: Mapping[str, JsonValue], known: Collection[str], place: str) -> None:
    unknown = next((key for key in content if key not in known), None)
    if unknown is not None:
        raise BodyError(f"{place}: has the unknown key {_shown(unknown)}; it may have {' and '.join(known)}")


def _shown(value: JsonValue) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return "null" if value is None else ascii(value)[:40]
