"""What a leaderboard says: plain values, from which the terminal, Markdown, JSON and HTML are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stages.pipeline.json_files import Json
from stages.scoring.evaluation.resampling import Interval


@dataclass(frozen=True)
class LeftOut:
    """An experiment that is not ranked."""

    name: str
    reason: str
    """In one line."""


@dataclass(frozen=True)
class TrialScore:
    """One experiment of a configuration."""

    experiment: str
    """As `dvc exp apply` takes it."""
    seed: Json
    score: float
    """On validation."""
    seconds: float | None = None
    """Of training; None where that is not known, as the device."""
    device: str | None = None
    """What it was trained on."""


@dataclass(frozen=True)
class Row:
    """One configuration, over its seeds."""

    rank: int
    """From 1 on; equal scores share theirs."""
    settings: Mapping[str, Json]
    """The values of `Board.keys`; None where the configuration does not have the key."""
    trials: Sequence[TrialScore]
    """By seed."""
    score: float
    """On validation; the mean over seeds."""
    interval: Interval | None
    """What the score might be on another validation split; None where predictions are not at hand."""
    deviation: float | None
    """The standard deviation over seeds (divisor: seeds less one); None for one seed."""
    p: float | None
    """That a difference as large as the one to some better configuration comes by chance, corrected for all
    comparisons; None where predictions are not at hand."""
    is_among_best: bool | None
    """Whether it is not told apart from the best: `p` is above the level. None where it can't be said."""
    seconds: float | None
    """Of training; the mean over seeds."""
    device: str | None
    """Of training; several where the trials differ."""
    note: str | None = None
    """Why there is no interval, in one line."""


@dataclass(frozen=True)
class Chosen:
    """The test score of the configuration that validation has chosen: the only one that is read."""

    experiments: Sequence[str]
    validation: float
    test: float | None
    """The mean over seeds; None where it can't be had."""
    interval: Interval | None
    deviation: float | None
    examples: int
    """How many the test split has; 0 where that is not known."""
    missing: str | None = None
    """Why there is no test score, in one line."""


@dataclass(frozen=True)
class ValueEffect:
    """How the trials with one value, or with one in a range, score on validation."""

    value: str
    """As it is shown: the value, or `low to high`."""
    score: float
    """The mean over trials."""
    trials: int


@dataclass(frozen=True)
class KeyEffect:
    """What goes with a key: the trials by its values, whatever else they differ in."""

    key: str
    values: Sequence[ValueEffect]
    rank_correlation: float | None = None
    """Spearman's, of value and score over trials; for numbers too many to be listed one by one."""


@dataclass(frozen=True)
class Board:
    """The configurations of one task on one validation split, the best first."""

    title: str
    kind: str
    target: str
    metric: str
    higher_is_better: bool
    examples: int
    """How many the validation split has; 0 where no predictions are at hand."""
    keys: Sequence[str]
    """The parameters that differ, and don't follow from another of them."""
    rows: Sequence[Row]
    chosen: Chosen
    effects: Sequence[KeyEffect]
    notes: Sequence[str] = ()

    @property
    def best(self) -> list[Row]:
        """The configurations that are not told apart from the best."""
        return [row for row in self.rows if row.is_among_best]

    @property
    def trials(self) -> int:
        """How many experiments are ranked."""
        return sum(len(row.trials) for row in self.rows)


@dataclass(frozen=True)
class Leaderboard:
    """All boards: experiments of different tasks or data are not ranked together."""

    base: str
    """The commit that the experiments are of."""
    boards: Sequence[Board]
    left_out: Sequence[LeftOut]
    level: float
    """The best configuration is missing from those not told apart from it with at most this probability."""
    resamples: int
