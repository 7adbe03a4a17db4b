"""The scores that runs are compared by, for each kind of task and each target."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from stages.pipeline.json_files import Json


@dataclass(frozen=True)
class Average:
    """Precision, recall and F1, averaged over labels in some way; each in [0, 1]."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class LabelScore:
    """The scores of one label or entity type; each but `support` in [0, 1]."""

    precision: float
    recall: float
    f1: float
    support: int
    """How many gold examples, words or entities have the label."""


class Scores(Protocol):
    """Scores of one set of predictions."""

    @property
    def per_label(self) -> Mapping[str, LabelScore]:
        """The scores of each label or entity type; empty where there are none."""

    def headline_json(self) -> dict[str, float | None]:
        """The scores one compares runs by; None where one is not defined."""

    def to_json(self) -> dict[str, Json]:
        """All scores, as metrics files hold them."""


class Details(Protocol):
    """What final scores have besides."""

    def to_json(self) -> dict[str, Json]:
        """All that is known, as metrics files hold it."""


@dataclass(frozen=True)
class LabelScores:
    """Scores of examples (text) or words (tokens) with one label each."""

    accuracy: float
    """The share of examples or words with the right label."""
    loss: float | None
    """The mean negative log-probability of the gold label, in nats; None where it is not known."""
    headline: Average
    """Text and plain tags: the macro average. Entities: the micro average, which CoNLL and seqeval call overall."""
    macro: Average
    weighted: Average
    per_label: Mapping[str, LabelScore]
    details: Details | None = None

    def headline_json(self) -> dict[str, float | None]:
        """`accuracy`, `precision`, `recall`, `f1` and `loss`."""
        return {"accuracy": self.accuracy, **asdict(self.headline), "loss": self.loss}

    def to_json(self) -> dict[str, Json]:
        """The headline, then the averages and the labels, then the details."""
        return {
            **self.headline_json(),
            "macro": asdict(self.macro),
            "weighted": asdict(self.weighted),
            "per_label": {name: asdict(score) for name, score in self.per_label.items()},
            **({} if self.details is None else self.details.to_json()),
        }


@dataclass(frozen=True)
class MultiLabelScores:
    """Scores of texts with any number of labels each. The headline is the macro average, as it is for one label."""

    accuracy: float
    """The share of texts whose labels are all right and complete (subset accuracy)."""
    loss: float | None
    """The mean binary cross-entropy over texts and labels, in nats; None where it is not known."""
    micro: Average
    macro: Average
    weighted: Average
    per_label: Mapping[str, LabelScore]
    threshold: float | None = None
    """The probability from which on a text is said to have a label, where it is known."""

    def headline_json(self) -> dict[str, float | None]:
        """`accuracy`, `precision`, `recall`, `f1` and `loss`."""
        return {"accuracy": self.accuracy, **asdict(self.macro), "loss": self.loss}

    def to_json(self) -> dict[str, Json]:
        """The headline, then the averages and the labels."""
        return {
            **self.headline_json(),
            "micro": asdict(self.micro),
            "macro": asdict(self.macro),
            "weighted": asdict(self.weighted),
            "per_label": {name: asdict(score) for name, score in self.per_label.items()},
            **({} if self.threshold is None else {"threshold": self.threshold}),
        }


@dataclass(frozen=True)
class NumberScores:
    """Scores of texts with a number each."""

    mse: float
    """The mean squared error, which is the loss as well."""
    mae: float
    """The mean absolute error."""
    pearson: float | None
    """Pearson's correlation of predicted and gold; None where either is constant, so that it is not defined."""
    spearman: float | None
    """Pearson's correlation of their ranks, equal numbers sharing their mean rank; None likewise."""
    per_label: Mapping[str, LabelScore] = field(default_factory=dict)
    """Empty: there are no labels."""

    def headline_json(self) -> dict[str, float | None]:
        """`mse`, `mae`, `pearson`, `spearman` and `loss`."""
        return {
            "mse": self.mse,
            "mae": self.mae,
            "pearson": self.pearson,
            "spearman": self.spearman,
            "loss": self.mse,
        }

    def to_json(self) -> dict[str, Json]:
        """The headline."""
        return {**self.headline_json()}
