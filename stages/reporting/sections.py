"""The sections of the page on scores and their differences; each is empty where there is nothing to show."""

from collections.abc import Sequence

from stages.reporting.charts import bar, interval_mark
from stages.reporting.content import Difference, PartDifference, Rates, Report, RunContent, Score, ValuesOfRuns, Verdict
from stages.reporting.forest import Estimate, forest
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
from stages.scoring.core.metrics import bounds_of, higher_is_better
from stages.scoring.evaluation.final_scores import EntityErrors
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


_TITLES = {"f1": "F1", "micro_f1": "micro F1", "macro_f1": "macro F1", "mcc": "MCC", "roc_auc": "ROC AUC", "mse": "MSE",
           "mae": "MAE"}  # fmt: skip
"""What metrics are called that have no words for names."""


def metric_title(name: str) -> str:
    """A metric as people write it; other names with spaces for their underscores."""
    return _TITLES.get(name, name.replace("_", " "))


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
    """All scores of all runs; of a single one as a forest plot."""
    if len(report.runs) == 1 and report.runs[0].scores:
        return _scores_of_one_run(report, report.runs[0])
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


def _scores_of_one_run(report: Report, run: RunContent) -> Html:
    """The headline, then the others on the same axis; what is better lower, or has no bounds, stands below in figures."""
    on_axis = [each for each in run.scores if higher_is_better(each.name) and bounds_of(each.name) is not None]
    on_axis.sort(key=lambda each: each.name != report.headline)
    others = [each for each in run.scores if each not in on_axis]
    estimates = [
        Estimate(metric_title(each.name), each.value, each.interval, "All examples", tone=_tone(report, each))
        for each in on_axis
    ]
    estimates += [Estimate(_rates_name(each), each.f1, group="F1 in other ways") for each in run.more_rates]
    estimates += [
        Estimate(
            metric_title(each.name), each.value, each.interval, "On no common axis", _tone(report, each), _way(each)
        )
        for each in others
    ]
    said = (
        f"Brackets and bars hold {100 * report.interval_level:.4g} % intervals, which say how much a score would vary on another "
        "test split of this size. A hollow dot is a score without an interval."
    )
    drawn = forest("Scores on the test split", estimates, value="test", bounds=_widest(on_axis))
    return section("scores", "Scores", drawn, tag("p", said))


def _rates_name(rates: Rates) -> Html:
    of = "" if rates.support is None else f"{rates.support:,} entities, "
    said = f"{of}precision {score_text(rates.precision)}, recall {score_text(rates.recall)}"
    return joined([rates.title, tag("span", said, class_="interval-text")])


def _tone(report: Report, score: Score) -> str | None:
    return "headline" if score.name == report.headline else None


def _way(score: Score) -> str:
    return "higher is better" if higher_is_better(score.name) else "lower is better"


def _widest(scores: Sequence[Score]) -> tuple[float, float]:
    """The bounds of all metrics together."""
    bounds = [found for each in scores if (found := bounds_of(each.name)) is not None]
    return min((low for low, _ in bounds), default=0.0), max((high for _, high in bounds), default=1.0)


_CLASSES = {
    "exact": ("right", "the same words and the same type"),
    "type": ("wrong type", "the same words, another type"),
    "span": ("wrong span", "words in common, the same type"),
    "type_and_span": ("wrong type and span", "words in common, another type"),
    "missed": ("missed", "gold, and nothing predicted on its words"),
    "spurious": ("spurious", "predicted, and nothing gold on its words"),
}
"""What a page calls the classes of entities, and what is in each."""


def entity_errors(report: Report) -> Html:
    """How many entities are right, and in which ways the others are wrong."""
    tables = [
        _entity_errors_table(
            "Entities by kind of error" if len(report.runs) == 1 else f"Entities: {run.name}", run.entity_errors
        )
        for run in report.runs
        if run.entity_errors is not None
    ]
    return section("error-classes", "Kinds of error", *tables)


def _entity_errors_table(caption: str, errors: EntityErrors) -> Html:
    counts = {name: int(getattr(errors, name)) for name in _CLASSES}
    gold = sum(counts.values()) - counts["spurious"]
    most = max(counts.values())
    rows = [
        [
            Cell(joined([_CLASSES[name][0], tag("span", _CLASSES[name][1], class_="interval-text")]), place),
            Cell(_barred(f"{count:,}", count / most if most else 0.0), count),
            Cell(MISSING if name == "spurious" or not gold else f"{count / gold:.1%}"),
        ]
        for place, (name, count) in enumerate(counts.items())
    ]
    columns = [Column("kind"), Column("entities", numeric=True), Column("of gold", numeric=True)]
    said = f"{gold:,} gold entities, {sum(counts.values()) - counts['missed']:,} predicted; each is counted once."
    return joined([table(caption, columns, rows, wide=True), tag("p", said)])


def _barred(text: str, share: float) -> Html:
    """A number over a bar."""
    return tag("span", text, bar(share), class_="barred")


def slices(report: Report) -> Html:
    """The parts of the test split, by all that it is sliced by, on one axis."""
    forests = (_slices_forest(report, run) for run in report.runs if run.slices)
    return section("slices", "Parts of the test split", *forests)


def _slices_forest(report: Report, run: RunContent) -> Html:
    """All parts have the same scores, of which the last has an interval."""
    *others, last = next(iter(next(iter(run.slices.values())).values())).scores
    estimates = [
        Estimate(
            part,
            found.scores[last],
            found.interval,
            f"By {by}",
            cells=(f"{found.support:,}", *(score_text(found.scores[name]) for name in others)),
        )
        for by, parts in run.slices.items()
        for part, found in parts.items()
    ]
    return forest(
        f"{metric_title(last)} by part" if len(report.runs) == 1 else f"{metric_title(last)} by part: {run.name}",
        estimates,
        what="part",
        value=metric_title(last),
        columns=["examples", *map(metric_title, others)],
        bounds=bounds_of(last),
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
    columns = [Column("label"), *(Column(name, numeric=True) for name in ("F1", "precision", "recall", "support"))]
    most = max(score.support for score in run.labels.values()) or 1
    rows = [
        [
            Cell(name, place),
            *(Cell(_barred(score_text(value), value), value) for value in (score.f1, score.precision, score.recall)),
            Cell(_barred(f"{score.support:,}", score.support / most), score.support),
        ]
        for place, (name, score) in enumerate(run.labels.items())
    ]
    caption = "Scores by label" if len(report.runs) == 1 else f"Scores by label: {run.name}"
    return table(caption, columns, rows, sortable=True, wide=True)


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
