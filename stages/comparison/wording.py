"""Numbers and annotations of a comparison in words, alike in the terminal and in Markdown."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

from stages.comparison.results import (
    ChangedExample,
    Comparison,
    Difference,
    EnvironmentDifference,
    LabelDifference,
    Pair,
    ParamDifference,
    Predicted,
    SliceDifference,
    StageSeconds,
)
from stages.pipeline.json_files import Json
from stages.reporting.annotations import Annotation
from stages.scoring.evaluation.resampling import Interval


def score(value: float | None) -> str:
    """A score; a dash where it is not defined."""
    return "-" if value is None else _decimals(value)


def signed(value: float | None) -> str:
    """A difference; a dash where it is not defined."""
    return "-" if value is None else _decimals(value, "+")


def span(interval: Interval | None) -> str:
    """The interval of a difference."""
    return "-" if interval is None else f"[{signed(interval.low)}, {signed(interval.high)}]"


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


def shown_p(difference: Difference) -> float | None:
    """The p-value that a table shows: corrected where the metric is judged."""
    return difference.p if difference.p_holm is None else difference.p_holm


def judged_differences(pair: Pair) -> list[Difference]:
    """The differences that a reader is to remember: the judged ones, or the first if none was tested."""
    return [each for each in pair.differences if each.p_holm is not None] or list(pair.differences[:1])


def verdict(difference: Difference) -> str:
    """The verdict on a metric: `f1 is better by 0.0277 [+0.0012, +0.0540], p = 0.0312`.

    Where less is better it says so, since signs are those of other less base:
    `mse is better: 0.5625 lower [-0.7124, -0.4115], p = 0.0010`.
    """
    if difference.difference is None:
        return f"{difference.metric}: not defined for both runs"
    if difference.test is None:
        return f"no evidence on {difference.metric} ({signed(difference.difference)}, not tested)"
    evidence = f"{span(difference.interval)}, p = {probability(shown_p(difference))}".replace("= <", "< ")
    if difference.verdict not in ("better", "worse"):
        return f"no evidence that {difference.metric} differs ({signed(difference.difference)} {evidence})"
    size = _decimals(abs(difference.difference))
    if difference.higher_is_better:
        return f"{difference.metric} is {difference.verdict} by {size} {evidence}"
    direction = "higher" if difference.difference > 0 else "lower"
    return f"{difference.metric} is {difference.verdict}: {size} {direction} {evidence}"


def over_seeds(comparison: Comparison, pair: Pair) -> Iterator[tuple[str, str]]:
    """Of each run that has several seeds its name, and its headline over them: `f1 0.4221 ± 0.0030 over seeds 1, 2, 3`."""
    for run in comparison.runs:
        if run.name in (pair.base, pair.other) and len(run.runs) > 1 and pair.differences:
            metric = pair.differences[0].metric
            found = next((each for each in run.scores if each.metric == metric), None)
            shown = score(found.value if found else None)
            if found is not None and found.deviation is not None:
                seeds = f"seeds {', '.join(map(str, run.seeds))}" if run.seeds else f"{len(run.runs)} runs"
                shown = f"{shown} ± {score(found.deviation)} over {seeds}"
            yield run.name, f"{metric} {shown}"


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
    values = f"{setting(difference.base)} → {setting(difference.other)}"
    return f"{difference.key}: {values} ({', '.join(difference.stages)})"


def counts(comparison: Comparison, pair: Pair) -> str:
    """How many examples changed in which way: `5 fixed, 3 broken, 1 better, 0 worse`."""
    found = Counter(example.change for example in pair.changed)
    return ", ".join(f"{found[change]} {change}" for change in comparison.changes)


def predicted(example: ChangedExample, found: Sequence[Predicted]) -> Iterator[str]:
    """What a run predicted; where its seeds differ, each prediction and how many made it: `returns (2 of 3 seeds)`."""
    seeds = sum(each.seeds for each in found)
    for each in found:
        said = annotated(example, each.annotation)
        yield said if len(found) == 1 else f"{said} ({each.seeds} of {seeds} seeds)"


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


def shown(comparison: Comparison, pair: Pair, limit: int) -> Iterator[ChangedExample]:
    """Some examples of each kind of change, at most `limit` of each."""
    for kind in comparison.changes:
        yield from islice((each for each in pair.changed if each.change == kind), limit)


def method(comparison: Comparison) -> str:
    """How the numbers were made, and what verdicts and intervals are corrected for."""
    share = f"{100 * comparison.interval_level:.4g} %"
    made = (
        f"{comparison.examples} test examples; {share} intervals from {comparison.resamples} paired resamples; "
        f"p by randomization (accuracy of texts: McNemar); level {comparison.level:g}"
    )
    return f"{made}. {judged(comparison)}"


def judged(comparison: Comparison) -> str:
    """Which metrics have verdicts, and that all of these hold together."""
    names = " and ".join(comparison.judged)
    said = f"Judged: {names}; other metrics and parts of the test split are exploratory."
    if comparison.comparisons == 1:
        return said
    return (
        f"{said} {comparison.comparisons} verdicts are given: their p-values are corrected by Holm's method, and "
        "intervals of differences by Bonferroni's."
    )


def _decimals(value: float, sign: str = "-") -> str:
    """Four decimals; six digits where these are more than anybody reads."""
    return f"{round(value, 4) + 0.0:{sign}.4f}" if abs(value) < 1000 else f"{value:{sign}.6g}"  # no -0.0000
