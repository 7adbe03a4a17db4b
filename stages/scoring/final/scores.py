"""Scores of the test split: the headline, its details, intervals and slices."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from stages.pipeline.json_files import Json
from stages.scoring.final.resampling import Interval
from stages.scoring.headline.scores import Average, LabelScore, Scores


@dataclass(frozen=True)
class ProbabilityScores:
    """Scores of the probabilities of labels. None where one is not defined, or the probabilities are not known."""

    roc_auc: float | None = None
    """Two labels: of the second. More: the mean over labels, each against the rest."""
    average_precision: float | None = None
    """The area under precision over recall, without interpolation; of the same labels."""
    calibration_error: float | None = None
    """The expected calibration error of the predicted labels' probabilities, in 15 bins of equal width."""


@dataclass(frozen=True)
class AgreementScores:
    """Scores that do not gain from a label that most examples have, and those of the probabilities."""

    balanced_accuracy: float
    """The mean recall of the labels."""
    mcc: float
    """Matthews' correlation of gold and predicted labels."""
    probabilities: ProbabilityScores

    def to_json(self) -> dict[str, Json]:
        """All scores in one mapping."""
        return {
            "balanced_accuracy": self.balanced_accuracy,
            "mcc": self.mcc,
            **asdict(self.probabilities),
        }


@dataclass(frozen=True)
class EntityErrors:
    """How many entities are in each class; `stages.scoring.final.entity_errors` defines them.

    Gold entities are `exact + type + span + type_and_span + missed`, predicted ones
    `exact + type + span + type_and_span + spurious`.
    """

    exact: int
    """The same words and the same type."""
    type: int
    """The same words, another type."""
    span: int
    """Words in common, the same type."""
    type_and_span: int
    """Words in common, another type."""
    missed: int
    """Gold, and paired with none."""
    spurious: int
    """Predicted, and paired with none."""


@dataclass(frozen=True)
class EntityDetails:
    """What is told of entities besides precision, recall and F1."""

    errors: EntityErrors
    other_readings: Mapping[str, Average] = field(default_factory=dict)
    """The micro average where tags are read otherwise than for the headline (`strict` or `conll`), if it differs."""
    seen: LabelScore | None = None
    """Of the entities that train has as an entity, by their case-folded words. None if it is not known."""
    unseen: LabelScore | None = None
    """Of those that it has not."""

    def to_json(self) -> dict[str, Json]:
        """All that is known."""
        halves = {"seen": self.seen, "unseen": self.unseen}
        return {
            **{reading: asdict(average) for reading, average in self.other_readings.items()},
            "errors": asdict(self.errors),
            **{name: asdict(score) for name, score in halves.items() if score is not None},
        }


@dataclass(frozen=True)
class SliceScore:
    """The scores of a part of the examples."""

    scores: Mapping[str, float | None]
    interval: Interval | None
    """That of the last of the scores."""
    support: int
    """How many examples it has."""

    def to_json(self) -> dict[str, Json]:
        """The scores, the interval and the support."""
        return {**self.scores, "interval": bounds(self.interval), "support": self.support}


@dataclass(frozen=True)
class FinalScores:
    """Scores of the test split, with their intervals."""

    scores: Scores
    intervals: Mapping[str, Interval | None]
    """For each headline score its interval, None where it is not defined; empty where none are wanted."""
    slices: Mapping[str, Mapping[str, SliceScore]] = field(default_factory=dict)
    """By what examples are sliced, and for each slice its scores."""

    @property
    def per_label(self) -> Mapping[str, LabelScore]:
        """The scores of each label or entity type."""
        return self.scores.per_label

    def headline_json(self) -> dict[str, float | None]:
        """The scores one compares runs by."""
        return self.scores.headline_json()

    def to_json(self) -> dict[str, Json]:
        """All scores, then `intervals` and `slices`, as far as they are wanted."""
        content = self.scores.to_json()
        if self.intervals:
            content["intervals"] = {name: bounds(interval) for name, interval in self.intervals.items()}
        if self.slices:
            content["slices"] = {
                by: {name: score.to_json() for name, score in slices.items()} for by, slices in self.slices.items()
            }
        return content


def bounds(interval: Interval | None) -> Json:
    """An interval as `[low, high]`."""
    return None if interval is None else [interval.low, interval.high]
