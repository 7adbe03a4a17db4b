"""Viterbi against every sequence of tags: what is well-formed is told by reading and writing tags, not by the same rules."""

from functools import cache
from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.configuration.schema import EntityScheme
from stages.tags import viterbi
from stages.tags.schemes import convert, names_in_scheme
from stages.tags.viterbi import has_legal_tags, most_probable_tags

SCHEMES: tuple[EntityScheme, ...] = get_args(EntityScheme)
TYPES = ("x", "O", "B-x")
all_schemes = pytest.mark.parametrize("scheme", SCHEMES)


@cache
def well_formed(names: tuple[str, ...], length: int, scheme: EntityScheme) -> np.ndarray:
    """All sequences of tags that stay the same when their entities are read and written, as codes, [sequences, length]."""
    found = [
        codes
        for codes in product(range(len(names)), repeat=length)
        if convert(tags := [names[code] for code in codes], scheme) == tags
    ]
    return np.array(found, np.int64).reshape(len(found), length)


@all_schemes
@settings(deadline=None)
@given(data=st.data())
def test_the_tags_are_the_best_of_all_that_are_well_formed(scheme: EntityScheme, data: st.DataObject) -> None:
    """Logits are small whole numbers, so that many sequences are equally good, and sums are exact."""
    types = data.draw(st.integers(1, 2))
    names = names_in_scheme([f"B-{type_}" for type_ in TYPES[:types]], scheme)
    if data.draw(st.booleans()):
        names = (*names[1:], "[PAD]", names[0])  # a label that is no tag, and `O` last
    lengths = data.draw(st.lists(st.integers(0, 4 if types == 1 else 3), min_size=1, max_size=5))
    values = st.lists(st.integers(-3, 3), min_size=len(names), max_size=len(names))
    drawn = data.draw(st.lists(values, min_size=sum(lengths), max_size=sum(lengths)))
    logits = np.array(drawn, np.float32).reshape(-1, len(names))
    found = most_probable_tags(logits, np.array(lengths), names, scheme)
    assert found.shape == (sum(lengths),)
    for codes, own in zip(np.split(found, np.cumsum(lengths)), np.split(logits, np.cumsum(lengths)), strict=True):
        choices, words = well_formed(names, len(codes), scheme), np.arange(len(codes))
        assert codes.tolist() in choices.tolist()
        assert own[words, codes].sum() == own[words, choices].sum(axis=1).max()
        if own.argmax(axis=1).tolist() in choices.tolist():
            assert codes.tolist() == own.argmax(axis=1).tolist()


@all_schemes
def test_long_sentences_are_well_formed_whatever_stands_beside_them(
    scheme: EntityScheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, draw = names_in_scheme(["B-x", "B-y"], scheme), np.random.default_rng(0)
    lengths = draw.integers(0, 60, 40)
    logits = draw.normal(size=(lengths.sum(), len(names))).astype(np.float32)
    together = most_probable_tags(logits, lengths, names, scheme)
    monkeypatch.setattr(viterbi, "_BLOCK", 7 * len(names) ** 2)
    assert np.array_equal(together, most_probable_tags(logits, lengths, names, scheme))
    parts = zip(*(np.split(each, np.cumsum(lengths)[:-1]) for each in (together, logits)), lengths, strict=True)
    for codes, own, length in parts:
        tags = [names[code] for code in codes]
        assert convert(tags, scheme) == tags
        assert np.array_equal(codes, most_probable_tags(own, np.array([length]), names, scheme))


def test_a_stray_inside_tag_becomes_what_costs_least() -> None:
    names = ["O", "B-per", "I-per"]
    logits = np.log([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.4, 0.3, 0.3]]).astype(np.float32)
    assert logits.argmax(axis=1).tolist() == [0, 2, 0]
    assert most_probable_tags(logits, np.array([3]), names, "iob2").tolist() == [0, 1, 0]  # .8*.3*.4 > .1*.5*.4
    assert most_probable_tags(logits, np.array([3]), names, "iob1").tolist() == [0, 2, 0]  # it is none there


def test_tags_that_fit_no_sentence_are_noticed() -> None:
    assert not has_legal_tags(["NOUN", "VERB"], "iob2")
    assert not has_legal_tags(["B-x", "I-x", "E-x"], "iobes")  # a sentence of one word would have none
    assert has_legal_tags(["B-x", "I-x", "E-x", "S-x"], "iobes")
    assert all(has_legal_tags(["O"], scheme) for scheme in SCHEMES)
