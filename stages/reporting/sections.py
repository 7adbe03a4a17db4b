"""The sections of a run's page on its scores; each is empty where there is nothing to show."""

from collections.abc import Sequence

from stages.reporting.charts import bar
from stages.reporting.content import Rates, Report, RunContent, Score
from stages.reporting.forest import Estimate, forest
from stages.reporting.markup import MISSING, Cell, Column, Html, breakable, joined, score_text, table, tag
from stages.scoring.core.metrics import bounds_of, higher_is_better
from stages.scoring.evaluation.final_scores import EntityErrors


def section(name: str, title: str, *content: str) -> Html:
    """Return a section with an id for the page's navigation; nothing if there is no content."""
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
    """Return the title of a metric as people write it; of others, the name with spaces for underscores."""
    return _TITLES.get(name, name.replace("_", " "))


def notes(report: Report) -> Html:
    """Return the notes that stand before everything else."""
    return joined(tag("p", note, class_="note") for note in report.notes)


def scores(report: Report) -> Html:
    """Draw the scores of the first run as a forest plot.

    The headline comes first, then the others on the same axis; what is better lower, or has no bounds, stands below in
    figures.
    """
    run = report.runs[0]
    if not run.scores:
        return section("scores", "Scores", tag("p", "The test split is not scored."))
    on_axis = [each for each in run.scores if higher_is_better(each.name) and bounds_of(each.name) is not None]
    on_axis.sort(key=lambda each: each.name != report.headline)
    others = [each for each in run.scores if each not in on_axis]
    estimates = [
        Estimate(metric_title(each.name), each.value, each.interval, "All examples", tone=_tone(report, each))
        for each in on_axis
    ]
    estimates += [Estimate(_rates_name(each), each.f1, group="F1 in other ways") for each in run.more_rates]
    estimates += [
        Estimate(metric_title(each.name), each.value, each.interval, "On other scales", _tone(report, each), _way(each))
        for each in others
    ]
    said = (
        f"Brackets and bars are {100 * report.interval_level:.4g} % intervals: how much a score would vary on another test "
        "split of this size. A hollow dot is a score without an interval."
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
    """Return the bounds of all metrics together."""
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
    """Return the table of entities by kind of error."""
    errors = report.runs[0].entity_errors
    return section("error-classes", "Kinds of error", "" if errors is None else _entity_errors_table(errors))


def _entity_errors_table(errors: EntityErrors) -> Html:
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
    return joined([table("Entities by kind of error", columns, rows, wide=True), tag("p", said)])


def _barred(text: str, share: float) -> Html:
    """Return a number over a bar."""
    return tag("span", text, bar(share), class_="barred")


def slices(report: Report) -> Html:
    """Draw the scores of all parts of the test split on one axis."""
    run = report.runs[0]
    return section("slices", "Parts of the test split", _slices_forest(run) if run.slices else "")


def _slices_forest(run: RunContent) -> Html:
    """Draw the last score of each part, which has an interval, and list the others. All parts have the same scores."""
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
        f"{metric_title(last)} by part",
        estimates,
        what="part",
        value=metric_title(last),
        columns=["examples", *map(metric_title, others)],
        bounds=bounds_of(last),
    )


def facts(report: Report) -> Html:
    """Return the settings and counts of the first run."""
    rows = [[Cell(breakable(fact.name)), Cell(fact.value)] for fact in report.runs[0].facts]
    columns = [Column("setting"), Column("value")]
    return section("settings", "Settings", table("Settings of the run", columns, rows) if rows else "")


def labels(report: Report) -> Html:
    """Return the table of precision, recall, F1 and support of each label or type."""
    run = report.runs[0]
    return section("labels", "Labels", _labels_table(run) if run.labels else "")


def _labels_table(run: RunContent) -> Html:
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
    return table("Scores by label", columns, rows, sortable=True, wide=True)
