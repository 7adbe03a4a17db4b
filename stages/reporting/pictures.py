"""The sections of the page that are pictures: curves, the confusion matrix, calibration."""

from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from stages.reporting.charts import Line, line_chart, reliability_diagram
from stages.reporting.content import Calibration, Confusion, Curve, Report, RunContent
from stages.reporting.markup import Cell, Column, Html, breakable, score_text, scrolling, table, tag, visible
from stages.reporting.sections import metric_title, section
from stages.scoring.core.metrics import bounds_of

_LEVELS = 10
"""Shades of the confusion matrix that the style sheet has beside none (`heat-1` …)."""


def curves(report: Report) -> Html:
    """Draw a chart of losses and one of scores for a single run; a chart for each metric for several."""
    charts = _of_one_run(report.runs[0]) if len(report.runs) == 1 else _of_runs(report.runs)
    figures = [_figure(title, lines) for title, lines in charts if lines]
    return section("curves", "Training", tag("div", *figures, class_="figures") if figures else "")


def _figure(title: str, lines: Sequence[Line]) -> Html:
    """Return a chart; a table if each line has only one point."""
    if all(len(line.xs) == 1 for line in lines):
        rows = [[Cell(line.name), Cell(f"{line.xs[0]:g}"), Cell(score_text(line.ys[0]))] for line in lines]
        return table(title, [Column("curve"), Column("epoch", numeric=True), Column("value", numeric=True)], rows)
    bounds = (0.0, 1.0) if all(0 <= y <= 1 for line in lines for y in line.ys) else None
    return line_chart(title, "epoch", lines, bounds=bounds, from_zero=True)


def confusion(report: Report, opened: str = "") -> Html:
    """Return a confusion matrix for each run. Of more than two, all are folded except that of `opened`, or else the first."""
    with_matrix = [(run, run.confusion) for run in report.runs if run.confusion]
    matrices = {run.name: _matrix(_named("Confusion", report, run), matrix) for run, matrix in with_matrix}
    opened = opened if opened in matrices else next(iter(matrices), "")
    said = (
        "Rows are gold, columns predicted; a cell is the darker, the larger its share of its row. "
        "Framed cells on the diagonal are right."
    )
    shown = (
        list(matrices.values())
        if len(matrices) <= _UNFOLDED
        else [
            tag("details", tag("summary", breakable(name)), matrix, open="" if name == opened else None)
            for name, matrix in matrices.items()
        ]
    )
    return section("confusion", "Confusion", *shown, tag("p", said) if matrices else "")


_UNFOLDED = 2
"""The most matrices that are not folded: those of a run and of its base."""


def calibration(report: Report) -> Html:
    """Draw a reliability diagram for each run."""
    figures = [
        reliability_diagram(
            f"{_named('Reliability', report, run)} (expected calibration error {run.calibration.expected_error:.4f})",
            run.calibration,
        )
        for run in report.runs
        if run.calibration
    ]
    said = (
        "How often labels predicted with some confidence are right. On the dashed diagonal confidence and accuracy agree; "
        "points below it are overconfident. Larger points stand for more examples."
    )
    means = (
        tag("p", _mean_confidence(_named("On average", report, run), run.calibration))
        for run in report.runs
        if run.calibration
    )
    content = [tag("div", *figures, tag("div", tag("p", said), *means), class_="figures")] if figures else []
    return section("calibration", "Calibration", *content)


def _mean_confidence(name: str, calibration: Calibration) -> str:
    """Say whether the run is over- or underconfident over all examples."""
    count = max(sum(each.count for each in calibration.bins), 1)
    confidence, accuracy = (
        sum(each.count * value for each, value in zip(calibration.bins, values, strict=True)) / count
        for values in (
            [each.confidence for each in calibration.bins],
            [each.accuracy for each in calibration.bins],
        )
    )
    kind = "overconfident" if confidence > accuracy else "underconfident"
    return f"{name}, predictions are {confidence:.1%} confident and {accuracy:.1%} right: {kind}."


def _of_one_run(run: RunContent) -> list[tuple[str, list[Line]]]:
    losses = [curve for curve in run.curves if curve.metric == "loss"]
    scores = [curve for curve in run.curves if curve.metric != "loss"]
    errors = [curve for curve in scores if bounds_of(curve.metric) is None]
    return [
        ("Loss", [_line(curve.split, curve) for curve in losses]),
        ("Validation scores", [_line(metric_title(curve.metric), curve) for curve in scores if curve not in errors]),
        ("Validation errors", [_line(metric_title(curve.metric), curve) for curve in errors]),
    ]


def _of_runs(runs: Sequence[RunContent]) -> list[tuple[str, list[Line]]]:
    names = dict.fromkeys((curve.split, curve.metric) for run in runs for curve in run.curves)
    return [
        (
            f"{split} {metric}",
            [
                _line(run.name, curve)
                for run in runs
                for curve in run.curves
                if (curve.split, curve.metric) == (split, metric)
            ],
        )
        for split, metric in names
    ]


def _line(name: str, curve: Curve) -> Line:
    return Line(name, curve.epochs, curve.values)


def _named(what: str, report: Report, run: RunContent) -> str:
    return what if len(report.runs) == 1 else f"{what}: {run.name}"


def _matrix(title: str, confusion: Confusion) -> Html:
    head = tag(
        "tr", tag("td", "gold ↓ predicted →"), *(tag("th", tag("span", name), scope="col") for name in confusion.labels)
    )
    rows = (
        tag("tr", tag("th", name, scope="row"), *_cells(confusion, place, row))
        for place, (name, row) in enumerate(zip(confusion.labels, confusion.counts, strict=True))
    )
    caption = tag("caption", f"{title}: {sum(map(sum, confusion.counts)):,} {confusion.unit}")
    kind = "confusion upright" if len(confusion.labels) > 8 else "confusion"
    matrix = tag("table", caption, tag("thead", head), tag("tbody", *rows), class_=kind)
    return scrolling(title, matrix)


def _cells(confusion: Confusion, place: int, row: Sequence[int]) -> Iterable[Html]:
    gold, total = confusion.labels[place], sum(row)
    for column, count in enumerate(row):
        predicted = confusion.labels[column]
        level = -(-count * _LEVELS // total) if total else 0
        share = f"{count / total:.1%} of gold {gold}" if total else f"no gold {gold}"
        leads_to_examples = confusion.unit == "examples" and count and column != place
        yield tag(
            "td",
            _link(gold, predicted, count) if leads_to_examples else f"{count:,}",
            class_=f"heat-{level}" + (" right" if column == place else ""),
            title=f"{gold} predicted as {predicted}: {count:,}, {share}",
        )


def _link(gold: str, predicted: str, count: int) -> Html:
    """Return a count that links to its examples. The page's script reads the address.

    The keyboard passes it by: there may be hundreds, and the filters do the same.
    """
    address = "#errors&" + urlencode({"gold": visible(gold), "predicted": visible(predicted)})
    return tag("a", f"{count:,}", href=address, tabindex="-1")
