"""Entities: the numbers are seqeval's in every mode and scheme, and every wrong entity is in exactly one class."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval import scheme as seqeval_schemes
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as conll_scores
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_scores

from stages.pipeline.errors import DataError
from stages.scoring.core.entities import EntityPairs, TaggedWords, reading_of, scheme_of
from stages.scoring.core.scores import Average
from stages.scoring.evaluation.entity_errors import paired
from stages.scoring.evaluation.final_scores import EntityErrors
from stages.scoring.evaluation.scoring import entity_details
from stages.tags.schemes import decode
from stages.tags.spans import Reading, Spans
from tests.support.scored import headline, of_entities, score_entities, tagged_words
from tests.support.told import told

PREFIXES: Mapping[Reading, str] = {
    "conll": "BIES", "iob1": "BI", "iob2": "BI", "ioe1": "IE", "ioe2": "IE", "iobes": "BIES", "bilou": "BILU",
}  # fmt: skip
Sentences = list[list[str]]


def random_tags(prefixes: str, count: int) -> tuple[Sentences, Sentences]:
    """Gold and predicted tags in any order, so that most sentences are malformed; many predictions are right."""
    dice = random.Random(prefixes)
    tags = ["O", "O", *(f"{prefix}-{type_}" for prefix in prefixes for type_ in ("per", "loc-x", "a"))]
    gold = [dice.choices(tags, k=dice.randint(1, 12)) for _ in range(count)]
    predicted = [[tag if dice.random() < 0.7 else dice.choice(tags) for tag in sentence] for sentence in gold]
    return predicted, gold


@pytest.mark.parametrize("reading", PREFIXES)
def test_ten_thousand_random_sequences_have_seqevals_scores_to_the_last_bit(reading: Reading) -> None:
    predicted, gold = random_tags(PREFIXES[reading], 10_000)
    scores = score_entities(predicted, gold, reading=reading)

    def expected(average: str | None) -> Any:
        if reading == "conll":
            return conll_scores(gold, predicted, average=average, zero_division=0)
        scheme = getattr(seqeval_schemes, reading.upper())
        return strict_scores(gold, predicted, average=average, zero_division=0, scheme=scheme)

    assert list(vars(headline(scores)).values()) == list(expected("micro")[:3])
    assert list(vars(scores.averages["macro"]).values()) == pytest.approx(expected("macro")[:3], abs=1e-12)
    assert list(vars(scores.averages["weighted"]).values()) == pytest.approx(expected("weighted")[:3], abs=1e-12)
    per_type = np.array([list(vars(score).values()) for score in scores.per_label.values()])
    assert per_type == pytest.approx(np.array(expected(None)).T, abs=1e-12)
    assert 0.2 < scores.metrics["f1"] < 0.95


@given(st.data())
def test_entities_are_those_of_decode(data: st.DataObject) -> None:
    tag = st.sampled_from(["O", *(f"{prefix}-{type_}" for prefix in "BIESLU" for type_ in "xy")])
    sentences = data.draw(st.lists(st.lists(tag, max_size=8), max_size=4))
    words = tagged_words(sentences, sentences)
    pairs = EntityPairs.read(words, "conll")
    first_word = np.cumsum(words.lengths) - words.lengths
    found = [
        (int(sentence), pairs.types[type_], int(start - first_word[sentence]), int(end - first_word[sentence]))
        for sentence, type_, start, end in zip(
            pairs.gold.sentence, pairs.gold.type, pairs.gold.start, pairs.gold.end, strict=True
        )
    ]
    assert found == [
        (place, entity.type, entity.start, entity.end)
        for place, tags in enumerate(sentences)
        for entity in decode(tags)
    ]


def test_strict_scores_are_told_where_they_differ() -> None:
    gold, stray = ["B-per", "I-per", "O", "O"], ["I-per", "I-per", "O", "O"]
    lenient = words_of([gold, stray], [gold, gold])
    details = entity_details(of_entities(lenient), "conll")
    assert details.other_readings == {"strict": Average(1.0, 0.5, pytest.approx(2 / 3))}
    equal = words_of([gold], [gold])
    same = entity_details(of_entities(equal), "conll")
    assert same.other_readings == {}


def words_of(predicted: Sentences, gold: Sentences) -> TaggedWords:
    return tagged_words(predicted, gold)


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        (["B-x", "I-x", "O"], ["B-x", "O", "O"], "iob2"),
        (["B-x", "E-x", "S-x"], ["S-x", "S-x", "O"], "iobes"),
        (["B-x", "L-x", "U-x"], ["U-x", "U-x", "O"], "bilou"),
        (["I-x", "I-x", "O"], ["I-x", "O", "O"], "iob1"),
        (["I-x", "I-x", "O"], ["B-x", "I-x", "O"], "iob1"),  # by gold, which decides
        (["I-x", "I-x", "O"], ["S-x", "O", "O"], "iob1"),  # whatever prefix was predicted
        (["O", "O", "O"], ["B-x", "I-x", "O"], "iob2"),
        (["NOUN", "O", "O"], ["NOUN", "O", "O"], "conll"),
    ],
)
def test_the_scheme_of_strict_scores_is_told_by_the_tags(gold: list[str], predicted: list[str], expected: str) -> None:
    words = words_of([predicted], [gold])
    assert scheme_of(words, "auto") == expected
    assert reading_of("conll", words, "auto") == "conll"
    assert reading_of("strict", words, "ioe2") == "ioe2"


def test_a_tag_that_the_scheme_does_not_have_is_told() -> None:
    words = words_of([["B-per", "O"]], [["S-per", "O"]])
    with pytest.raises(DataError) as error:
        EntityPairs.read(words, "iob2")
    assert "tag S-per is not in scheme iob2" in told(error)


# Errors

ERRORS = [
    ("XX.", "XX.", EntityErrors(1, 0, 0, 0, 0, 0)),
    ("XX.", "YY.", EntityErrors(0, 1, 0, 0, 0, 0)),
    ("XX.", "XXX", EntityErrors(0, 0, 1, 0, 0, 0)),
    ("XX.", "YYY", EntityErrors(0, 0, 0, 1, 0, 0)),
    ("XX.", "...", EntityErrors(0, 0, 0, 0, 1, 0)),
    ("...", "..X", EntityErrors(0, 0, 0, 0, 0, 1)),
    ("XX.", "..X", EntityErrors(0, 0, 0, 0, 1, 1)),
    ("XXXX", "X.X.", EntityErrors(0, 0, 1, 0, 0, 1)),  # two halves: one pair, one too many
    ("X.X.", "XXXX", EntityErrors(0, 0, 1, 0, 1, 0)),
    ("XXXX", "YYYx", EntityErrors(0, 0, 1, 0, 0, 1)),  # the same type comes before more shared words
    ("XXX.", "Xxx.", EntityErrors(0, 0, 1, 0, 0, 1)),
]
"""Entities are runs of one letter; upper and lower case are two entities of one type."""


def spans(text: str) -> Spans:
    found = []
    for place, letter in enumerate(text):
        if letter == ".":
            continue
        if found and text[place - 1] == letter:
            found[-1][1] = place + 1
        else:
            found.append([place, place + 1, "XY".index(letter.upper())])
    start, end, type_ = np.array(found, np.int64).reshape(-1, 3).T
    return Spans(start, end, type_, np.zeros_like(start))


@pytest.mark.parametrize(("gold", "predicted", "expected"), ERRORS)
def test_each_kind_of_error_is_told_by_its_name(gold: str, predicted: str, expected: EntityErrors) -> None:
    assert paired(spans(gold), spans(predicted)).counts() == expected


@given(st.data())
def test_every_gold_and_every_predicted_entity_is_in_exactly_one_class(data: st.DataObject) -> None:
    length = data.draw(st.integers(0, 12))
    letters = st.lists(st.sampled_from(".XxYy"), min_size=length, max_size=length).map("".join)
    gold, predicted = spans(data.draw(letters)), spans(data.draw(letters))
    errors = paired(gold, predicted).counts()
    pairs = errors.exact + errors.type + errors.span + errors.type_and_span
    assert pairs + errors.missed == len(gold.start)
    assert pairs + errors.spurious == len(predicted.start)
    places = [
        set(zip(each.start.tolist(), each.end.tolist(), each.type.tolist(), strict=True)) for each in (gold, predicted)
    ]
    assert errors.exact == len(places[0] & places[1])
    assert errors.exact + errors.type == len({place[:2] for place in places[0]} & {place[:2] for place in places[1]})
    if errors.missed and errors.spurious:
        assert pairs < min(len(gold.start), len(predicted.start))


# Wordings


def test_entities_are_told_apart_by_whether_train_has_their_wording_as_an_entity() -> None:
    gold = [["B-loc", "I-loc", "O", "B-per"], ["B-loc", "O"]]
    predicted = [["B-loc", "I-loc", "O", "O"], ["B-per", "B-loc"]]
    tokens = ["New", "YORK", "and", "Ada", "Paris", "the"]
    words = words_of(predicted, gold)
    details = entity_details(of_entities(words), "conll", tokens, frozenset(["new york", "paris"]))
    assert details.seen is not None and details.unseen is not None
    assert list(vars(details.seen).values()) == [0.5, 0.5, 0.5, 2]  # New York is found, Paris is not
    assert list(vars(details.unseen).values()) == [0.0, 0.0, 0.0, 1]
