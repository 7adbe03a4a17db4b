"""The content of a page on runs, as plain typed values: `stages.reporting.page` turns them into HTML.

The report of a run has a single one. A comparison takes from here what it shows of several: examples, curves, confusion and
calibration; the first run is the base that others are compared with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from stages.scoring.core.scores import LabelScore
from stages.scoring.evaluation.final_scores import EntityErrors, SliceScore
from stages.scoring.evaluation.resampling import Interval
from stages.scoring.label_errors.issue_table import IssueTable
from stages.tags.schemes import Entity

Verdict: TypeAlias = Literal["better", "worse", "no evidence", "exploratory"]
"""`exploratory`: the metric is shown beside those that are judged, and has no verdict."""

Change: TypeAlias = Literal["broken", "worse", "fixed", "better", "wrong"]
"""Of an example, see `change`."""

MistakeKind: TypeAlias = Literal[
    "wrong label", "missed", "spurious", "wrong type", "wrong span", "wrong type and span", "wrong tag", "wrong number"
]


def change(errors: Sequence[float], *, can_be_right: bool = True) -> Change:
    """Return how an example changed. `errors`: of each run, the base first; how many, or how far a number is off.

    `fixed`: wrong in the base and right in another run. `broken`: right in the base and wrong in another run. Else it is
    wrong in the base and in the others: `better` with fewer errors, `worse` with more, `wrong` with as many, or if there is
    no other run. Of several other runs the one with the most errors decides if it makes more than the base, so that no
    gain hides a loss; else the one with the fewest. A number can't be right: it is nearer (`better`) or farther (`worse`).
    """
    base, *others = errors
    if any(other > base for other in others):
        return "broken" if can_be_right and base == 0 else "worse"
    if any(other < base for other in others):
        return "fixed" if can_be_right and min(others) == 0 else "better"
    return "wrong"


@dataclass(frozen=True)
class Fact:
    """A setting or a count that describes a run, such as its learning rate."""

    name: str
    value: str
    """Text, or markup such as a command."""


Tone: TypeAlias = Literal["headline", "better", "worse"]


@dataclass(frozen=True)
class Tile:
    """One figure that a reader should take away."""

    name: str
    figure: str
    said: Sequence[str] = ()
    """Lines below it: the interval, or what it is compared with. Text or markup."""
    tone: Tone | None = None
    """`headline` for the page's own figure; `better` and `worse` for a difference that has this verdict."""


@dataclass(frozen=True)
class Score:
    """A score on the test split."""

    name: str
    value: float | None
    """None where it is not defined."""
    interval: Interval | None = None


@dataclass(frozen=True)
class Rates:
    """Precision, recall and F1 of another average, another reading of the tags, or a part of the entities."""

    title: str
    precision: float
    recall: float
    f1: float
    support: int | None = None
    """How many gold entities they are of, where these are a part."""


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
    expected_error: float
    """The expected calibration error."""


@dataclass(frozen=True)
class RunContent:
    """The content on one run."""

    name: str
    facts: tuple[Fact, ...] = ()
    scores: tuple[Score, ...] = ()
    more_rates: tuple[Rates, ...] = ()
    """To be seen beside the F1 in `scores`."""
    entity_errors: EntityErrors | None = None
    """What became of the entities; None where none are predicted."""
    labels: Mapping[str, LabelScore] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, SliceScore]] = field(default_factory=dict)
    """By what the test split is sliced, and for each part of it its scores."""
    curves: tuple[Curve, ...] = ()
    confusion: Confusion | None = None
    calibration: Calibration | None = None


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
    rank: float | None
    """What examples are sorted by, largest first: `Report.rank` says what it is. None where it is not known."""
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
    rank: float | None
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
    kind: str = "Report of a run on its test split"
    """What the page is, in a few words above the title."""
    provenance: tuple[Fact, ...] = ()
    """What the page is of, and how to make it again."""
    tiles: tuple[Tile, ...] = ()
    """The figures to take away."""
    headline: str | None = None
    """The metric that runs are judged by, `task.metric`; None where it is not known."""
    examples_in_all: int | None = None
    """How many examples the test split has."""
    rank: str | None = "confidence"
    """What examples are sorted by: `confidence` in what is wrong, or `absolute error`. None where neither is known."""
    label_issues: IssueTable | None = None
    """Gold labels that are probably wrong; None where that is not looked for, or can't be known."""
    interval_level: float = 0.95
    """What share of resamples the intervals of scores hold."""
    notes: tuple[str, ...] = ()
    """Sentences that stand before everything else, such as that predictions of a run are not at hand."""
