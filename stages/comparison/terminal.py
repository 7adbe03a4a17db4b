"""A comparison as plain text of at most 80 columns."""

from collections.abc import Iterable, Iterator, Sequence

from stages.comparison import wording
from stages.comparison.results import ChangedExample, Comparison, Pair
from stages.pipeline.escaping import fitted, lines, shortened, visible, width

_WIDTH = 80
_LINES = 3
"""Of a text or sentence."""
_EXAMPLES = 5
_LEAST_NAME = 8
"""Columns that a table leaves to names."""


def as_text(comparison: Comparison, *, examples: int = _EXAMPLES) -> str:
    """All but the curves; at most `examples` of each kind of change a pair."""
    pairs = [line for pair in comparison.pairs for line in (*_pair(comparison, pair, examples), "")]
    notes = [line for note in comparison.notes for line in _wrapped(f"note: {note}")]
    method = _wrapped(wording.method(comparison)) if comparison.examples else []
    return "\n".join(line.rstrip() for line in [*pairs, *notes, *method]) + "\n"


def _pair(comparison: Comparison, pair: Pair, examples: int) -> Iterator[str]:
    yield shortened(visible(f"{pair.base} → {pair.other}"), _WIDTH)
    if pair.note:
        yield from _wrapped(f"no evidence: {pair.note}")
    elif pair.differences:
        for each in wording.judged_differences(pair):
            yield from _wrapped(wording.verdict(each))
    for run, scores in wording.over_seeds(comparison, pair):
        yield from _wrapped(f"{run}: {scores}")
    yield ""
    yield from _differences(pair)
    yield from _listed("parameters", map(wording.param, pair.params))
    yield from _listed("environment", map(wording.environment, pair.environment))
    yield from _listed("seconds", map(wording.seconds, pair.seconds))
    yield from _parts(pair)
    yield from _examples(comparison, pair, examples)


def _listed(heading: str, changes: Iterable[str]) -> Iterator[str]:
    wrapped = [lines(visible(change), _WIDTH - 4, _LINES) for change in changes]
    if wrapped:
        yield from (
            "",
            heading,
            *(f"{'    ' if place else '  '}{line}" for of_one in wrapped for place, line in enumerate(of_one)),
        )


def _differences(pair: Pair) -> list[str]:
    header = ["", "base", "other", "change", "interval", "p", "verdict"]
    rows = [
        [each.metric, *wording.change(each), wording.probability(wording.shown_p(each)), each.verdict]
        for each in pair.differences
    ]
    return _table([header, *rows])


def _parts(pair: Pair) -> Iterator[str]:
    """Per label and per slice."""
    header = ["base", "other", "change", "interval"]
    if pair.labels:
        labels = [[label.label, *wording.change(label), str(label.support)] for label in pair.labels]
        yield from ("", *_table([["f1 of label", *header, "gold"], *labels]))
    for title, parts in wording.sliced(pair):
        rows = [[part.slice, *wording.change(part), str(part.examples)] for part in parts]
        yield from ("", *_table([[title, *header, "examples"], *rows]))


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns as wide as their widest cell; names, which come first, are cut where a row has no room for them."""
    widths = [max(map(len, column)) + 2 for column in zip(*(row[1:] for row in rows), strict=True)]
    room = max(_WIDTH - sum(widths), _LEAST_NAME)
    longest = max(width(visible(row[0])) for row in rows)
    return [
        fitted(row[0], min(longest, room))
        + "".join(f"{cell:>{size}}" for cell, size in zip(row[1:], widths, strict=True))
        for row in rows
    ]


def _examples(comparison: Comparison, pair: Pair, limit: int) -> Iterator[str]:
    if not pair.differences or pair.note:
        return
    yield from ("", f"examples: {wording.counts(comparison, pair)}")
    for example in wording.shown(comparison, pair, limit):
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


def _wrapped(text: str) -> list[str]:
    return lines(visible(text), _WIDTH)
