"""A comparison as plain text of at most 80 columns."""

import textwrap
from collections.abc import Iterable, Iterator

from stages.comparison import wording
from stages.comparison.layout import fitted, lines, shortened
from stages.comparison.results import ChangedExample, Comparison, Pair
from stages.pipeline.escaping import visible

_WIDTH = 80
_METRIC, _LABEL, _SCORE, _CHANGE, _SPAN, _LAST = 10, 23, 8, 9, 21, 9
_LINES = 3
"""Of a text or sentence."""
_EXAMPLES = 5


def as_text(comparison: Comparison, *, examples: int = _EXAMPLES) -> str:
    """All but the curves; at most `examples` fixed and as many broken ones a pair."""
    pairs = [line for pair in comparison.pairs for line in (*_pair(comparison, pair, examples), "")]
    notes = [line for note in comparison.notes for line in _wrapped(f"note: {note}")]
    method = _wrapped(wording.method(comparison)) if comparison.examples else []
    return "\n".join(line.rstrip() for line in [*pairs, *notes, *method]) + "\n"


def _pair(comparison: Comparison, pair: Pair, examples: int) -> Iterator[str]:
    yield shortened(visible(f"{pair.base} → {pair.other}"), _WIDTH)
    if pair.note:
        yield from _wrapped(f"no evidence: {pair.note}")
    elif pair.differences:
        yield from _wrapped(wording.verdict(pair.differences[0]))
    yield from _seeds(comparison, pair)
    yield ""
    yield from _differences(pair)
    yield from _told("parameters", map(wording.param, pair.params))
    yield from _told("environment", map(wording.environment, pair.environment))
    yield from _told("seconds", map(wording.seconds, pair.seconds))
    yield from _parts(pair)
    yield from _examples(pair, examples)


def _told(heading: str, changes: Iterable[str]) -> Iterator[str]:
    told = [f"  {shortened(visible(change), _WIDTH - 2)}" for change in changes]
    if told:
        yield from ("", heading, *told)


def _seeds(comparison: Comparison, pair: Pair) -> Iterator[str]:
    for run in comparison.runs:
        if run.name in (pair.base, pair.other) and len(run.runs) > 1 and pair.differences:
            metric = pair.differences[0].metric
            yield from _wrapped(f"{run.name}: {metric} {wording.deviation(run, metric)}")


def _differences(pair: Pair) -> Iterator[str]:
    yield _row("", "base", "other", "change", "interval", "p", "verdict")
    for each in pair.differences:
        yield _row(
            each.metric,
            *wording.change(each),
            wording.probability(each.p_holm),
            each.verdict,
        )


def _parts(pair: Pair) -> Iterator[str]:
    """Per label and per slice."""
    if pair.labels:
        yield from ("", _row("f1 of label", "base", "other", "change", "interval", "gold"))
        for label in pair.labels:
            yield _row(label.label, *wording.change(label), str(label.support))
    for title, parts in wording.sliced(pair):
        yield from ("", _row(title, "base", "other", "change", "interval", "examples"))
        for part in parts:
            yield _row(part.slice, *wording.change(part), str(part.examples))


def _examples(pair: Pair, limit: int) -> Iterator[str]:
    if not pair.differences or pair.note:
        return
    yield from ("", f"examples: {wording.counts(pair)}")
    for example in wording.shown(pair, limit):
        yield from _example(example)


def _example(example: ChangedExample) -> Iterator[str]:
    yield shortened(f"  {example.change} {visible(example.id)}", _WIDTH)
    if example.text is not None:
        yield from _said("text", example.text)
    for name, annotation in (("gold", example.gold), ("base", example.base), ("other", example.other)):
        yield from _said(name, wording.annotated(example, annotation))


def _said(name: str, text: str) -> Iterator[str]:
    for place, line in enumerate(lines(visible(text), _WIDTH - 10, _LINES)):
        yield f"    {'' if place else name:6}{line}"


def _row(name: str, base: str, other: str, change: str, interval: str, last: str, verdict: str = "") -> str:
    numbers = f"{base:>{_SCORE}}{other:>{_SCORE}}{change:>{_CHANGE}}{interval:>{_SPAN}}{last:>{_LAST}}"
    return fitted(name, _METRIC if verdict else _LABEL) + numbers + (f"  {verdict}" if verdict else "")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(visible(text), _WIDTH)
