"""What gold or a system says of an example, in words: a label, entities, or plain tags."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from stages.scoring.core.entities import EntityPredictions
from stages.scoring.core.predicted import Predictions
from stages.scoring.evaluation.predictions_file import GOLD, PREDICTED, PredictionsFile
from stages.tags.schemes import Entity
from stages.tags.spans import Spans

Side: TypeAlias = Literal["gold", "predicted"]


@dataclass(frozen=True)
class Annotation:
    """What is said of one example; what does not apply is empty."""

    label: str | None = None
    """Text: its label, its labels with commas between, or its number."""
    entities: Sequence[Entity] = ()
    """Tokens: places in the sentence."""
    tags: Sequence[str] = ()
    """Tokens with plain tags (parts of speech): one a token."""


Annotate: TypeAlias = Callable[[int, Side], Annotation]
"""From an example's place and a side to what that side says."""


def annotations(file: PredictionsFile, predictions: Predictions) -> Annotate:
    """Return how the examples of a file are told. `predictions` are those of the file: entities are read as they are scored."""
    if isinstance(predictions, EntityPredictions):
        sides = {GOLD: predictions.pairs.gold, PREDICTED: predictions.pairs.predicted}
        return lambda example, side: Annotation(
            entities=entities_of(sides[side], predictions.labels, example, int(file.starts[example]))
        )
    if file.has_words:
        return lambda example, side: Annotation(tags=_rows(file, example, side))
    if predictions.form == "number":
        return lambda example, side: Annotation(label=f"{_rows(file, example, side)[0]:g}")
    if predictions.form == "labels":
        return lambda example, side: Annotation(label=", ".join(_rows(file, example, side)[0]))
    return lambda example, side: Annotation(label=_rows(file, example, side)[0])


def entities_of(spans: Spans, types: Sequence[str], sentence: int, first_word: int) -> list[Entity]:
    """Return the entities of one sentence, whose first word is `first_word` of all."""
    start, end = np.searchsorted(spans.sentence, [sentence, sentence + 1])
    return [
        Entity(types[spans.type[place]], int(spans.start[place]) - first_word, int(spans.end[place]) - first_word)
        for place in range(start, end)
    ]


def _rows(file: PredictionsFile, example: int, side: Side) -> list[Any]:
    start, end = file.starts[example : example + 2].tolist()
    rows: list[Any] = file.table[side].slice(start, end - start).to_pylist()
    return rows
