"""Numbers and annotations of a comparison in words, alike in the terminal and in Markdown."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from stages.comparison.results import (
    Annotation,
    ChangedExample,
    Comparison,
    Difference,
    EnvironmentDifference,
    LabelDifference,
    Pair,
    ParamDifference,
    RunResult,
    SliceDifference,
    StageSeconds,
)
from stages.pipeline.json_files import Json
from stages.scoring.final.resampling import Interval


def score(value: float | None) -> str:
    """A score; a dash where it is not defined."""
    return "-" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """A difference; a dash where it is not defined."""
    return "-" if value is None else f"{value:+.4f}"


def span(interval: Interval | None) -> str:
    """The interval of a difference."""
    return "-" if interval is None else f"[{interval.low:+.4f}, {interval.high:+.4f}]"


def change(found: Difference | LabelDifference | SliceDifference) -> tuple[str, str, str, str]:
    """Base, other, their difference and its interval."""
    return score(found.base), score(found.other), signed(found.difference), span(found.interval)


def sliced(pair: Pair) -> Iterator[tuple[str, list[SliceDifference]]]:
    """The slices by one thing at a time, and what they are called together: `f1 by length`."""
    for by, slices in groupby(pair.slices, lambda each: each.by):
        found = list(slices)
        yield f"{found[0].metric} by {by}", found


def probability(p: float | None) -> str:
    """A p-value."""
    if p is None:
        return "-"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def verdict(difference: Difference) -> str:
    """What a reader is to remember of a metric: `f1 is better by 0.0277 [+0.0012, +0.0540], p = 0.0312`."""
    if difference.difference is None:
        return f"{difference.metric}: not defined for both runs"
    if difference.test is None:
        return f"no evidence on {difference.metric} ({signed(difference.difference)}, not tested)"
    evidence = f"{span(difference.interval)}, p = {probability(difference.p_holm)}".replace("= <", "< ")
    if difference.verdict == "no evidence":
        return f"no evidence that {difference.metric} differs ({signed(difference.difference)} {evidence})"
    return f"{difference.metric} is {difference.verdict} by {abs(difference.difference):.4f} {evidence}"


def deviation(run: RunResult, metric: str) -> str:
    """A run's score over its seeds: `0.4221 ± 0.0030 over seeds 1, 2, 3`."""
    found = next((each for each in run.scores if each.metric == metric), None)
    if found is None or found.deviation is None:
        return score(found.value if found else None)
    seeds = f" over seeds {', '.join(map(str, run.seeds))}" if run.seeds else f" over {len(run.runs)} runs"
    return f"{score(found.value)} ± {score(found.deviation)}{seeds}"


def setting(value: Json) -> str:
    """A parameter's value."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def param(difference: ParamDifference) -> str:
    """A parameter that differs: `train.learning_rate: 0.0001 → 5e-05`."""
    return f"{difference.key}: {setting(difference.base)} → {setting(difference.other)}"


def seconds(found: StageSeconds) -> str:
    """How long a stage took: `train: 274.0 s → 236.0 s (0.86 times)`."""
    return f"{found.stage}: {' → '.join(took(found))}"


def took(found: StageSeconds) -> tuple[str, str]:
    """How long a stage took in the base and in the other run: `274.0 s` and `236.0 s (0.86 times)`."""
    times = f"{found.other / found.base:.2f} times" if found.base else "-"
    return f"{found.base:.1f} s", f"{found.other:.1f} s ({times if found.is_same_machine else 'other machine'})"


def environment(difference: EnvironmentDifference) -> str:
    """What stages ran on and differs: `packages.torch: 2.12.0 → 2.13.0 (train, evaluate)`."""
    told = f"{setting(difference.base)} → {setting(difference.other)}"
    return f"{difference.key}: {told} ({', '.join(difference.stages)})"


def counts(pair: Pair) -> str:
    """How many examples are fixed and broken."""
    fixed = sum(example.change == "fixed" for example in pair.changed)
    return f"{fixed} fixed, {len(pair.changed) - fixed} broken"


def annotated(example: ChangedExample, annotation: Annotation) -> str:
    """A label, or a sentence with its entities marked: `in [New York: location] today`."""
    if annotation.label is not None:
        return annotation.label or "(no label)"
    if annotation.tags:
        words = example.tokens or [""] * len(annotation.tags)
        return " ".join(f"{word}/{tag}" for word, tag in zip(words, annotation.tags, strict=True))
    words = list(example.tokens)
    if not words:
        return ", ".join(f"{each.type} {each.start} to {each.end - 1}" for each in annotation.entities) or "no entity"
    for each in annotation.entities:
        words[each.start] = f"[{words[each.start]}"
        words[each.end - 1] += f": {each.type}]"
    return " ".join(words)


def shown(pair: Pair, limit: int) -> Sequence[ChangedExample]:
    """Some fixed and some broken examples, at most `limit` of each."""
    of_kind = [[each for each in pair.changed if each.change == change][:limit] for change in ("fixed", "broken")]
    return [example for examples in of_kind for example in examples]


def method(comparison: Comparison) -> str:
    """How the numbers were made."""
    share = f"{100 * (1 - comparison.level):g} %"
    several = ", Holm's correction for the number of runs" if len(comparison.pairs) > 1 else ""
    return (
        f"{comparison.examples} test examples; {share} intervals from {comparison.resamples} paired resamples; "
        f"p by randomization (accuracy of texts: McNemar){several}; level {comparison.level:g}"
    )
