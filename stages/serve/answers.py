"""Predictions in the form of transformers' pipelines, so that a client of one can use the other.

Answers of `pipeline("text-classification")` and of `pipeline("token-classification", aggregation_strategy="simple")` in
transformers 5, as tests compare. What differs: texts longer than the model are read whole; a model of any number of labels
gives those above its threshold, and not the most probable one alone; `word` is a part of the text, and not decoded sub-words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from datasets import Features, Value

from stages.columns.names import LABEL, label_names
from stages.predict.inputs import split_into_words
from stages.predict.output_rows import DECIMALS, entities_of
from stages.predict.predictor import Predictor
from stages.serve.request_body import Input, PredictRequest

(_NUMBER,) = label_names(Features({LABEL: Value("float64")}))
"""What a model that predicts a number calls it."""


@dataclass(frozen=True)
class Label:
    """A label with its probability, or a predicted number as the score of the only label."""

    label: str
    score: float


@dataclass(frozen=True)
class Labels:
    """What is predicted for a text."""

    ranked: tuple[Label, ...]
    """All labels, the most probable first."""
    decided: tuple[Label, ...] | None
    """Where a text may have several labels: those that it is given, the most probable first."""


@dataclass(frozen=True)
class EntityGroup:
    """An entity in a text. Offsets count Unicode code points."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


Prediction: TypeAlias = Labels | tuple[EntityGroup, ...]
Answer: TypeAlias = Label | Sequence["Answer"] | EntityGroup
"""What becomes the JSON of a response."""


def predictions_of(predictor: Predictor, inputs: Sequence[Input]) -> list[Prediction]:
    """Label inputs with as few calls of the predictor as they allow: one for texts, one for pairs."""
    if predictor.takes_words:
        return [*_entities(predictor, [each.text for each in inputs])]
    found: dict[int, Prediction] = {}
    for are_pairs in (False, True):
        places = [place for place, each in enumerate(inputs) if (each.pair is not None) == are_pairs]
        if places:
            pairs = [inputs[place].pair or "" for place in places] if are_pairs else None
            table = predictor.label_texts([inputs[place].text for place in places], pairs)
            found |= zip(places, ranked_labels(table), strict=True)
    return [found[place] for place in range(len(inputs))]


def ranked_labels(table: pa.Table) -> list[Labels]:
    """Return the labels of each text from the predictor's table."""
    predicted = table["predicted"].to_pylist()
    if "score" not in table.column_names:  # numbers
        return [Labels((Label(_NUMBER, number),), None) for number in predicted]
    several = pa.types.is_list(table["predicted"].type)
    scores = table["score" if several else "probabilities"].to_pylist()
    return [
        _label_set(of_text, given) if several else Labels(_ranked(of_text, [given]), None)
        for of_text, given in zip(scores, predicted, strict=True)
    ]


def _label_set(scores: Mapping[str, float], given: Sequence[str]) -> Labels:
    ranked = _ranked(scores, given)
    return Labels(ranked, tuple(each for each in ranked if each.label in given))


def _ranked(scores: Mapping[str, float], given: Sequence[str]) -> tuple[Label, ...]:
    """Return all labels by probability, which is rounded. Among equal ones, the predicted labels come first."""
    order = sorted(scores, key=lambda name: (-scores[name], name not in given))
    return tuple(Label(name, round(scores[name], DECIMALS)) for name in order)


def _entities(predictor: Predictor, texts: Sequence[str]) -> list[tuple[EntityGroup, ...]]:
    inputs = split_into_words(texts)
    assert inputs.words is not None
    table = predictor.label_words(inputs.words)
    found = entities_of(inputs, table["predicted"].to_pylist(), np.array(table["score"]), predictor.labels)
    return [
        tuple(EntityGroup(each.label, each.score, each.text, each.start, each.end) for each in of_text)
        for of_text in found
    ]


def answer_to(request: PredictRequest, predictions: Sequence[Prediction]) -> Answer:
    """Give the predictions the form in which a pipeline returns them.

    The best label is one object a text, in a list also for a single text, but not for a single object. Labels by rank,
    those above a threshold, and entities are a list a text, and a single text's list stands alone.
    """
    answers = [_answer(prediction, request) for prediction in predictions]
    is_best_of_text = request.form == "text" and isinstance(answers[0], Label)
    return answers if request.form == "list" or is_best_of_text else answers[0]


def _answer(prediction: Prediction, request: PredictRequest) -> Answer:
    if isinstance(prediction, tuple):
        return prediction
    if request.ranks != "best":
        return prediction.ranked[: None if request.ranks == "all" else request.ranks]
    return prediction.ranked[0] if prediction.decided is None else prediction.decided
