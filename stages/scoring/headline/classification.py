"""Accuracy, precision, recall and F1 where each text or word has one label."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.scoring.headline.averages import label_scores, macro_average, weighted_average
from stages.scoring.headline.rates import Array, tally
from stages.scoring.headline.scores import LabelScores

Codes = NDArray[np.int64]


def score_labels(predicted: Codes, gold: Codes, names: Sequence[str], *, loss: float | None) -> LabelScores:
    """Score label codes, both of shape [units], into `names`.

    Averages are over the labels that occur in either; a score without a denominator counts as 0.
    """
    sums = label_sums(predicted, gold, np.zeros_like(gold), 1, len(names))[0]
    macro = macro_average(sums)
    return LabelScores(
        accuracy=float((predicted == gold).mean()),
        loss=loss,
        headline=macro,
        macro=macro,
        weighted=weighted_average(sums),
        per_label=label_scores(sums, names),
    )


def label_sums(predicted: Codes, gold: Codes, example: Codes, examples: int, labels: int) -> Array:
    """[examples, labels, 3]: how often each label is predicted rightly, predicted, and gold in each example.

    `predicted`, `gold` and `example` have shape [units].
    """
    right = predicted == gold
    occurrences = (example[right], gold[right]), (example, predicted), (example, gold)
    return np.stack([tally(places, codes, examples, labels) for places, codes in occurrences], axis=-1)
