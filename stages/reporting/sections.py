"""The sections of the page on scores and their differences; each is empty where there is nothing to show."""

from collections.abc import Mapping, Sequence

from stages.reporting.charts import interval_mark
from stages.reporting.content import Difference, PartDifference, Report, RunContent, Score, ValuesOfRuns, Verdict
from stages.reporting.markup import (
    MISSING,
    Cell,
    Column,
    Html,
    breakable,
    interval_text,
    joined,
    p_text,
    score_text,
    signed_text,
    table,
    tag,
)
from stages.scoring.core.metrics import bounds_of
from stages.scoring.evaluation.final_scores import SliceScore
from stages.scoring.evaluation.resampling import Interval

_SIGNS: dict[Verdict | None, str] = {"better": "▲", "worse": "▼", "no evidence": "●", "exploratory": "○", None: MISSING}


def section(name: str, title: str, *content: str) -> Html:
    """A section that the page's navigation leads to; nothing if there is no content."""
    if not any(content):
        return Html()
    return tag(
        "section",
        tag("h2", tag("a", title, href=f"#{name}"), id=f"{name}-title"),
        *content,
        id=name,
        aria_labelledby=f"{name}-title",
    )


def notes(report: Report) -> Html:
    """What a reader must know first."""
    return joined(tag("p", note, class_="note") for note in report.notes)


def differences(report: Report) -> Html:
    """Each metric of each other run against the base, with its verdict."""
    if not report.differences:
        return Html()
    tables = (
        _differences_table(report.runs[0].name, name, [each for each in report.differences if each.run == name])
        for name in dict.fromkeys(each.run for each in report.differences)
    )
    explained = (
        "A difference is the other run less the base, on the same examples; “no evidence” means that chance explains it well "
        f"enough, not that there is none. {report.method}".rstrip()
    )
    return section("differences", "Differences", *tables, tag("p", explained))


def scores(report: Report) -> Html:
    """All scores of all runs."""
    names = list(dict.fromkeys(score.name for run in report.runs for score in run.scores))
    if not names:
        return section("scores", "Scores", tag("p", "The test split is not scored."))
    by_run = [{score.name: score for score in run.scores} for run in report.runs]
    has_intervals = any(score.interval for run in report.runs for score in run.scores)
    width = 3 if has_intervals else 1
    columns = [Column("score")]
    for run in report.runs:
        title = run.name if len(report.runs) > 1 else "test"
        columns += [Column(title, numeric=True), Column("interval"), Column("")][:width]
    rows = [
        [Cell(breakable(name)), *(cell for of_run in by_run for cell in _score_cells(of_run.get(name))[:width])]
        for name in names
    ]
    said = (
        f"Brackets hold {100 * report.interval_level:.4g} % intervals: how much a score would vary on another test split of "
        "this size."
    )
    return section(
        "scores", "Scores", table("Scores on the test split", columns, rows), tag("p", said) if has_intervals else ""
    )


def facts(report: Report) -> Html:
    """What the runs are, and in which parameters, environment and seconds they differ."""
    names = list(dict.fromkeys(fact.name for run in report.runs for fact in run.facts))
    by_run = [{fact.name: fact.value for fact in run.facts} for run in report.runs]
    shown = tuple(ValuesOfRuns(name, tuple(of_run.get(name, "") for of_run in by_run)) for name in names)
    return section(
        "settings",
        "Settings",
        _values_table(report, "Parameters that differ", "setting", report.parameters),
        _values_table(report, "Environment that differs", "setting", report.environment),
        _values_table(report, "Seconds of stages", "stage", report.seconds),
        _values_table(report, "The runs", "setting", shown),
    )


def _values_table(report: Report, title: str, what: str, values: Sequence[ValuesOfRuns]) -> Html:
    if not values:
        return Html()
    columns = [Column(what), *(Column(run.name) for run in report.runs)]
    rows = [[Cell(breakable(each.name)), *(Cell(value or MISSING) for value in each.values)] for each in values]
    return table(title, columns, rows)


def labels(report: Report) -> Html:
    """Precision, recall and F1 of each label or type, and how they differ."""
    tables = [_labels_table(report, run) for run in report.runs if run.labels]
    base = report.runs[0].name
    return section(
        "labels",
        "Labels",
        _parts_table("F1 by label: differences", "label", base, report.label_differences),
        *tables,
        *(_slices_table(by, parts) for run in report.runs for by, parts in run.slices.items()),
        _parts_table("Parts of the test split: differences", "part", base, report.slice_differences),
    )


