"""A comparison as GitHub's Markdown. What comes from data, labels and parameters is shown as code."""

from collections.abc import Iterator, Sequence

from stages.comparison import wording
from stages.comparison.results import (
    ChangedExample,
    Comparison,
    Difference,
    EnvironmentDifference,
    Pair,
    ParamDifference,
)
from stages.pipeline.escaping import code, shortened

_EXAMPLES = 10
_LONGEST = 300
"""Characters of an example that are shown."""


def as_markdown(comparison: Comparison, *, examples: int = _EXAMPLES) -> str:
    """Verdicts first, then a table a pair, then what changed; at most `examples` of each kind of change a pair."""
    parts = [verdicts(comparison), *tables(comparison), *details(comparison, examples=examples)]
    return "\n\n".join([*parts, *footer(comparison)]) + "\n"


def verdicts(comparison: Comparison) -> str:
    """One item a pair: the verdicts on judged metrics, or why there is none."""
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
                wording.probability(wording.shown_p(each)),
                _bold(each.verdict, each),
            ]
            for each in pair.differences
        ]
        header = ["metric", code(pair.base), code(pair.other), "change", "interval", "p", "verdict"]
        yield table(header, rows)


def details(comparison: Comparison, *, examples: int = _EXAMPLES) -> Iterator[str]:
    """Parameters, seeds, labels, slices and examples, folded."""
    for pair in comparison.pairs:
        for run, scores in wording.over_seeds(comparison, pair):
            yield f"{code(run)}: {scores}"
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
            rows = [[code(each.label), str(each.support), *wording.change(each)] for each in pair.labels]
            yield folded("F1 of labels", table(["label", "gold", "base", "other", "change", "interval"], rows))
        for title, parts in wording.sliced(pair):
            header = ["part", "examples", "base", "other", "change", "interval"]
            rows = [[code(each.slice), str(each.examples), *wording.change(each)] for each in parts]
            yield folded(code(title), table(header, rows))
        if pair.changed and examples:
            shown = wording.shown(comparison, pair, examples)
            yield folded(f"Examples: {wording.counts(comparison, pair)}", "\n".join(map(_example, shown)))


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
    return "; ".join(_bold(wording.verdict(each), each) for each in wording.judged_differences(pair))


def _bold(text: str, difference: Difference) -> str:
    return f"**{text}**" if difference.verdict in ("better", "worse") else text


def _settings(found: ParamDifference | EnvironmentDifference) -> list[str]:
    return [code(wording.setting(value)) for value in (found.base, found.other)]


def _example(example: ChangedExample) -> str:
    text = [] if example.text is None else [("text", example.text)]
    gold = ("gold", wording.annotated(example, example.gold))
    runs = (("base", example.base), ("other", example.other))
    predicted = [(name, said) for name, found in runs for said in wording.predicted(example, found)]
    shown = [f"  - {name} {code(shortened(said, _LONGEST))}" for name, said in (*text, gold, *predicted)]
    return "\n".join([f"- {example.change} {code(example.id)}", *shown])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; all columns but the first are of numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def folded(title: str, content: str) -> str:
    """`content` behind a title that one opens."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"
