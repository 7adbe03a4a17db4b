"""What a report tells, as plain typed values: `stages.reporting.page` turns them into HTML.

A report of one run leaves the fields for comparisons empty; a comparison fills them. The first run is the base that
others are compared with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from stages.scoring.final.resampling import Interval
from stages.scoring.final.scores import SliceScore
from stages.scoring.headline.scores import LabelScore
from stages.tasks.schemes import Entity

Verdict: TypeAlias = Literal["better", "worse", "no evidence"]

Change: TypeAlias = Literal["wrong", "fixed", "broken"]
"""Of an example. `fixed`: other runs make fewer errors in it than the base does; `broken`: one makes more; `wrong`: neither,
or there is no other run."""

MistakeKind: TypeAlias = Literal[
    "wrong label", "missed", "spurious", "wrong type", "wrong span", "wrong type and span", "wrong tag", "wrong number"
]


@dataclass(frozen=True)
class Fact:
    """Something that tells a run from others: the model's name, the learning rate."""

    name: str
    value: str


@dataclass(frozen=True)
class Score:
    """A score on the test split."""

    name: str
    value: float | None
    """None where it is not defined."""
    interval: Interval | None = None


@dataclass(frozen=True)
class Curve:
    """A score or loss over the training; `epochs` and `values` have the same length."""

    split: str
    """`train` or `validation`."""
    metric: str
    epochs: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Confusion:
    """How often what was predicted for what."""

    unit: str
    """What is counted, in the plural: `examples` or `words`."""
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """[gold, predicted]."""


@dataclass(frozen=True)
class CalibrationBin:
    """The predictions whose probability lies in (low, high]; the first bin holds 0 as well."""

    low: float
    high: float
    count: int
    confidence: float
    """The mean probability of the predicted labels; 0 where the bin is empty."""
    accuracy: float
    """The share of them that are right; 0 where the bin is empty."""


@dataclass(frozen=True)
class Calibration:
    """Whether labels predicted with probability p are right in a share p of cases."""

    bins: tuple[CalibrationBin, ...]

    @property
    def expected_error(self) -> float:
        """The expected calibration error: the mean distance of confidence and accuracy (Guo et al. 2017)."""
        total = sum(each.count for each in self.bins)
        return sum(each.count * abs(each.confidence - each.accuracy) for each in self.bins) / max(total, 1)


@dataclass(frozen=True)
class RunContent:
    """What is told of one run."""

    name: str
    facts: tuple[Fact, ...] = ()
    scores: tuple[Score, ...] = ()
    labels: Mapping[str, LabelScore] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, SliceScore]] = field(default_factory=dict)
    """By what the test split is sliced, and for each part of it its scores."""
    curves: tuple[Curve, ...] = ()
    confusion: Confusion | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Difference:
    """A score of another run against that of the base."""

    run: str
    """The other run's name."""
    metric: str
    base: float | None
    other: float | None
    difference: float | None
    """`other` less `base`."""
    interval: Interval | None = None
    p: float | None = None
    p_adjusted: float | None = None
    """`p` corrected for the number of runs compared."""
    verdict: Verdict | None = None
    """None where there was no test, for example because predictions are not at hand."""


@dataclass(frozen=True)
class PartDifference:
    """The same for a part of the test split: a label, an entity type, or a slice such as sentences of 1-8 words."""

    part: str
    support: int
    score: Difference


@dataclass(frozen=True)
class ValuesOfRuns:
    """Something that is not the same in all runs; `values` are in the order of the runs, `""` where a run has none."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Mistake:
    """One thing that a run got wrong in an example."""

    kind: MistakeKind
    gold: str | None = None
    """The label or type it should have been; None for what should not be there."""
    predicted: str | None = None
    """The label or type that was predicted; None for what was missed."""
    run: int = 0
    """The run's place in `Report.runs`."""
    start: int = 0
    """Tokens: the first word concerned, gold or predicted."""
    end: int = 0
    """Tokens: the word behind the last one concerned."""


@dataclass(frozen=True)
class TextPrediction:
    """What a run says of a text."""

    label: str
    score: float | None = None
    """The probability of the label; None for numbers and for several labels."""


@dataclass(frozen=True)
class TextExample:
    """A text that at least one run got wrong."""

    id: str
    change: Change
    rank: float
    """What examples are sorted by, largest first: `Report.rank` says what it is."""
    text: str
    gold: str
    predicted: tuple[TextPrediction, ...]
    """One a run."""
    mistakes: tuple[Mistake, ...]
    second_text: str | None = None
    """The other text of a pair."""


@dataclass(frozen=True)
class TokensExample:
    """A sentence that at least one run got wrong."""

    id: str
    change: Change
    rank: float
    tokens: tuple[str, ...]
    gold: tuple[Entity, ...]
    predicted: tuple[tuple[Entity, ...], ...]
    """One tuple a run."""
    mistakes: tuple[Mistake, ...]


Example: TypeAlias = TextExample | TokensExample


@dataclass(frozen=True)
class Report:
    """A whole page. Every text in it may be anything: it is escaped when the page is made."""

    title: str
    runs: tuple[RunContent, ...]
    examples: tuple[Example, ...] = ()
    """All examples that are wrong in at least one run; the page shows as many as it has room for."""
    examples_in_all: int | None = None
    """How many examples the test split has."""
    rank: str = "confidence"
    """What examples are sorted by: `confidence` in what is wrong, or `absolute error`."""
    differences: tuple[Difference, ...] = ()
    parameters: tuple[ValuesOfRuns, ...] = ()
    """Those that differ."""
    environment: tuple[ValuesOfRuns, ...] = ()
    """What the runs' stages ran on, as far as it differs."""
    seconds: tuple[ValuesOfRuns, ...] = ()
    """How long their stages took."""
    label_differences: tuple[PartDifference, ...] = ()
    slice_differences: tuple[PartDifference, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences that stand before everything else, such as that predictions of a run are not at hand."""
