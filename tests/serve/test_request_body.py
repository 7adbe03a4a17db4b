"""Whatever comes as a body is read as what it says, or refused in one line that tells where it is wrong."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.serve.request_body import Accepted, BodyError, Form, Input, PredictRequest, Ranks, read_body

MOST = 3
TEXTS, WORDS = Accepted(of_words=False, max_texts=MOST), Accepted(of_words=True, max_texts=MOST)

texts = st.text(min_size=1)
pairs = st.fixed_dictionaries({"text": texts}, optional={"text_pair": st.none() | texts})
top_k = st.fixed_dictionaries({}, optional={"top_k": st.none() | st.integers(1)})
near_bodies = st.fixed_dictionaries(
    {"inputs": (item := texts | pairs) | st.lists(item, max_size=MOST + 1)},
    optional={"parameters": st.none() | top_k | st.fixed_dictionaries({"aggregation_strategy": st.just("simple")})},
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["inputs", "parameters", "text", "text_pair", "top_k"]) | st.text(), inner)
    ),
    max_leaves=8,
)


def is_request(content: Any, *, of_words: bool) -> bool:
    """The rule, told once more."""

    def is_text(value: Any) -> bool:
        return isinstance(value, str) and value != ""

    def is_input(value: Any) -> bool:
        if isinstance(value, dict) and not of_words:
            pair = value.get("text_pair")
            return (
                value.keys() <= {"text", "text_pair"} and is_text(value.get("text")) and (pair is None or is_text(pair))
            )
        return is_text(value)

    if not isinstance(content, dict) or not {"inputs"} <= content.keys() <= {"inputs", "parameters"}:
        return False
    parameters = content.get("parameters") or ({} if content.get("parameters") is None else content["parameters"])
    if not isinstance(parameters, dict):
        return False
    if of_words:
        right = parameters in ({}, {"aggregation_strategy": "simple"})
    else:
        k = parameters.get("top_k")
        right = parameters.keys() <= {"top_k"} and (k is None or (type(k) is int and k >= 1))
    inputs = content["inputs"]
    items = inputs if isinstance(inputs, list) else [inputs]
    return right and len(items) <= MOST and all(map(is_input, items))


def expected(content: Any) -> PredictRequest:
    inputs, parameters = content["inputs"], content.get("parameters") or {}
    items = inputs if isinstance(inputs, list) else [inputs]
    read = tuple(Input(item) if isinstance(item, str) else Input(item["text"], item.get("text_pair")) for item in items)
    ranks: Ranks = ("all" if parameters["top_k"] is None else parameters["top_k"]) if "top_k" in parameters else "best"
    form: Form = "list" if isinstance(inputs, list) else "text" if isinstance(inputs, str) else "object"
    return PredictRequest(read, form, ranks)


def refusal(body: bytes, accepted: Accepted) -> str:
    with pytest.raises(BodyError) as refused:
        read_body(body, accepted)
    line = str(refused.value)
    assert line.isprintable() and len(line) < 300
    return line


@given(near_bodies | json_values, st.booleans())
def test_a_body_is_read_as_it_is_meant_or_refused(content: Any, of_words: bool) -> None:
    accepted, body = WORDS if of_words else TEXTS, json.dumps(content).encode()
    if is_request(content, of_words=of_words):
        assert read_body(body, accepted) == expected(content)
    else:
        refusal(body, accepted)


@given(st.binary() | st.builds(lambda value, end: json.dumps(value).encode()[:end], near_bodies, st.integers(0, 40)))
def test_what_is_no_json_is_refused(body: bytes) -> None:
    try:
        is_right = is_request(json.loads(body), of_words=False)
    except ValueError:
        is_right = False
    if not is_right:
        refusal(body, TEXTS)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON (EOF while parsing a value at line 1 column 0); send"),
        (b"[1, 2", "the body is not JSON (EOF while parsing a list at line 1 column 5); send"),
        (b'{"inputs": "\xff"}', "the body is not JSON"),
        (rb'{"inputs": "\ud800"}', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON (recursion limit exceeded"),
        (b'"text"', "the body is 'text', not an object; send"),
        (b'{"input": "a"}', "the body: has the unknown key 'input'; it may have inputs and parameters"),
        (b"{}", "the body has no inputs; send"),
        (b'{"inputs": ["a", 3]}', "inputs[1]: is 3; send a text"),
        (b'{"inputs": ""}', "inputs: is ''; send a text"),
        (b'{"inputs": [["a"]]}', "inputs[0]: is a list; send a text"),
        (b'{"inputs": {"text_pair": "b"}}', "inputs.text: is null; send a text"),
        (b'{"inputs": [{"text": "a", "text_pair": 1}]}', "inputs[0].text_pair: is 1; send a text"),
        (b'{"inputs": ["a", "b", "c", "d"]}', "inputs: are 4, and this server takes 3 at once; send several requests"),
        (b'{"inputs": "a", "parameters": {"top_k": true}}', "parameters.top_k: is True; send a number from 1 on"),
        (b'{"inputs": "a", "parameters": {"topk": 1}}', "parameters: has the unknown key 'topk'; it may have top_k"),
        (b'{"inputs": "a", "parameters": 1}', "parameters: is 1; send an object, or leave it out"),
    ],
)
def test_a_refusal_says_what_and_where(body: bytes, message: str) -> None:
    assert message in refusal(body, TEXTS)


def test_a_model_takes_what_it_was_trained_on() -> None:
    text, both = b'{"inputs": ["a", {"text": "b"}]}', b'{"inputs": [{"text": "a", "text_pair": "b"}]}'
    of_texts, of_pairs = (Accepted(of_words=False, max_texts=MOST, pairs=pairs) for pairs in (False, True))
    assert read_body(text, of_texts) == read_body(text, TEXTS) and read_body(both, of_pairs) == read_body(both, TEXTS)
    assert refusal(both, of_texts).startswith("inputs[0]: is a pair, and the model was not trained on pairs")
    assert refusal(text, of_pairs).startswith("inputs[0]: is one text, and the model was trained on pairs")


def test_a_model_that_labels_words_takes_neither_pairs_nor_ranks() -> None:
    assert "takes no pairs; send a text" in refusal(b'{"inputs": {"text": "a"}}', WORDS)
    assert "unknown key 'top_k'" in refusal(b'{"inputs": "a", "parameters": {"top_k": 1}}', WORDS)
    message = refusal(b'{"inputs": "a", "parameters": {"aggregation_strategy": "max"}}', WORDS)
    assert message == "parameters.aggregation_strategy: is 'max'; this server supports only \"simple\""
