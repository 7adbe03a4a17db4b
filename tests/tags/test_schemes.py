"""Tag schemes: seqeval is the reference for reading, and reading and writing undo each other."""

import itertools
import warnings
from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval import scheme as seqeval_scheme
from seqeval.metrics.sequence_labeling import get_entities

from stages.configuration.schema import EntityScheme
from stages.tags.schemes import (
    Entity,
    SchemeDetector,
    convert,
    decode,
    detect,
    encode,
    illegal_transitions,
    inside_tag,
    names_in_scheme,
)

SCHEMES: tuple[EntityScheme, ...] = get_args(EntityScheme)
PREFIXES = {"iob1": "BI", "iob2": "BI", "ioe1": "IE", "ioe2": "IE", "iobes": "BIES", "bilou": "BILU"}
TYPES = ["x", "O", "B-x", "geo-loc", "I", "-", "é"]

all_schemes = pytest.mark.parametrize("scheme", SCHEMES)
types = st.sampled_from(TYPES)
bits = st.lists(st.tuples(types, st.integers(1, 4), st.integers(0, 2)), max_size=6)
"""Entities one behind the other: type, words, words until the next; often none, so that entities adjoin."""
any_tags = st.lists(
    st.one_of(st.just("O"), st.builds(lambda prefix, type_: f"{prefix}-{type_}", st.sampled_from("BIES"), types)),
    max_size=12,
)


def laid_out(bits_: Iterable[tuple[str, int, int]]) -> tuple[list[Entity], int]:
    entities, place = [], 1
    for type_, length, gap in bits_:
        entities.append(Entity(type_, place, place + length))
        place += length + gap
    return entities, place


def tagged(bits_: Iterable[tuple[str, int, int]], scheme: EntityScheme) -> list[str]:
    return encode(*laid_out(bits_), scheme)


@all_schemes
@given(bits_=bits)
def test_what_is_written_is_read_again(scheme: EntityScheme, bits_: list[tuple[str, int, int]]) -> None:
    entities, length = laid_out(bits_)
    tags = encode(entities, length, scheme)
    assert len(tags) == length
    assert {tag[0] for tag in tags} <= {"O", *PREFIXES[scheme]}
    assert decode(tags) == entities


def test_each_scheme_writes_adjoining_entities_its_own_way() -> None:
    entities = [Entity("x", 0, 1), Entity("x", 1, 4), Entity("y", 4, 6), Entity("y", 7, 8)]
    written = {
        "iob1": "I-x B-x I-x I-x I-y I-y O I-y",
        "iob2": "B-x B-x I-x I-x B-y I-y O B-y",
        "ioe1": "E-x I-x I-x I-x I-y I-y O I-y",
        "ioe2": "E-x I-x I-x E-x I-y E-y O E-y",
        "iobes": "S-x B-x I-x E-x B-y E-y O S-y",
        "bilou": "U-x B-x I-x L-x B-y L-y O U-y",
    }
    assert {scheme: " ".join(encode(entities[::-1], 8, scheme)) for scheme in SCHEMES} == written


@given(any_tags)
def test_whatever_the_tags_they_are_read_as_seqeval_does(tags: list[str]) -> None:
    with warnings.catch_warnings(action="ignore"):
        expected = [(type_, start, last + 1) for type_, start, last in get_entities(tags)]
    assert [(entity.type, entity.start, entity.end) for entity in decode(tags)] == expected


@given(any_tags)
def test_bilou_is_read_as_iobes(tags: list[str]) -> None:
    spelling = {"E": "L", "S": "U"}
    assert decode([spelling.get(tag[0], tag[0]) + tag[1:] for tag in tags]) == decode(tags)


@pytest.mark.parametrize("scheme", ["iob1", "iob2", "ioe2", "iobes", "bilou"])
@given(bits_=bits)
def test_well_formed_tags_are_read_as_seqeval_reads_them_strictly(
    scheme: EntityScheme, bits_: list[tuple[str, int, int]]
) -> None:
    """seqeval's IOE1 can't read all of its own examples, as a note in its code says, and is left out."""
    bits_ = [bit for bit in bits_ if bit[0] != "-"]  # seqeval strips hyphens
    strict = seqeval_scheme.Tokens(tagged(bits_, scheme), getattr(seqeval_scheme, scheme.upper())).entities
    entities, _ = laid_out(bits_)
    assert [(entity.tag, entity.start, entity.end) for entity in strict] == [
        (entity.type, entity.start, entity.end) for entity in entities
    ]


def test_tags_without_a_prefix_are_outside() -> None:
    assert decode(["NOUN", "B-x", "B", "I-x", "O-x", "I-"]) == [Entity("x", 1, 2), Entity("x", 3, 4)]


@given(bits_=bits, source=st.sampled_from(SCHEMES), target=st.sampled_from(SCHEMES))
def test_conversion_keeps_every_entity(
    bits_: list[tuple[str, int, int]], source: EntityScheme, target: EntityScheme
) -> None:
    assert convert(tagged(bits_, source), target) == tagged(bits_, target)


