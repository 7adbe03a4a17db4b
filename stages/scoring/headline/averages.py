"""Sums of labels as the scores that metrics files hold."""

from collections.abc import Callable, Sequence

from stages.scoring.headline.rates import GOLD, PREDICTED, Array, macro, micro, rates, weighted
from stages.scoring.headline.scores import Average, LabelScore


def micro_average(sums: Array) -> Average:
    """Of all labels together, from [labels, 3] sums."""
    return _average(micro, sums)


def macro_average(sums: Array) -> Average:
    """The mean over the labels that are predicted or gold."""
    return _average(macro, sums)


def weighted_average(sums: Array) -> Average:
    """The mean over the labels, by how often they are gold."""
    return _average(weighted, sums)


def label_scores(sums: Array, names: Sequence[str]) -> dict[str, LabelScore]:
    """The scores of each label that is predicted or gold, in the order of `names`."""
    return {name: label_score(row) for name, row in zip(names, sums, strict=True) if row[PREDICTED] + row[GOLD] > 0}


def label_score(sums: Array) -> LabelScore:
    """The scores of one label, from its three sums."""
    precision, recall, f1 = rates(sums).tolist()
    return LabelScore(precision, recall, f1, int(sums[GOLD]))


def _average(average: Callable[[Array], Array], sums: Array) -> Average:
    return Average(*average(sums).tolist())
