"""Metrics of predictions as functions of examples, and their intervals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.scoring.core.metrics import Metric, OfSums
from stages.scoring.core.predicted import Predictions
from stages.scoring.evaluation.resampling import (
    LEVEL,
    AnyStatistic,
    Interval,
    Statistic,
    WeightedStatistic,
    WeightedValue,
    interval,
    resampled,
    wilson_interval,
)


@dataclass(frozen=True)
class Measured:
    """A metric of all examples, or of some."""

    metric: Metric
    statistic: AnyStatistic
    examples: int
    """How many it is of."""
    is_share: bool
    """Whether it is a share of independent examples, so that Wilson's interval is the better one."""

    @property
    def name(self) -> str:
        """The name among all that are resampled together."""
        return self.statistic.name

    def observed(self) -> float | None:
        """Return the score; None where it is not defined."""
        value = self.statistic.observed()
        return None if np.isnan(value) else value

    def interval(self, drawn: NDArray[np.float64] | None, level: float = LEVEL) -> Interval | None:
        """Return the interval, from the scores of resamples unless it is a share.

        None where it is not defined, or where all resamples score alike: examples that are all right say nothing of how many
        others would be.
        """
        if self.is_share:
            assert isinstance(self.statistic, Statistic)
            return wilson_interval(float(self.statistic.counts[:, 0].sum()), self.examples, level)
        assert drawn is not None
        found = interval(drawn, level, self.examples)
        return None if found is None or found.low == found.high else found


def measured(
    predictions: Predictions, metrics: Sequence[Metric], mask: NDArray[np.bool_] | None = None, prefix: str = ""
) -> Iterator[Measured]:
    """Return those metrics that can be computed, in their order; of the examples in `mask`, [examples], if it is given.

    `prefix` stands before their names, to tell parts of the examples apart.
    """
    for metric in metrics:
        formula = metric.formulas[predictions.form]
        basis = predictions.basis(formula.basis)
        if basis is None:
            continue
        name, examples = prefix + metric.name, len(basis) if mask is None else int(mask.sum())
        if isinstance(formula, OfSums):
            counts = basis if mask is None else basis * mask[:, None]  # other examples add nothing to the sums
            is_share = formula.basis == "right" and predictions.is_independent
            yield Measured(metric, Statistic(name, counts, formula.value), examples, is_share)
        elif mask is None:
            yield Measured(metric, WeightedStatistic(name, basis, formula.value), examples, is_share=False)
        else:
            columns = np.concatenate([basis, mask[:, None]], axis=1)
            yield Measured(metric, WeightedStatistic(name, columns, _masked(formula.value)), examples, is_share=False)


def _masked(value: WeightedValue) -> WeightedValue:
    """Return a function that scores only the examples whose last column is 1."""
    return lambda columns, weights: value(columns[:, :-1], weights * columns[:, -1])


def intervals_of(scores: Sequence[Measured], resamples: int) -> Mapping[str, Interval | None]:
    """Return the interval of each, by name."""
    by_bootstrap = [each.statistic for each in scores if not each.is_share]
    drawn = resampled(by_bootstrap, resamples=resamples) if by_bootstrap else {}
    return {each.name: each.interval(drawn.get(each.name)) for each in scores}
