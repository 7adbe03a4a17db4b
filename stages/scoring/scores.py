"""What scoring returns, for either kind of task."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

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


@dataclass(frozen=True)
class Scores:
    """Scores of one set of predictions."""

    accuracy: float
    """The share of examples (text) or words (tokens) with the right label."""
    loss: float
    """The mean negative log-probability of the gold label, in nats."""
    headline: Average
    """Text and plain tags: the macro average. Entities: the micro average, which CoNLL and seqeval call overall."""
    macro: Average
    weighted: Average
    per_label: Mapping[str, LabelScore]

    def headline_json(self) -> dict[str, Json]:
        """The scores one compares runs by."""
        return {"accuracy": self.accuracy, **asdict(self.headline), "loss": self.loss}

    def to_json(self) -> dict[str, Json]:
        """All scores, as metrics files hold them."""
        return {
            **self.headline_json(),
            "macro": asdict(self.macro),
            "weighted": asdict(self.weighted),
            "per_label": {name: asdict(score) for name, score in self.per_label.items()},
        }
