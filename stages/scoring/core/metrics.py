"""Every metric, defined once: its name, which way is better, its bounds, what it is computed from, and its source.

What stands in `METRICS` can be `task.metric`, has an interval on the test split, and can be compared and gated. To add a
metric, add it there.

A metric is computed from a *basis* that predictions have (`stages.scoring.core.predicted`): an array with a row an
example. Most metrics are functions of its sums over examples, others need the examples themselves, such as their ranks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from stages.scoring.core.formulas import (
    Array,
    average_precision,
    balanced_accuracy,
    macro,
    macro_of_all,
    matthews_correlation,
    rates,
    ratio,
    roc_auc,
    spearman,
    weighted,
)

Form: TypeAlias = Literal["label", "entities", "labels", "number"]
"""What is predicted: one label a text or word, the entities that tags mark, any number of labels a text, or a number."""

Basis: TypeAlias = Literal[
    "right", "loss", "label_counts", "pooled_counts", "errors", "moments", "numbers", "probabilities", "calibration"
]
"""What predictions have to compute metrics from; `stages.scoring.core.predicted` has the arrays."""

Listing: TypeAlias = Literal["always", "evaluation", "asked"]
"""Where a metric is shown. `always`: wherever runs are scored. `evaluation`: besides, among the test split's scores. `asked`:
only where it is `task.metric`, or named to a command, since it says what another metric says already."""


@dataclass(frozen=True)
class OfSums:
    """A function of the basis' sums over examples."""

    basis: Basis
    value: Callable[[Array], Array]
    """[..., k] sums to [...] scores; NaN where a score is not defined."""


@dataclass(frozen=True)
class OfExamples:
    """A function of the examples, each with a weight."""

    basis: Basis
    value: Callable[[Array, Array], Array]
    """[examples, k] and weights [resamples, examples] to [resamples] scores; NaN where a score is not defined."""


Formula: TypeAlias = OfSums | OfExamples


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are."""

    name: str
    higher_is_better: bool
    low: float | None
    """The least value it can have; None if there is none."""
    high: float | None
    """The largest value it can have; None if there is none."""
    formulas: Mapping[Form, Formula]
    """How it is computed, for each form of predictions that it is defined for."""
    source: str
    """Where it is defined, and whose numbers it equals."""
    hub_name: str | None = None
    """What the Hub's model cards call it; None if they have no name for it."""
    listing: Mapping[Form, Listing] | Listing = "always"

    def listed(self, form: Form) -> Listing:
        """Return where it is shown for this form."""
        return self.listing if isinstance(self.listing, str) else self.listing.get(form, "asked")

    @property
    def is_share(self) -> bool:
        """Whether it lies in [0, 1]."""
        return (self.low, self.high) == (0.0, 1.0)

    def worst(self) -> float:
        """Return a value that is worse than any it can have, or the worst there is: what counts where it is not defined."""
        return -2.0 if self.higher_is_better else float(np.finfo(np.float64).max)


def metrics_of(form: Form, *listings: Listing) -> list[Metric]:
    """Return the metrics that are defined for a form of predictions, in the order in which they are shown."""
    wanted = listings or ("always", "evaluation", "asked")
    return [metric for metric in METRICS.values() if form in metric.formulas and metric.listed(form) in wanted]


USUAL_HEADLINE: Mapping[Form, str] = {"label": "accuracy", "entities": "f1", "labels": "accuracy", "number": "mse"}
"""The metric that comes first where no configuration names one."""


def higher_is_better(name: str) -> bool:
    """Return whether more of a metric is better; of one that is not defined here, that it is."""
    return name not in METRICS or METRICS[name].higher_is_better


def bounds_of(name: str) -> tuple[float, float] | None:
    """Return the least and the largest value of a metric; None where one is missing, or the metric is not defined here."""
    metric = METRICS.get(name)
    return None if metric is None or metric.low is None or metric.high is None else (metric.low, metric.high)


_RATES = ("precision", "recall", "f1")


def _average(average: Callable[[Array], Array], place: int) -> OfSums:
    """Return the formula of precision (0), recall (1) or F1 (2), averaged over labels, of flat [..., labels * 3] sums."""

    def value(sums: Array) -> Array:
        rate: Array = average(sums.reshape(*sums.shape[:-1], -1, 3))[..., place]
        return rate

    return OfSums("label_counts", value)


def _micro(place: int) -> OfSums:
    """Return the formula of precision (0), recall (1) or F1 (2) of all labels together."""

    def value(sums: Array) -> Array:
        rate: Array = rates(sums)[..., place]
        return rate

    return OfSums("pooled_counts", value)


def _of_labels(score: Callable[[Array], Array]) -> OfSums:
    return OfSums("label_counts", lambda sums: score(sums.reshape(*sums.shape[:-1], -1, 3)))


def _headline_rate(name: str) -> Mapping[Form, Formula]:
    place = _RATES.index(name)
    return {"label": _average(macro, place), "entities": _micro(place), "labels": _average(macro_of_all, place)}


def _column_mean(sums: Array, place: int) -> Array:
    """Return the mean of one column of `errors`. Its last column counts the examples."""
    return ratio(sums[..., [place, -1]])


def _calibration_error(sums: Array) -> Array:
    """Return the calibration error, from each bin's sum of confidence minus right predictions, and last the number of units."""
    return ratio(np.stack([np.abs(sums[..., :-1]).sum(axis=-1), sums[..., -1]], axis=-1))