def _differences_table(base: str, other: str, rows: Sequence[Difference]) -> Html:
    reach = max((_reach(each) for each in rows if bounds_of(each.metric)), default=0.0)
    columns = [
        Column("metric"),
        Column("verdict"),
        Column(base, numeric=True),
        Column(other, numeric=True),
        Column("difference", numeric=True),
        Column("interval"),
        Column(""),
        Column("p", numeric=True),
    ]
    cells = [
        [
            Cell(breakable(each.metric)),
            Cell(_verdict(each.verdict)),
            Cell(score_text(each.base)),
            Cell(score_text(each.other)),
            Cell(signed_text(each.difference)),
            Cell(interval_text(each.interval, signed=True)),
            Cell(_difference_mark(each.difference, each.interval, reach if bounds_of(each.metric) else _reach(each))),
            Cell(p_text(each.p if each.p_adjusted is None else each.p_adjusted)),
        ]
        for each in rows
    ]
    return table(f"{other} against {base}", columns, cells)


def _verdict(verdict: Verdict | None) -> Html:
    name = (verdict or "not tested").replace(" ", "-")
    return tag("span", f"{_SIGNS[verdict]} {verdict or 'not tested'}", class_=f"verdict {name}")


def _reach(row: Difference) -> float:
    """How far from 0 the interval of a difference reaches."""
    values: list[float] = [row.difference or 0.0, *((row.interval.low, row.interval.high) if row.interval else ())]
    return max(abs(value) for value in values)


def _difference_mark(difference: float | None, interval: Interval | None, reach: float) -> Html:
    if difference is None or interval is None or reach == 0:
        return Html()
    return interval_mark(difference, interval, -reach, reach, reference=0.0)


def _score_cells(score: Score | None) -> list[Cell]:
    if score is None:
        return [Cell(MISSING)] * 3
    mark, bounds = Html(), bounds_of(score.name)
    if score.value is not None and score.interval is not None and bounds is not None:
        mark = interval_mark(score.value, score.interval, *bounds)
    return [Cell(score_text(score.value)), Cell(interval_text(score.interval)), Cell(mark)]


def _labels_table(report: Report, run: RunContent) -> Html:
    columns = [Column("label"), *(Column(name, numeric=True) for name in ("precision", "recall", "F1", "support"))]
    rows = [
        [
            Cell(name, place),
            *(Cell(score_text(value), value) for value in (score.precision, score.recall, score.f1)),
            Cell(f"{score.support:,}", score.support),
        ]
        for place, (name, score) in enumerate(run.labels.items())
    ]
    caption = "Scores by label" if len(report.runs) == 1 else f"Scores by label: {run.name}"
    return table(caption, columns, rows, sortable=True)


def _slices_table(by: str, parts: Mapping[str, SliceScore]) -> Html:
    """The parts of the test split by one thing; the interval is that of the last score."""
    names = list(next(iter(parts.values())).scores)
    columns = [Column("part"), Column("examples", numeric=True), *(Column(name, numeric=True) for name in names)]
    rows = [
        [
            Cell(part, place),
            Cell(f"{found.support:,}", found.support),
            *(Cell(score_text(value), value) for value in found.scores.values()),
            Cell(interval_text(found.interval)),
        ]
        for place, (part, found) in enumerate(parts.items())
    ]
    return table(
        f"Scores of examples by {by}", [*columns, Column(f"95 % interval of {names[-1]}")], rows, sortable=True
    )


def _parts_table(caption: str, what: str, base: str, rows: Sequence[PartDifference]) -> Html:
    if not rows:
        return Html()
    columns = [
        Column(what),
        Column("support", numeric=True),
        Column("run"),
        Column("metric"),
        Column(base, numeric=True),
        Column("other", numeric=True),
        Column("difference", numeric=True),
        Column("interval"),
    ]
    cells = [
        [
            Cell(row.part, place),
            Cell(f"{row.support:,}", row.support),
            Cell(row.score.run),
            Cell(breakable(row.score.metric)),
            Cell(score_text(row.score.base), row.score.base),
            Cell(score_text(row.score.other), row.score.other),
            Cell(signed_text(row.score.difference), row.score.difference),
            Cell(interval_text(row.score.interval, signed=True)),
        ]
        for place, row in enumerate(rows)
    ]
    return table(caption, columns, cells, sortable=True)
