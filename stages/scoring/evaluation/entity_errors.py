"""What kind of error each wrong entity is, so that every gold and every predicted entity is in exactly one class.

The classes are those of MUC-5 (Chinchor and Sundheim 1993) and SemEval-2013 task 9 (Segura-Bedmar et al. 2013). Gold and
predicted entities are paired, each with one other at most: first those with the same words, then those that share
some; among these equal types come first, then more shared words, then the place in the text. The pair says the class;
what is left over is missed or spurious. So an entity that is predicted in two halves is one wrong span and one
spurious entity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from stages.columns.arrays import ranges
from stages.scoring.evaluation.final_scores import EntityErrors
from stages.tags.spans import Integers, Spans

CLASSES: Sequence[str] = tuple(field.name for field in fields(EntityErrors))
"""The names of the classes, in the order of their codes."""
_EXACT, _TYPE, _SPAN, _TYPE_AND_SPAN, _MISSED, _SPURIOUS = range(len(CLASSES))

NONE = -1
"""The index of the entity that a missed or spurious one is not paired with."""


@dataclass(frozen=True)
class EntityPairing:
    """Every gold and every predicted entity, once: in a pair, or alone. All arrays have shape [entries]."""

    gold: Integers
    """Indices of the gold entities; `NONE` where the predicted one is spurious."""
    predicted: Integers
    """Indices of the predicted entities; `NONE` where the gold one is missed."""
    code: Integers
    """The class of each, as an index in `CLASSES`."""

    def counts(self) -> EntityErrors:
        """Return how many there are of each class."""
        return EntityErrors(*np.bincount(self.code, minlength=len(CLASSES)).tolist())


def paired(gold: Spans, predicted: Spans) -> EntityPairing:
    """Pair and classify all entities, class by class."""
    g, p = _same_words(gold, predicted)
    same = np.where(gold.type[g] == predicted.type[p], _EXACT, _TYPE)
    gold_left, predicted_left = _others(gold, g), _others(predicted, p)
    h, q, same_type = _overlapping(gold.where(gold_left), predicted.where(predicted_left))
    overlapping = np.where(same_type, _SPAN, _TYPE_AND_SPAN)
    h, q = np.flatnonzero(gold_left)[h], np.flatnonzero(predicted_left)[q]
    gold_left[h], predicted_left[q] = False, False
    missed, spurious = np.flatnonzero(gold_left), np.flatnonzero(predicted_left)
    return EntityPairing(
        np.concatenate([g, h, missed, np.full(len(spurious), NONE)]),
        np.concatenate([p, q, np.full(len(missed), NONE), spurious]),
        np.concatenate([same, overlapping, np.full(len(missed), _MISSED), np.full(len(spurious), _SPURIOUS)]),
    )


def _same_words(gold: Spans, predicted: Spans) -> tuple[Integers, Integers]:
    """Return the indices of the gold and of the predicted entity of each pair with the same words, [pairs] each."""
    behind = 1 + max(gold.last_word, predicted.last_word)
    of_gold, of_predicted = (spans.start * behind + spans.end for spans in (gold, predicted))
    _, g, p = np.intersect1d(of_gold, of_predicted, assume_unique=True, return_indices=True)
    return g, p


def _others(spans: Spans, chosen: Integers) -> NDArray[np.bool_]:
    """Return which entities are not among the chosen ones, [entities]."""
    others = np.ones(len(spans.start), bool)
    others[chosen] = False
    return others


def _overlapping(gold: Spans, predicted: Spans) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    """Pair entities that share words. Return the indices of both, and whether their types are equal, [pairs] each."""
    g, p, shared = _shared_words(gold, predicted)
    same_type: NDArray[np.bool_] = gold.type[g] == predicted.type[p]
    order = np.lexsort((p, g, -shared, ~same_type))
    free_gold, free_predicted = set(g.tolist()), set(p.tolist())
    chosen = []
    for place, one, other in zip(order.tolist(), g[order].tolist(), p[order].tolist(), strict=True):
        if one in free_gold and other in free_predicted:
            free_gold.remove(one)
            free_predicted.remove(other)
            chosen.append(place)
    pairs = np.array(chosen, np.int64)
    return g[pairs], p[pairs], same_type[pairs]


def _shared_words(gold: Spans, predicted: Spans) -> tuple[Integers, Integers, Integers]:
    """Return the indices of all pairs that share words, and how many they share, [pairs] each."""
    of_gold, of_predicted = (ranges(spans.start, spans.end - spans.start) for spans in (gold, predicted))
    owners = [np.repeat(np.arange(len(spans.start)), spans.end - spans.start) for spans in (gold, predicted)]
    _, in_gold, in_predicted = np.intersect1d(of_gold, of_predicted, assume_unique=True, return_indices=True)
    pairs = owners[0][in_gold] * max(1, len(predicted.start)) + owners[1][in_predicted]
    found, shared = np.unique(pairs, return_counts=True)
    g, p = np.divmod(found, max(1, len(predicted.start)))
    return g, p, shared
