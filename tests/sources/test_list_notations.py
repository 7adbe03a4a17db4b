"""Lists in cells, in the notations of JSON, Python and NumPy."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.sources.list_notations import parsed_list

strings = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=5)


@given(strings)
@example(["' '", "😀"])
def test_every_notation_gives_the_strings_back(found: list[str]) -> None:
    by_numpy = str(np.array(found, object))
    assert [parsed_list(text) for text in (json.dumps(found), repr(found), by_numpy)] == [found] * 3


@given(st.text("[]'\"\\xfbuN{} ,1\n", max_size=12).map(lambda inside: f"[{inside}]"))
@example(r"['\x' 'b']")
@example("[f'a' 'b']")
def test_any_text_is_a_list_or_none(text: str) -> None:
    found = parsed_list(text)
    assert found is None or isinstance(found, list)


@pytest.mark.parametrize(
    "text", ["", "a b", "['a', 'b'", r"['\x' 'b']", "[f'a' 'b']", "['a' b]", '{"a": 1}', "[" * 5000]
)
def test_what_is_no_list_is_told_so(text: str) -> None:
    assert parsed_list(text) is None
