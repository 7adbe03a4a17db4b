"""The content of a leaderboard as plain values, from which the terminal's text, Markdown, JSON and HTML are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stages.pipeline.json_files import Json
from stages.scoring.evaluation.resampling import Interval


@dataclass(frozen=True)
class LeftOut:
    """An experiment that is not ranked."""

    name: str
    reason: str
    """One line."""


@dataclass(frozen=True)
class TrialScore:
    """One experiment of a configuration, and its score."""

    experiment: str
    """Its name for `dvc exp apply`."""
    seed: Json
    score: float
    """On validation."""
    seconds: float | None = None
    """How long training took; None where that was not recorded."""
    device: str | None = None
    """The device of training; None where that was not recorded."""


@dataclass(frozen=True)
class Row:
    """One configuration, over all its seeds."""

    rank: int
    """Counted from 1; equal scores share a rank."""
    settings: Mapping[str, Json]
    """The values of `Board.keys`; None where the configuration does not have the key."""
    trials: Sequence[TrialScore]
    """Sorted by seed."""
    score: float
    """The mean score on validation over seeds."""
    interval: Interval | None
    """The confidence interval of the score; None where predictions are not at hand."""
    deviation: float | None
    """The standard deviation over seeds (divisor: seeds less one); None for one seed."""
    p: float | None
    """The one-sided probability that the leader is ahead by as much as it is, were this configuration as good; corrected for all
    comparisons. None where predictions are not at hand."""
    is_among_best: bool | None
    """Whether it is in the set that may hold the best configuration: `p` is above the level. None where `p` is not known."""
    seconds: float | None
    """How long training took, the mean over seeds."""
    device: str | None
    """The device of training; several with commas between if the trials differ."""
    note: str | None = None
    """Why there is no interval, in one line."""


@dataclass(frozen=True)
class Chosen:
    """The configuration with the best validation score, and its test score. No other test score is read."""

    experiments: Sequence[str]
    validation: float
    test: float | None
    """The mean over seeds; None where it is not known."""
    interval: Interval | None
    deviation: float | None
    examples: int
    """How many examples the test split has; 0 where that is not known."""
    missing: str | None = None
    """Why there is no test score, in one line."""


@dataclass(frozen=True)
class ValueEffect:
    """The mean score of the trials with one value of a parameter, or a value in a range."""

    value: str
    """The value as text, or `low to high`."""
    score: float
    """The mean over trials."""
    trials: int


@dataclass(frozen=True)
class KeyEffect:
    """The main effect of a parameter: mean scores by its value, whatever else the trials differ in."""

    key: str
    values: Sequence[ValueEffect]
    rank_correlation: float | None = None
    """Spearman's correlation of value and score over trials; None where values are listed one by one."""


@dataclass(frozen=True)
class Board:
    """The configurations of one task on one validation split, the best first."""

    title: str
    kind: str
    target: str
    metric: str
    higher_is_better: bool
    examples: int
    """How many examples the validation split has; 0 where no predictions are at hand."""
    keys: Sequence[str]
    """The parameters that differ, without those that follow from another one."""
    rows: Sequence[Row]
    chosen: Chosen
    effects: Sequence[KeyEffect]
    notes: Sequence[str] = ()

    @property
    def best(self) -> list[Row]:
        """The configurations that may be the best."""
        return [row for row in self.rows if row.is_among_best]

    @property
    def trials(self) -> int:
        """How many experiments are ranked."""
        return sum(len(row.trials) for row in self.rows)


@dataclass(frozen=True)
class Leaderboard:
    """All boards. Experiments of different tasks or data are not ranked together."""

    base: str
    """The commit that the experiments are of."""
    boards: Sequence[Board]
    left_out: Sequence[LeftOut]
    level: float
    """The largest accepted probability that `Board.best` lacks the best configuration."""
    resamples: int
