"""A comparison for the terminal, 80 columns wide unless the names in a table of runs are longer.

Of two runs it shows all but the curves. Of several, a row for each run says how it compares with the base.
"""

from collections.abc import Iterable, Iterator, Sequence

from stages.comparison import wording
from stages.comparison.results import ChangedExample, Comparison, Pair, ParamDifference
from stages.pipeline.escaping import fitted, lines, shortened, visible, width

_WIDTH = 80
"""Columns of a terminal."""
_LINES = 3
"""Of a text or sentence."""
_EXAMPLES = 5
_LEAST_NAME = 8
"""Columns that a table leaves to names."""


def as_text(comparison: Comparison, *, details: bool = False, examples: int = _EXAMPLES) -> str:
    """Return a table of the runs, and what is known of each pair if there is one alone, or with `details`.

    At most `examples` of each kind of change are shown of a pair.
    """
    has_several = len(comparison.pairs) > 1
    table = [*_wrapped(wording.overall(comparison)), "", *_overview(comparison)] if has_several else []
    detailed = comparison.pairs if details or not has_several else ()
    pairs = [line for pair in detailed for line in (*_pair(comparison, pair, examples), "")]
    notes = [line for note in comparison.notes for line in _wrapped(f"note: {note}")]
    method = _wrapped(wording.method(comparison)) if comparison.examples else []
    return "\n".join(line.rstrip() for line in [*table, *pairs, *notes, *method]) + "\n"


def _overview(comparison: Comparison) -> Iterator[str]:
    """Yield a table for each judged metric: a row for each run, the best first, and the parameters that not all others share."""
    pairs = [pair for pair in comparison.pairs if pair.differences]
    untested = [pair.differences[0].metric for pair in pairs[:1]]
    everywhere = [each for each in pairs[0].params if all(each in pair.params for pair in pairs)] if pairs else []
    for metric in comparison.judged or untested:
        yield from _wrapped(f"{metric} on the test split, compared with {comparison.runs[0].name}")
        if everywhere:
            yield from _wrapped(f"in every other run: {', '.join(map(wording.param, everywhere))}")
        yield ""
        yield from _rows(comparison, metric, everywhere)
        yield ""
    for pair in comparison.pairs:
        if pair.note or not pair.differences:
            yield from _wrapped(f"{pair.other}: no evidence: {pair.note or 'the two have no metric in common'}")


def _rows(comparison: Comparison, metric: str, everywhere: Sequence[ParamDifference]) -> Iterator[str]:
    """Yield the rows of a table of runs. Names come last and in full, so that they can be copied."""
    pair_of = {pair.other: pair for pair in comparison.pairs}
    rows = [(run, pair_of.get(run.name), value) for run, value in wording.ranked(comparison, metric)]
    shown = [(run, pair, value) for run, pair, value in rows if pair is None or pair.differences]
    cells = [
        [metric, "change", "interval", "verdict"],
        *([wording.score(value), *_against_base(pair, metric)] for _, pair, value in shown),
    ]
    widths = [max(map(len, column)) + 2 for column in zip(*cells, strict=True)]
    lefts = ["".join(f"{cell:>{size}}" for cell, size in zip(row, widths, strict=True))[2:] for row in cells]
    yield f"{lefts[0]}  run"
    for left, (run, pair, _) in zip(lefts[1:], shown, strict=True):
        yield f"{left}  {visible(run.runs[0])}"
        own = [] if pair is None else [each for each in pair.params if each not in everywhere]
        said = [f"{each.key}={wording.setting(each.other)}" for each in own if each.key != "seed" or len(run.runs) == 1]
        said += [f"seeds {', '.join(map(str, run.seeds))}"] if len(run.runs) > 1 else []
        yield from (f"    {line}" for line in lines(visible("; ".join(said)), _WIDTH - 4, _LINES) if line)


def _against_base(pair: Pair | None, metric: str) -> tuple[str, str, str]:
    """Return the change, its interval and the verdict; the base has none."""
    if pair is None:
        return "", "", "base"
    found = next((each for each in pair.differences if each.metric == metric), None)
    return ("-", "-", "-") if found is None else (*wording.change(found)[2:], found.verdict)


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
    yield from _differences(comparison, pair)
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


def _differences(comparison: Comparison, pair: Pair) -> list[str]:
    header = ["", "base", "other", "change", "interval", "p", "verdict"]
    rows = [
        [each.metric, *wording.change(each), wording.probability(wording.shown_p(each, comparison)), each.verdict]
        for each in pair.differences
    ]
    return _table([header, *rows])


def _parts(pair: Pair) -> Iterator[str]:
    """Yield the tables of labels and of slices."""
    header = ["base", "other", "change", "interval"]
    if pair.labels:
        labels = [[label.label, *wording.change(label), str(label.support)] for label in pair.labels]
        yield from ("", *_table([["f1 of label", *header, "gold"], *labels]))
    for title, parts in wording.sliced(pair):
        rows = [[part.slice, *wording.change(part), str(part.examples)] for part in parts]
        yield from ("", *_table([[title, *header, "examples"], *rows]))


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with columns as wide as their widest cell. Names, which come first, are cut if a row has no room for them."""
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
    yield from _said("gold", wording.annotated(example, example.gold))
    for name, found in (("base", example.base), ("other", example.other)):
        for place, said in enumerate(wording.predicted(example, found)):
            yield from _said("" if place else name, said)


def _said(name: str, text: str) -> Iterator[str]:
    for place, line in enumerate(lines(visible(text), _WIDTH - 10, _LINES)):
        yield f"    {'' if place else name:6}{line}"


def _wrapped(text: str) -> list[str]:
    return lines(visible(text), _WIDTH)
