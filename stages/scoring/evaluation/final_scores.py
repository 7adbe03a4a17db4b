"""Scores of the test split: the headline, its details, intervals and slices."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from stages.pipeline.json_files import Json
from stages.scoring.core.scores import Average, LabelScore, Scores
from stages.scoring.evaluation.resampling import Interval


@dataclass(frozen=True)
class EntityErrors:
    """How many entities are in each class; `stages.scoring.evaluation.entity_errors` defines them.

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
    """The micro average where tags are read otherwise than for the headline (`strict` or `conll`), if it differs, or if
    `argmax` is known."""
    argmax: Mapping[str, Average] = field(default_factory=dict)
    """The micro averages, `conll` and `strict`, of the most probable tag of each word by itself, where the tags that are scored
    were chosen by `task.decode=viterbi`: what that gains. Empty where it is not known."""
    seen: LabelScore | None = None
    """Of the entities that train has as an entity, by their case-folded words. None if it is not known."""
    unseen: LabelScore | None = None
    """Of those that it has not."""

    def to_json(self) -> dict[str, Json]:
        """Return the values that are known."""
        halves = {"seen": self.seen, "unseen": self.unseen}
        return {
            **{reading: asdict(average) for reading, average in self.other_readings.items()},
            **({"argmax": {mode: asdict(average) for mode, average in self.argmax.items()}} if self.argmax else {}),
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
        """Return the scores, the interval and the support."""
        return {**self.scores, "interval": bounds(self.interval), "support": self.support}


@dataclass(frozen=True)
class FinalScores:
    """Scores of the test split, with their intervals."""

    scores: Scores
    more: Mapping[str, float | None]
    """Metrics that only the test split is scored by."""
    intervals: Mapping[str, Interval | None]
    """Of each metric its interval, None where it is not defined; empty where none are wanted."""
    slices: Mapping[str, Mapping[str, SliceScore]] = field(default_factory=dict)
    """By what examples are sliced, and for each slice its scores."""
    entities: EntityDetails | None = None
    """What is told of entities besides."""
    notes: Sequence[str] = ()
    """What a reader must know, a sentence each."""

    @property
    def per_label(self) -> Mapping[str, LabelScore]:
        """The scores of each label or entity type."""
        return self.scores.per_label

    def headline_json(self) -> dict[str, float | None]:
        """Return the scores one compares runs by."""
        return self.scores.headline_json()

    def to_json(self) -> dict[str, Json]:
        """Return all scores, then `intervals`, `slices` and `notes`, as far as there are any."""
        content = {
            **self.scores.to_json(),
            **{name: value for name, value in self.more.items() if name not in self.scores.metrics},
        }
        if self.entities is not None:
            content |= self.entities.to_json()
        if self.intervals:
            content["intervals"] = {name: bounds(interval) for name, interval in self.intervals.items()}
        if self.slices:
            content["slices"] = {
                by: {name: score.to_json() for name, score in slices.items()} for by, slices in self.slices.items()
            }
        return {**content, **({"notes": list(self.notes)} if self.notes else {})}


def bounds(interval: Interval | None) -> Json:
    """Return an interval as `[low, high]`."""
    return None if interval is None else [interval.low, interval.high]
