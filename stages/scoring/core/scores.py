"""The scores that runs are compared by: of validation while training, and of the test split in the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json
from stages.scoring.core.formulas import GOLD, PREDICTED, Array, macro, macro_of_all, micro, rates, weighted
from stages.scoring.core.metrics import METRICS, Form, Metric, OfSums, metrics_of
from stages.scoring.core.predicted import LabelSetPredictions, NumberPredictions, Predictions


@dataclass(frozen=True)
class Average:
    """Precision, recall and F1, averaged over labels in some way; each in [0, 1]."""

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, average: Callable[[Array], Array], sums: Array) -> "Average":
        """Average [labels, 3] sums by a function of `stages.scoring.core.formulas`."""
        return cls(*average(sums).tolist())


@dataclass(frozen=True)
class LabelScore:
    """The scores of one label or entity type; each but `support` in [0, 1]."""

    precision: float
    recall: float
    f1: float
    support: int
    """How many gold examples, words or entities have the label."""

    @classmethod
    def of(cls, sums: Array) -> "LabelScore":
        """Compute them from the three sums of a label."""
        precision, recall, f1 = rates(sums).tolist()
        return cls(precision, recall, f1, int(sums[GOLD]))


@dataclass(frozen=True)
class Scores:
    """Scores of one set of predictions."""

    form: Form
    metrics: Mapping[str, float | None]
    """The metrics that are shown wherever runs are scored, and `task.metric`; None where one is not defined."""
    averages: Mapping[str, Average] = field(default_factory=dict)
    """Averages over labels, by name: `micro`, `macro`, `weighted`; without the one that `metrics` hold already."""
    per_label: Mapping[str, LabelScore] = field(default_factory=dict)
    """The scores of each label or entity type that is gold or predicted; empty where there are none."""
    threshold: float | None = None
    """The probability from which on a text is said to have a label, where it can have several."""

    def headline_json(self) -> dict[str, float | None]:
        """Return the scores one compares runs by."""
        return dict(self.metrics)

    def to_json(self) -> dict[str, Json]:
        """Return all scores, as metrics files hold them."""
        labelled: dict[str, Json] = {
            **{name: asdict(average) for name, average in self.averages.items()},
            "per_label": {name: asdict(score) for name, score in self.per_label.items()},
        }
        threshold: dict[str, Json] = {} if self.threshold is None else {"threshold": self.threshold}
        return {**self.metrics, **(labelled if self.averages else {}), **threshold}


def scores_of(predictions: Predictions, headline: str | None = None) -> Scores:
    """Score predictions. `headline`: `task.metric`, where it is one that is not always shown.

    Raises DataError if a tag is none of the scheme that it is read in, or if the headline is not defined for them.
    """
    shown = metrics_of(predictions.form, "always")
    if headline is not None and METRICS[headline] not in shown:
        require_defined(headline, predictions.form)
        shown.append(METRICS[headline])
    values = {metric.name: value_of(metric, predictions) for metric in shown}
    if isinstance(predictions, NumberPredictions):
        return Scores(predictions.form, values)
    counts = predictions.basis("label_counts")
    assert counts is not None
    sums = counts.sum(axis=0).reshape(-1, 3)
    return Scores(
        predictions.form,
        values,
        {name: Average.of(average, sums) for name, average in _AVERAGES[predictions.form].items()},
        {
            name: LabelScore.of(row)
            for name, row in zip(predictions.labels, sums, strict=True)
            if row[PREDICTED] + row[GOLD] > 0
        },
        predictions.threshold if isinstance(predictions, LabelSetPredictions) else None,
    )


def require_defined(metric: str, form: Form) -> None:
    """Raise DataError if a metric is not defined for what is predicted."""
    if form not in METRICS[metric].formulas:
        choices = ", ".join(each.name for each in metrics_of(form))
        what = {"entities": "entities", "label": "one label each", "labels": "label sets", "number": "numbers"}[form]
        raise DataError(f"task.metric={metric} is not defined for {what}; choose from {choices}")


_AVERAGES: Mapping[Form, Mapping[str, Callable[[Array], Array]]] = {
    "label": {"macro": macro, "weighted": weighted},
    "entities": {"macro": macro, "weighted": weighted},
    "labels": {"micro": micro, "macro": macro_of_all, "weighted": weighted},
}


def is_computable(metric: Metric, runs: Sequence[Predictions]) -> bool:
    """Return whether all runs, which have one form that the metric is defined for, hold what it is computed from."""
    return all(run.basis(metric.formulas[run.form].basis) is not None for run in runs)


def value_of(metric: Metric, predictions: Predictions) -> float | None:
    """Compute a metric; None where it is not defined, or what it is computed from is not known."""
    formula = metric.formulas[predictions.form]
    basis = predictions.basis(formula.basis)
    if basis is None:
        return None
    if isinstance(formula, OfSums):
        value = float(formula.value(basis.sum(axis=0)))
    else:
        value = float(formula.value(basis, np.ones((1, len(basis))))[0])
    return None if np.isnan(value) else value
