"""What kind of error each wrong entity is, so that every gold and every predicted entity is in exactly one class.

The classes are those of MUC-5 (Chinchor and Sundheim 1993) and SemEval-2013 task 9 (Segura-Bedmar et al. 2013). Gold and
predicted entities are paired, each with one other at most: first those with the same words, then those that share
some; among these equal types come first, then more shared words, then the place in the text. The pair says the class;
what is left over is missed or spurious. So an entity that is predicted in two halves is one wrong span and one
spurious entity.
"""

import numpy as np
from numpy.typing import NDArray

from stages.scoring.final.scores import EntityErrors
from stages.scoring.headline.spans import Integers, Spans
from stages.tasks.columns.arrays import ranges


def entity_errors(gold: Spans, predicted: Spans) -> EntityErrors:
    """Classify all entities."""
    g, p = _same_words(gold, predicted)
    exact = int((gold.type[g] == predicted.type[p]).sum())
    gold_left, predicted_left = (_without(spans, paired) for spans, paired in ((gold, g), (predicted, p)))
    same_type = _overlapping(gold_left, predicted_left)
    overlaps = len(same_type)
    return EntityErrors(
        exact=exact,
        type=len(g) - exact,
        span=int(same_type.sum()),
        type_and_span=int((~same_type).sum()),
        missed=len(gold_left.start) - overlaps,
        spurious=len(predicted_left.start) - overlaps,
    )


def _same_words(gold: Spans, predicted: Spans) -> tuple[Integers, Integers]:
    """The indices of the gold and of the predicted entity of each pair that has the same words, [pairs]."""
    behind = 1 + max(gold.last_word, predicted.last_word)
    of_gold, of_predicted = (spans.start * behind + spans.end for spans in (gold, predicted))
    _, g, p = np.intersect1d(of_gold, of_predicted, assume_unique=True, return_indices=True)
    return g, p


def _without(spans: Spans, paired: Integers) -> Spans:
    left = np.ones(len(spans.start), bool)
    left[paired] = False
    return spans.where(left)


def _overlapping(gold: Spans, predicted: Spans) -> NDArray[np.bool_]:
    """[pairs]: whether the types of each pair that has words in common are equal."""
    g, p, shared = _shared_words(gold, predicted)
    same_type: NDArray[np.bool_] = gold.type[g] == predicted.type[p]
    order = np.lexsort((p, g, -shared, ~same_type))
    free_gold, free_predicted = set(g.tolist()), set(p.tolist())
    paired = []
    for place, one, other in zip(order.tolist(), g[order].tolist(), p[order].tolist(), strict=True):
        if one in free_gold and other in free_predicted:
            free_gold.remove(one)
            free_predicted.remove(other)
            paired.append(place)
    chosen: NDArray[np.bool_] = same_type[np.array(paired, np.int64)]
    return chosen


def _shared_words(gold: Spans, predicted: Spans) -> tuple[Integers, Integers, Integers]:
    """Each pair that has words in common, by index, and how many these are; [pairs] each."""
    of_gold, of_predicted = (ranges(spans.start, spans.end - spans.start) for spans in (gold, predicted))
    owners = [np.repeat(np.arange(len(spans.start)), spans.end - spans.start) for spans in (gold, predicted)]
    _, in_gold, in_predicted = np.intersect1d(of_gold, of_predicted, assume_unique=True, return_indices=True)
    pairs = owners[0][in_gold] * max(1, len(predicted.start)) + owners[1][in_predicted]
    found, shared = np.unique(pairs, return_counts=True)
    g, p = np.divmod(found, max(1, len(predicted.start)))
    return g, p, shared