@all_schemes
@given(corpus=st.lists(bits, min_size=1, max_size=5))
def test_a_scheme_is_told_by_its_tags(scheme: EntityScheme, corpus: list[list[tuple[str, int, int]]]) -> None:
    sentences = [tagged(bits_, scheme) for bits_ in corpus]
    found = detect(sentences)
    if not any(corpus):
        assert found == "plain"
        return
    if {tag[0] for tags in sentences for tag in tags} <= {"O", "I"}:  # nothing adjoins
        assert found == "iob1"
        return
    assert found == scheme


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["B-x I-x O B-x", "O I-x B-y", "B-x"], "iob2"),  # malformed: one I- of four begins an entity
        (["I-x B-x O I-x", "O I-x", "I-x O B-y"], "iob1"),  # malformed: one B- separates nothing
        (["B-x", "B-x B-x"], "iob2"),
        (["I-x I-x O"], "iob1"),
        (["E-x"], "ioe2"),
        (["S-x"], "iobes"),
        (["U-x"], "bilou"),
        (["B-x E-x O", "B-x I-x I-x"], "iobes"),  # malformed: one entity without its end
        (["B-x I-x O S-x", "B-x I-x"], "iobes"),  # no end at all, but only IOBES has S-
        (["B-x I-x L-x U-x E-x"], "bilou"),
        (["NOUN VERB"], "plain"),
        (["B-x I-x", "B-x I-x X"], "plain"),
        (["B I O"], "plain"),
        (["O O", "O"], "plain"),
        ([""], "plain"),
        ([], "plain"),
    ],
)
def test_the_scheme_of(sentences: list[str], scheme: str) -> None:
    assert detect(sentence.split() for sentence in sentences) == scheme


corpora = st.lists(st.lists(st.integers(-1, 8), max_size=6), max_size=6)


@all_schemes
@given(corpus=corpora)
def test_codes_are_detected_as_their_tags(scheme: EntityScheme, corpus: list[list[int]]) -> None:
    names = names_in_scheme(["I-x", "I-y"], scheme) + ("NOUN",) * 4
    detector = SchemeDetector()
    for part in (corpus[:2], corpus[2:]):
        codes, lengths = flattened(part)
        detector.add_codes(codes, lengths, names)
    assert detector.scheme == detect([names[code] if code >= 0 else "O" for code in codes] for codes in corpus)


def flattened(corpus: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    codes = np.array([code for sentence in corpus for code in sentence], np.int64)
    return codes, np.array([len(sentence) for sentence in corpus], np.int64)


@all_schemes
def test_a_sentence_is_legal_if_reading_and_writing_give_it_back(scheme: EntityScheme) -> None:
    """Every sentence of up to three words (for IOB and IOE of four) in two types."""
    names = names_in_scheme(["I-x", "I-y"], scheme)
    longest = 4 if len(names) == 5 else 3
    for length in range(longest + 1):
        for codes in itertools.product(range(len(names)), repeat=length):
            tags = [names[code] for code in codes]
            illegal = illegal_transitions(np.array(codes, np.int64), np.array([length]), names, scheme)
            assert (len(illegal) == 0) == (convert(tags, scheme) == tags), tags


@all_schemes
@given(corpus=corpora)
def test_sentences_are_checked_each_by_itself(scheme: EntityScheme, corpus: list[list[int]]) -> None:
    names = (*names_in_scheme(["I-x", "I-y"], scheme), "NOUN", "NOUN", "NOUN", "NOUN")
    expected, first = [], 0
    for codes in corpus:
        alone = illegal_transitions(np.array(codes, np.int64), np.array([len(codes)]), names, scheme)
        expected += [first + word for word in alone]
        first += len(codes)
    assert illegal_transitions(*flattened(corpus), names, scheme).tolist() == expected


@pytest.mark.parametrize(
    ("tags", "scheme", "words"),
    [
        ("I-x O B-x I-y I-y", "iob2", [0, 3]),
        ("I-x B-x O B-x B-y", "iob1", [3, 4]),
        ("B-x I-x", "iobes", [1]),  # the sentence ends within an entity
        ("B-x", "bilou", [0]),
        ("O I-x O", "ioe2", [2]),
        ("O E-x", "ioe1", [1]),
        ("B-x NOUN O O", "iob2", [1, 2]),
        ("NOUN NOUN", "plain", []),
    ],
)
def test_the_words_at_fault(tags: str, scheme: EntityScheme, words: list[int]) -> None:
    names = sorted(set(tags.split()))
    codes = np.array([names.index(tag) for tag in tags.split()])
    assert illegal_transitions(codes, np.array([len(codes)]), names, scheme).tolist() == words


def test_a_word_that_is_not_labelled_is_outside() -> None:
    codes = np.array([0, -1, 1])
    assert illegal_transitions(codes, np.array([3]), ["B-x", "I-x"], "iob2").tolist() == [2]


def test_the_labels_of_a_scheme_are_complete_and_in_order() -> None:
    names = ["B-person", "I-geo-loc", "O", "I-person"]
    assert names_in_scheme(names, "iob2") == ("O", "B-person", "I-person", "B-geo-loc", "I-geo-loc")
    assert names_in_scheme(names, "ioe1") == ("O", "I-person", "E-person", "I-geo-loc", "E-geo-loc")
    assert names_in_scheme(["S-x"], "iobes") == ("O", "B-x", "I-x", "E-x", "S-x")
    assert names_in_scheme(["O", "S-x"], "bilou") == ("O", "B-x", "I-x", "L-x", "U-x")


@all_schemes
@given(bits_=bits, source=st.sampled_from(SCHEMES))
def test_converted_tags_are_among_the_converted_names(
    scheme: EntityScheme, bits_: list[tuple[str, int, int]], source: EntityScheme
) -> None:
    tags = tagged(bits_, source)
    assert set(convert(tags, scheme)) <= set(names_in_scheme(tags, scheme))


@pytest.mark.parametrize(
    ("tag", "inside"),
    [("B-x", "I-x"), ("S-x", "I-x"), ("U-x", "I-x"), ("I-x", "I-x"), ("E-x", "E-x"), ("L-x", "L-x"), ("O", "O"),
     ("B-y", "B-y"), ("NOUN", "NOUN"), ("B", "B")],
)  # fmt: skip
def test_the_tag_of_later_subwords(tag: str, inside: str) -> None:
    assert inside_tag(tag, ["O", "I-x", "B-x", "B-y", "I"]) == inside
