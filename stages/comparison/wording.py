"""Numbers and annotations of a comparison in words: the same in the terminal, in Markdown and on the page."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    RunResult,
    SliceDifference,
    StageSeconds,
)
from stages.pipeline.json_files import Json
from stages.reporting.annotations import Annotation
from stages.reporting.content import Verdict
from stages.scoring.core.metrics import higher_is_better
from stages.scoring.evaluation.resampling import Interval


def score(value: float | None) -> str:
    """Return a score; a dash where it is not defined."""
    return "-" if value is None else _decimals(value)


def signed(value: float | None) -> str:
    """Return a difference; a dash where it is not defined."""
    return "-" if value is None else _decimals(value, "+")


def span(interval: Interval | None) -> str:
    """Return the interval of a difference."""
    return "-" if interval is None else f"[{signed(interval.low)}, {signed(interval.high)}]"


def change(found: Difference | LabelDifference | SliceDifference) -> tuple[str, str, str, str]:
    """Return base, other, their difference and its interval."""
    return score(found.base), score(found.other), signed(found.difference), span(found.interval)


def sliced(pair: Pair) -> Iterator[tuple[str, list[SliceDifference]]]:
    """Yield the slices by each property, with their title, such as `f1 by length`."""
    for by, slices in groupby(pair.slices, lambda each: each.by):
        found = list(slices)
        yield f"{found[0].metric} by {by}", found


def p_value(p: float | None) -> str:
    """Return a p-value in a sentence: `p = 0.0312`."""
    return f"p = {probability(p)}".replace("= <", "< ")


def counted(number: int, noun: str) -> str:
    """Return the number and the noun: `1 run`, `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def probability(p: float | None) -> str:
    """Return a p-value."""
    if p is None:
        return "-"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def shown_p(difference: Difference, comparison: Comparison) -> float | None:
    """Return the p-value that a reader sees: corrected for all comparisons, as the interval beside it is.

    Holm's method corrects judged metrics, Bonferroni's the others.
    """
    if difference.p is None or difference.p_holm is not None:
        return difference.p_holm
    return min(1.0, difference.p * comparison.comparisons)


def judged_differences(pair: Pair) -> list[Difference]:
    """Return the judged differences, or the first one if none was tested."""
    return [each for each in pair.differences if each.p_holm is not None] or list(pair.differences[:1])


def overall(comparison: Comparison, named: Callable[[str], str] = str) -> str:
    """Say how many of several runs are better than the base, and which scores best; nothing where there is only one.

    `named`: how a run's name is written.
    """
    found = [pair.differences[0] for pair in comparison.pairs if pair.differences]
    if len(found) < 2:
        return ""
    metric, counts = found[0].metric, Counter(each.verdict for each in found)
    better, worse = counts["better"], counts["worse"]
    rest = len(found) - better - worse
    (best, value), *_ = ranked(comparison, metric)
    return (
        f"{metric}: of {len(found)} runs, {better} {'is' if better == 1 else 'are'} better than "
        f"{named(comparison.runs[0].name)}, {worse} {'is' if worse == 1 else 'are'} worse, and {rest} "
        f"{'shows' if rest == 1 else 'show'} no evidence of a difference. "
        f"The best score is {score(value)}, by {named(best.name)}."
    )


_SIGNS: Mapping[Verdict, str] = {"better": "▲ Better", "worse": "▼ Worse"}


def title(pair: Pair) -> str:
    """Return the first verdict as a heading: `▲ Better: accuracy 0.8130 → 0.8340`."""
    if not pair.differences:
        return "No metric in common"
    first = pair.differences[0]
    values = f"{first.metric} {score(first.base)} → {score(first.other)}"
    if first.test is None:
        return f"Not tested: {values}"
    return f"{_SIGNS.get(first.verdict, '● No evidence of a difference')}: {values}"


def ranked(comparison: Comparison, metric: str) -> list[tuple[RunResult, float | None]]:
    """Return the runs with their scores, the best first; those without a score come last, equal ones in their order."""
    sign = -1.0 if higher_is_better(metric) else 1.0

    def place(found: tuple[RunResult, float | None]) -> float:
        return float("inf") if found[1] is None else sign * found[1]

    scores = [(run, run.score_on(metric)) for run in comparison.runs]
    return sorted(((run, found.value if found else None) for run, found in scores), key=place)


def verdict(difference: Difference) -> str:
    """Return the verdict on a judged metric: `f1 is better by 0.0277 [+0.0012, +0.0540], p = 0.0312`.

    Where less is better it says so, since signs are those of other less base:
    `mse is better: 0.5625 lower [-0.7124, -0.4115], p = 0.0010`.
    """
    if difference.difference is None:
        return f"{difference.metric}: not defined for both runs"
    if difference.test is None:
        return f"{difference.metric} changed by {signed(difference.difference)}, which was not tested"
    evidence = f"{span(difference.interval)}, {p_value(difference.p_holm)}"
    if difference.verdict not in ("better", "worse"):
        return f"no evidence that {difference.metric} differs ({signed(difference.difference)} {evidence})"
    size = _decimals(abs(difference.difference))
    if difference.higher_is_better:
        return f"{difference.metric} is {difference.verdict} by {size} {evidence}"
    direction = "higher" if difference.difference > 0 else "lower"
    return f"{difference.metric} is {difference.verdict}: {size} {direction} {evidence}"


def over_seeds(comparison: Comparison, pair: Pair) -> Iterator[tuple[str, str]]:
    """Yield each run with several seeds, and its headline score: `f1 0.4221 ± 0.0030 over seeds 1, 2, 3`."""
    for run in comparison.runs:
        if run.name in (pair.base, pair.other) and len(run.runs) > 1 and pair.differences:
            metric = pair.differences[0].metric
            found = run.score_on(metric)
            shown = score(found.value if found else None)
            if found is not None and found.deviation is not None:
                seeds = f"seeds {', '.join(map(str, run.seeds))}" if run.seeds else f"{len(run.runs)} runs"
                shown = f"{shown} ± {score(found.deviation)} over {seeds}"
            yield run.name, f"{metric} {shown}"


def setting(value: Json) -> str:
    """Return a parameter's value."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def param(difference: ParamDifference) -> str:
    """Return a parameter that differs: `train.learning_rate: 0.0001 → 5e-05`."""
    return f"{difference.key}: {setting(difference.base)} → {setting(difference.other)}"


def seconds(found: StageSeconds) -> str:
    """Return how long a stage took: `train: 274.0 s → 236.0 s (0.86 times)`."""
    return f"{found.stage}: {' → '.join(took(found))}"


def took(found: StageSeconds) -> tuple[str, str]:
    """Return how long a stage took in the base and in the other run: `274.0 s` and `236.0 s (0.86 times)`."""
    times = f"{found.other / found.base:.2f} times" if found.base else "-"
    return f"{found.base:.1f} s", f"{found.other:.1f} s ({times if found.is_same_machine else 'on another machine'})"


def environment(difference: EnvironmentDifference) -> str:
    """Return a difference in what stages ran on: `packages.torch: 2.12.0 → 2.13.0 (train, evaluate)`."""
    values = f"{setting(difference.base)} → {setting(difference.other)}"
    return f"{difference.key}: {values} ({', '.join(difference.stages)})"


def counts(comparison: Comparison, pair: Pair) -> str:
    """Return how many examples changed in which way: `5 fixed, 3 broken, 1 better, 0 worse`."""
    found = Counter(example.change for example in pair.changed)
    return ", ".join(f"{found[change]} {change}" for change in comparison.changes)


def predicted(example: ChangedExample, found: Sequence[Predicted]) -> Iterator[str]:
    """Yield what a run predicted; if its seeds differ, each prediction and its number of seeds: `returns (2 of 3 seeds)`."""
    seeds = sum(each.seeds for each in found)
    for each in found:
        said = annotated(example, each.annotation)
        yield said if len(found) == 1 else f"{said} ({each.seeds} of {seeds} seeds)"


def annotated(example: ChangedExample, annotation: Annotation) -> str:
    """Return a label, or a sentence with its entities marked: `in [New York: location] today`."""
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
    """Yield at most `limit` examples of each kind of change."""
    for kind in comparison.changes:
        yield from islice((each for each in pair.changed if each.change == kind), limit)


def method(comparison: Comparison) -> str:
    """Explain how the numbers were made, and what verdicts, p-values and intervals are corrected for."""
    tests = {each.test for pair in comparison.pairs for each in pair.differences}
    mcnemar = " (McNemar's exact test for the accuracy of texts)" if "McNemar" in tests else ""
    made = (
        f"{counted(comparison.examples, 'test example')}. Differences are the other run minus the base. Intervals come from "
        f"{comparison.resamples:,} paired bootstrap resamples, two-sided p-values from a randomization test{mcnemar}."
    )
    return f"{made} {judged(comparison)} {corrected(comparison)}"


def judged(comparison: Comparison) -> str:
    """Explain which metrics have verdicts, and what these mean."""
    return (
        f"Only {' and '.join(comparison.judged)} {'gets a verdict' if len(comparison.judged) == 1 else 'get verdicts'}: "
        f"better or worse if p is below {comparison.level:g} and the interval does not include 0. Other metrics, labels and "
        "slices are exploratory."
    )


def corrected(comparison: Comparison) -> str:
    """Explain what p-values and intervals are corrected for."""
    share = f"{100 * comparison.interval_level:.4g} %"
    if comparison.comparisons == 1:
        return f"Intervals of differences are {share} intervals."
    names = " and ".join(comparison.judged)
    return (
        f"Everything is corrected for {comparison.comparisons} comparisons: p-values of {names} by Holm's method, other "
        f"p-values and all intervals of differences by Bonferroni's (so they are {share} intervals)."
    )


def _decimals(value: float, sign: str = "-") -> str:
    """Return a number with four decimals; a large one with six digits."""
    return f"{round(value, 4) + 0.0:{sign}.4f}" if abs(value) < 1000 else f"{value:{sign}.6g}"  # no -0.0000
