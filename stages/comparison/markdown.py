"""A comparison as GitHub's Markdown. What comes from data, labels and parameters is shown as code."""

import html
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
from stages.pipeline.escaping import code, shortened, visible

_EXAMPLES = 10
_LONGEST = 300
"""Characters of an example that are shown."""
_LONGEST_HEADER = 20
"""Characters of a run's name at the head of a column; a longer one would make the table wider than its figures."""
_LONGEST_SUMMARY = 60


def as_markdown(comparison: Comparison, *, examples: int = _EXAMPLES) -> str:
    """Return the headline, a table, and folded details, with at most `examples` of each kind of change for each pair."""
    several = len(comparison.pairs) > 1
    parts = [*_runs(comparison)] if several else [verdicts(comparison), *tables(comparison)]
    for pair in comparison.pairs:
        found = details(comparison, pair, examples=examples)
        if several:
            shown = [f"{_verdict(pair)}.", _table(comparison, pair), *found]
            parts.append(folded(html_code(pair.other), "\n\n".join(filter(None, shown))))
        else:
            parts += found
    return "\n\n".join([*filter(None, parts), *footer(comparison)]) + "\n"


def verdicts(comparison: Comparison) -> str:
    """Return a list with the verdicts of each pair, or why there is none; for a single pair only the text."""
    said = [f"{code(pair.other)} compared with {code(pair.base)}: {_verdict(pair)}." for pair in comparison.pairs]
    return said[0] if len(said) == 1 else "\n".join(f"- {each}" for each in said)


def tables(comparison: Comparison) -> Iterator[str]:
    """Yield a table of metrics for each pair."""
    yield from filter(None, (_table(comparison, pair) for pair in comparison.pairs))


def _runs(comparison: Comparison) -> Iterator[str]:
    """Yield a table of runs for each judged metric, the best first; then why some have no evidence."""
    yield wording.overall(comparison, code)
    untested = [pair.differences[0].metric for pair in comparison.pairs if pair.differences][:1]
    pair_of = {pair.other: pair for pair in comparison.pairs}
    for metric in comparison.judged or untested:
        rows = []
        for run, value in wording.ranked(comparison, metric):
            pair = pair_of.get(run.name)
            found = None if pair is None else next((each for each in pair.differences if each.metric == metric), None)
            against = ["", "", "", "base" if pair is None else "no evidence"]
            if found is not None:
                p = wording.probability(wording.shown_p(found, comparison))
                against = [*wording.change(found)[2:], p, _bold(found.verdict, found)]
            rows.append([code(run.name), wording.score(value), *against])
        yield table(["run", metric, "change", "interval", "p", "verdict"], rows)
    if notes := [f"- {code(pair.other)}: {_verdict(pair)}." for pair in comparison.pairs if pair.note]:
        yield "\n".join(notes)


def _table(comparison: Comparison, pair: Pair) -> str:
    if not pair.differences:
        return ""
    rows = [
        [
            each.metric,
            *wording.change(each),
            wording.probability(wording.shown_p(each, comparison)),
            _bold(each.verdict, each),
        ]
        for each in pair.differences
    ]
    names = [_header(pair.base, "base"), _header(pair.other, "other")]
    return table(["metric", *names, "change", "interval", "p", "verdict"], rows)


def _header(name: str, role: str) -> str:
    return code(name) if len(name) <= _LONGEST_HEADER else role


def details(comparison: Comparison, pair: Pair, *, examples: int = _EXAMPLES) -> Iterator[str]:
    """Yield the parameters, seeds, labels, slices and examples of a pair, folded."""
    for run, scores in wording.over_seeds(comparison, pair):
        yield f"{code(run)}: {scores}"
    if pair.params:
        rows = [[code(each.key), *_settings(each)] for each in pair.params]
        title = f"Parameters that differ: {html_code(shortened(', '.join(each.key for each in pair.params), _LONGEST_SUMMARY))}"
        yield folded(title, table(["parameter", "base", "other"], rows))
    if pair.environment:
        rows = [[code(each.key), *_settings(each), code(", ".join(each.stages))] for each in pair.environment]
        yield folded(
            f"Environment: {wording.counted(len(rows), 'difference')}",
            table(["environment", "base", "other", "stages"], rows),
        )
    if pair.seconds:
        yield folded("Time per stage", "\n".join(f"- {wording.seconds(each)}" for each in pair.seconds))
    if pair.labels:
        rows = [[code(each.label), str(each.support), *wording.change(each)] for each in pair.labels]
        yield folded("F1 by label", table(["label", "gold", "base", "other", "change", "interval"], rows))
    for title, parts in wording.sliced(pair):
        header = ["slice", "examples", "base", "other", "change", "interval"]
        rows = [[code(each.slice), str(each.examples), *wording.change(each)] for each in parts]
        yield folded(html_code(title), table(header, rows))
    if pair.changed and examples:
        shown = wording.shown(comparison, pair, examples)
        yield folded(f"Examples: {wording.counts(comparison, pair)}", "\n".join(map(_example, shown)))


def footer(comparison: Comparison) -> Iterator[str]:
    """Yield the notes, and how the numbers were made."""
    for note in comparison.notes:
        yield f"Note: {code(note)}"
    if comparison.examples:
        yield f"<sub>{wording.method(comparison)}</sub>"


def _verdict(pair: Pair) -> str:
    if pair.note:
        return f"no evidence: {code(pair.note)}"
    if not pair.differences:
        return "no evidence: the two have no metric in common"
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
    """Return a table. Cells are Markdown; all columns but the first hold numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def folded(title: str, content: str) -> str:
    """Return `content` folded behind a title. The title is HTML: Markdown is not read in it."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def html_code(text: str) -> str:
    """Return `text` as code in a title, without tags or mentions in it."""
    return f"<code>{html.escape(visible(text)).replace('@', '&#64;').replace('`', '&#96;')}</code>"