_CONSTANT = 1e-12
"""Variance, as a share of the mean square, that counts as none: a resample may hold one number again and again."""


def _correlation(sums: Array) -> Array:
    """Return Pearson's correlation [...] from [..., 6] sums of 1, x, y, x², y² and xy; NaN where x or y is constant."""
    x, y, xx, yy, xy = (sums[..., place] / sums[..., 0] for place in range(1, 6))
    variances = xx - x * x, yy - y * y
    defined = (variances[0] > _CONSTANT * xx) & (variances[1] > _CONSTANT * yy)
    scale = np.sqrt(np.where(defined, variances[0] * variances[1], 1.0))
    found: Array = np.where(defined, np.clip((xy - x * y) / scale, -1.0, 1.0), np.nan)
    return found


_SKLEARN = "scikit-learn, sklearn.metrics"
_COUNTED: tuple[Form, ...] = ("label", "entities", "labels")
_SQUARED, _ABSOLUTE = 0, 1

_ALL: Sequence[Metric] = (
    Metric(
        "mse", False, 0.0, None,
        {"number": OfSums("errors", partial(_column_mean, place=_SQUARED))},
        f"mean squared error; {_SKLEARN}.mean_squared_error", "mse",
    ),
    Metric(
        "mae", False, 0.0, None,
        {"number": OfSums("errors", partial(_column_mean, place=_ABSOLUTE))},
        f"mean absolute error; {_SKLEARN}.mean_absolute_error", "mae",
    ),
    Metric(
        "pearson", True, -1.0, 1.0,
        {"number": OfSums("moments", _correlation)},
        "Pearson's correlation; scipy.stats.pearsonr", "pearsonr",
    ),
    Metric(
        "spearman", True, -1.0, 1.0,
        {"number": OfExamples("numbers", spearman)},
        "Pearson's correlation of ranks, equal numbers sharing their mean rank; scipy.stats.spearmanr", "spearmanr",
    ),
    Metric(
        "accuracy", True, 0.0, 1.0,
        {form: OfSums("right", ratio) for form in _COUNTED},
        f"the share of texts, or of words, that have the right label; of label sets, of those that are all right; "
        f"{_SKLEARN}.accuracy_score",
        "accuracy",
    ),
    *(
        Metric(
            name, True, 0.0, 1.0,
            _headline_rate(name),
            f"texts and plain tags: macro average, {_SKLEARN}.precision_recall_fscore_support; entities: seqeval's overall "
            "score, which is CoNLL's",
            name,
        )
        for name in _RATES
    ),
    Metric(
        "loss", False, 0.0, None,
        {
            **{form: OfSums("loss", ratio) for form in _COUNTED},
            "number": OfSums("errors", partial(_column_mean, place=_SQUARED)),
        },
        "mean cross-entropy of texts or words in nats (label sets: binary, over texts and labels); of numbers the squared error",
    ),
    Metric(
        "micro_f1", True, 0.0, 1.0,
        {form: _micro(2) for form in _COUNTED},
        f"F1 of all labels together; {_SKLEARN}.f1_score(average='micro')", "f1",
        {"labels": "evaluation"},
    ),
    Metric(
        "macro_f1", True, 0.0, 1.0,
        {"label": _average(macro, 2), "entities": _average(macro, 2), "labels": _average(macro_of_all, 2)},
        f"the mean of the labels' or types' F1; {_SKLEARN}.f1_score(average='macro')", "f1", "asked",
    ),
    Metric(
        "weighted_f1", True, 0.0, 1.0,
        {form: _average(weighted, 2) for form in _COUNTED},
        f"the mean of the labels' F1 by how often they are gold; {_SKLEARN}.f1_score(average='weighted')", "f1", "asked",
    ),
    Metric(
        "balanced_accuracy", True, 0.0, 1.0,
        {"label": _of_labels(balanced_accuracy)},
        f"the mean recall of the labels that are gold (Brodersen et al. 2010); {_SKLEARN}.balanced_accuracy_score",
        "balanced_accuracy", "evaluation",
    ),
    Metric(
        "mcc", True, -1.0, 1.0,
        {"label": _of_labels(matthews_correlation)},
        f"Matthews' correlation (Gorodkin 2004); {_SKLEARN}.matthews_corrcoef", "matthews_correlation", "evaluation",
    ),
    Metric(
        "roc_auc", True, 0.0, 1.0,
        {form: OfExamples("probabilities", roc_auc) for form in ("label", "labels")},
        f"area under the ROC curve: of the second of two labels, else the mean over labels, each against the rest; "
        f"{_SKLEARN}.roc_auc_score(multi_class='ovr')",
        "roc_auc", "evaluation",
    ),
    Metric(
        "average_precision", True, 0.0, 1.0,
        {form: OfExamples("probabilities", average_precision) for form in ("label", "labels")},
        f"area under precision over recall without interpolation, of the same labels; {_SKLEARN}.average_precision_score",
        None, "evaluation",
    ),
    Metric(
        "calibration_error", False, 0.0, 1.0,
        {"label": OfSums("calibration", _calibration_error)},
        "expected calibration error of the predicted labels' probabilities in 15 bins (Guo et al. 2017, equation 3)",
        None, "evaluation",
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""By name, in the order in which they are shown."""
