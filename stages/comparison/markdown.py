"""A comparison as GitHub's Markdown. What comes from data, labels and parameters is shown as code."""

from collections.abc import Iterator, Sequence

from stages.comparison import wording
from stages.comparison.layout import shortened
from stages.comparison.results import ChangedExample, Comparison, Pair
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
            rows = [
                [code(each.key), code(wording.setting(each.base)), code(wording.setting(each.other))]
                for each in pair.params
            ]
            yield folded(f"Parameters that differ: {len(rows)}", table(["parameter", "base", "other"], rows))
        if pair.labels:
            yield folded("F1 of labels", table(["label", "gold", "base", "other", "change", "interval"], _labels(pair)))
        if pair.slices:
            header = ["length", "examples", "base", "other", "change", "interval"]
            yield folded(f"{pair.slices[0].metric} by length", table(header, _slices(pair)))
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


def _seeds(comparison: Comparison, pair: Pair) -> Iterator[str]:
    for run in comparison.runs:
        if run.name in (pair.base, pair.other) and len(run.runs) > 1 and pair.differences:
            metric = pair.differences[0].metric
            yield f"{code(run.name)}: {metric} {wording.deviation(run, metric)}"


def _labels(pair: Pair) -> list[list[str]]:
    return [
        [
            code(each.label),
            str(each.support),
            *wording.change(each),
        ]
        for each in pair.labels
    ]


def _slices(pair: Pair) -> list[list[str]]:
    return [
        [
            each.slice,
            str(each.examples),
            *wording.change(each),
        ]
        for each in pair.slices
    ]


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
