"""What a comparison of runs found: plain values, from which the terminal, Markdown, JSON and HTML are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stages.configuration.schema import Kind, Target
from stages.pipeline.json_files import Json
from stages.reporting.annotations import Annotation
from stages.reporting.content import Change, Curve, Verdict
from stages.scoring.core.predicted import ScoringRules
from stages.scoring.evaluation.resampling import Interval

Test = Literal["randomization", "McNemar"]


@dataclass(frozen=True)
class RunScore:
    """One score of a run, computed from its predictions."""

    metric: str
    """As `metrics/evaluate.json` names it."""
    value: float | None
    """Over several seeds their mean; None where it is not defined."""
    deviation: float | None
    """The standard deviation over seeds (divisor: seeds less one); None for a single run."""
    interval: Interval | None
    """What the score might be on another test split; None where the run's predictions are not at hand."""


@dataclass(frozen=True)
class RunResult:
    """One run, or several that differ in their seed alone."""

    name: str
    runs: Sequence[str]
    """The runs' names: several where they are one run under several seeds."""
    seeds: Sequence[int]
    """In the order of `runs`; empty where they are not known."""
    scores: Sequence[RunScore]
    metrics: Mapping[str, float]
    """Every number of `evaluate.json` and `train.json`, as `evaluate.macro.f1`; of the first run where there are several."""
    curves: Mapping[str, Curve]
    """By name, as `validation/f1`; of the first run where there are several."""

    def score_on(self, metric: str) -> RunScore | None:
        """Return its score on a metric; None where it has none."""
        return next((each for each in self.scores if each.metric == metric), None)


@dataclass(frozen=True)
class Difference:
    """One metric of two runs. Differences are other less base."""

    metric: str
    higher_is_better: bool
    base: float | None
    other: float | None
    difference: float | None
    interval: Interval | None
    """Of the difference, from the paired bootstrap at the level of `Comparison.interval_level`; holds 0 unless `verdict` is
    better or worse, or `p` of an exploratory metric is as small as that level asks."""
    test: Test | None
    """None where the metric could not be tested: it is then known from the metrics files alone."""
    p: float | None
    """Two-sided."""
    p_holm: float | None
    """Corrected for `Comparison.comparisons`; `verdict` goes by this one. None for a metric that is not judged."""
    verdict: Verdict
    """`exploratory` for a metric that is not judged, whatever its `p`."""


@dataclass(frozen=True)
class ParamDifference:
    """A parameter that differs; None where a run does not have it."""

    key: str
    base: Json
    other: Json


@dataclass(frozen=True)
class EnvironmentDifference:
    """Something that stages ran on and that differs, as `packages.torch`; None where it is not known."""

    key: str
    base: Json
    other: Json
    stages: Sequence[str]
    """Those of which both runs have a record, and in which it differs so."""


@dataclass(frozen=True)
class StageSeconds:
    """How long a stage took, in seconds; over several seeds the mean."""

    stage: str
    base: float
    other: float
    is_same_machine: bool
    """Whether both ran on the same kind of machine, in the same precision and number of threads."""


@dataclass(frozen=True)
class LabelDifference:
    """F1 of one label or entity type."""

    label: str
    support: int
    """How many gold examples, words or entities have it."""
    base: float | None
    other: float | None
    difference: float | None
    interval: Interval | None


@dataclass(frozen=True)
class SliceDifference:
    """The headline metric on a part of the examples."""

    by: str
    """`length`, or a column that came along with the data."""
    slice: str
    """As `1-8 words`, or the column's value."""
    examples: int
    metric: str
    base: float | None
    other: float | None
    difference: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Predicted:
    """What a run predicted for an example, or some of its seeds."""

    annotation: Annotation
    seeds: int
    """How many seeds predicted it; 1 for a single run."""


@dataclass(frozen=True)
class ChangedExample:
    """An example in which one run makes fewer errors than the other."""

    id: str
    change: Change
    """`fixed`: wrong in the base, right in the other run; `broken`: right in the base, wrong in the other run. Wrong in both,
    with fewer errors in the other run (`better`) or more (`worse`). Numbers are nearer or farther: never right or wrong.
    Over several seeds, right is what every seed has right, and wrong what one has wrong."""
    base_errors: float
    """Text: 0 or 1, the number of wrong labels, or the absolute error of the number. Tokens: entities missed and
    spurious, or wrong tags. Over several seeds the mean."""
    other_errors: float
    gold: Annotation
    base: Sequence[Predicted]
    """What most seeds predict first."""
    other: Sequence[Predicted]
    text: str | None = None
    """Text, if the raw data are at hand."""
    text_pair: str | None = None
    tokens: Sequence[str] = ()


@dataclass(frozen=True)
class Pair:
    """The base and one other run. `base` and `other` are the names of `RunResult`s."""

    base: str
    other: str
    differences: Sequence[Difference]
    """The headline metric first."""
    params: Sequence[ParamDifference] = ()
    environment: Sequence[EnvironmentDifference] = ()
    seconds: Sequence[StageSeconds] = ()
    """Of the stages that are recorded for both."""
    labels: Sequence[LabelDifference] = ()
    slices: Sequence[SliceDifference] = ()
    changed: Sequence[ChangedExample] = ()
    """All of them, those with the largest change first."""
    note: str | None = None
    """Why there is no evidence, where predictions are missing or not of the same examples."""


@dataclass(frozen=True)
class Comparison:
    """A base run and others."""

    runs: Sequence[RunResult]
    """The base first."""
    pairs: Sequence[Pair]
    """One an other run, in the order of `runs`."""
    level: float
    """A difference is better or worse if `p_holm` is below it and `interval` does not hold 0."""
    resamples: int
    kind: Kind | None = None
    """None where no predictions are at hand."""
    target: Target | None = None
    examples: int = 0
    """How many examples (sentences, texts) the test split has; 0 where no predictions are at hand."""
    notes: Sequence[str] = field(default=())
    """What a reader must know of the whole, one sentence each."""
    judged: Sequence[str] = ()
    """The metrics that have verdicts, the headline first. The others are exploratory."""
    rules: ScoringRules = field(default_factory=ScoringRules)
    """How all runs are scored: as the base is evaluated, unless the command says otherwise."""
    comparisons: int = 1
    """How many verdicts are given: runs that are compared with the base, times judged metrics."""

    @property
    def interval_level(self) -> float:
        """What share of resamples each interval of a difference holds, by Bonferroni's correction."""
        return 1 - self.level / self.comparisons

    @property
    def changes(self) -> Sequence[Change]:
        """The kinds of change that an example can have. A number is nearer or farther, but never right."""
        return ("better", "worse") if self.target == "number" else ("fixed", "broken", "better", "worse")
