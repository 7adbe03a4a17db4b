"""A comparison as GitHub's Markdown. What comes from data, labels and parameters is shown as code."""

from collections.abc import Iterator, Sequence

from stages.comparison import wording
from stages.comparison.layout import shortened
from stages.comparison.results import (
    ChangedExample,
    Comparison,
    EnvironmentDifference,
    Pair,
    ParamDifference,
    SliceDifference,
)
from stages.pipeline.escaping import code

_EXAMPLES = 10
_LONGEST = 300
"""Characters of an example that are shown."""


def as_markdown(comparison: Comparison, *, examples: int = _EXAMPLES) -> str:
    """Verdicts first, then a table a pair, then what changed; at most `examples` fixed and as many broken ones a pair."""
    parts = [verdicts(comparison), *tables(comparison), *details(comparison, examples=examples)]
    return "\n\n".join([*parts, *footer(comparison)]) + "\n"


def verdicts(comparison: Comparison) -> str:
    """One item a pair: the verdict on the headline metric, or why there is none."""
    return "\n".join(f"- {code(pair.other)} against {code(pair.base)}: {_verdict(pair)}." for pair in comparison.pairs)


def tables(comparison: Comparison) -> Iterator[str]:
    """One table of metrics a pair."""
    for pair in comparison.pairs:
        if not pair.differences:
            continue
        rows = [
            [
                each.metric,
                *wording.change(each),
                wording.probability(each.p_holm),
                f"**{each.verdict}**" if each.verdict != "no evidence" else each.verdict,
            ]
            for each in pair.differences
        ]
        header = ["metric", code(pair.base), code(pair.other), "change", "interval", "p", "verdict"]
        yield table(header, rows)


def details(comparison: Comparison, *, examples: int = _EXAMPLES) -> Iterator[str]:
    """Parameters, seeds, labels, slices and examples, folded."""
    for pair in comparison.pairs:
        yield from _seeds(comparison, pair)
        if pair.params:
            rows = [[code(each.key), *_settings(each)] for each in pair.params]
            yield folded(f"Parameters that differ: {len(rows)}", table(["parameter", "base", "other"], rows))
        if pair.environment:
            rows = [[code(each.key), *_settings(each), code(", ".join(each.stages))] for each in pair.environment]
            header = ["environment", "base", "other", "stages"]
            yield folded(f"Environment that differs: {len(rows)}", table(header, rows))
        if pair.seconds:
            yield folded("Seconds of stages", "\n".join(f"- {wording.seconds(each)}" for each in pair.seconds))
        if pair.labels:
            yield folded("F1 of labels", table(["label", "gold", "base", "other", "change", "interval"], _labels(pair)))
        for title, parts in wording.sliced(pair):
            header = ["part", "examples", "base", "other", "change", "interval"]
            yield folded(code(title), table(header, _slices(parts)))
        if pair.changed and examples:
            yield folded(f"Examples: {wording.counts(pair)}", "\n".join(map(_example, wording.shown(pair, examples))))


def footer(comparison: Comparison) -> Iterator[str]:
    """What a reader must know, and how the numbers were made."""
    for note in comparison.notes:
        yield f"Note: {code(note)}"
    if comparison.examples:
        yield f"<sub>{wording.method(comparison)}</sub>"


def _verdict(pair: Pair) -> str:
    if pair.note:
        return f"no evidence: {code(pair.note)}"
    if not pair.differences:
        return "no evidence: no metric that both have"
    said = wording.verdict(pair.differences[0])
    return f"**{said}**" if pair.differences[0].verdict != "no evidence" else said


def _settings(found: ParamDifference | EnvironmentDifference) -> list[str]:
    return [code(wording.setting(value)) for value in (found.base, found.other)]


def _seeds(comparison: Comparison, pair: Pair) -> Iterator[str]:
    for run in comparison.runs:
        if run.name in (pair.base, pair.other) and len(run.runs) > 1 and pair.differences:
            metric = pair.differences[0].metric
            yield f"{code(run.name)}: {metric} {wording.deviation(run, metric)}"


def _labels(pair: Pair) -> list[list[str]]:
    return [[code(each.label), str(each.support), *wording.change(each)] for each in pair.labels]


def _slices(parts: Sequence[SliceDifference]) -> list[list[str]]:
    return [[code(each.slice), str(each.examples), *wording.change(each)] for each in parts]


def _example(example: ChangedExample) -> str:
    said = [("gold", example.gold), ("base", example.base), ("other", example.other)]
    text = [f"text {code(shortened(example.text, _LONGEST))}"] if example.text is not None else []
    shown = [f"{name} {code(shortened(wording.annotated(example, each), _LONGEST))}" for name, each in said]
    return "\n".join([f"- {example.change} {code(example.id)}", *(f"  - {line}" for line in [*text, *shown])])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; all columns but the first are of numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def folded(title: str, content: str) -> str:
    """`content` behind a title that one opens."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"
