"""The page of a run: its sections, and the frame of the examples that its script shows."""

from typing import get_args

from stages.reporting import label_issues, pictures, sections
from stages.reporting.browser_data import ERRORS_BUDGET, BrowserData, browser_data, entity_types
from stages.reporting.content import Change, Report
from stages.reporting.document import Part, asset, document
from stages.reporting.head import provenance, tiles
from stages.reporting.markup import Html, joined, tag
from stages.reporting.run_predictions import MOST_LABELS

_CHANGES: dict[Change, str] = {
    **{change: change for change in get_args(Change)},
    "wrong": "wrong as before",
}


def render_report(report: Report, *, budget: int = ERRORS_BUDGET) -> str:
    """Return the page of a run as HTML text. It depends only on `report`: there is no time, host or path in it."""
    assert len(report.runs) == 1
    data = browser_data(report, budget)
    return document(
        report.title,
        report.kind,
        parts_of(report, data),
        head=joined([provenance(report.provenance), tiles(report.tiles)]),
        notes=sections.notes(report),
        style=asset("report.css"),
        script=asset("tables.js") + asset("report.js"),
        data=data.json,
    )


def parts_of(report: Report, data: BrowserData) -> list[Part]:
    """Return all sections: scores from the whole to its parts, then training, then examples."""
    return [
        Part("scores", "Scores", sections.scores(report)),
        Part("labels", "Labels", sections.labels(report)),
        Part("slices", "Parts", sections.slices(report)),
        Part("error-classes", "Kinds of error", sections.entity_errors(report)),
        Part("confusion", "Confusion", pictures.confusion(report)),
        Part("calibration", "Calibration", pictures.calibration(report)),
        Part("curves", "Training", pictures.curves(report)),
        Part("errors", "Examples", errors(report, data)),
        Part(label_issues.NAME, "Label issues", label_issues.section_of(report.label_issues)),
        Part("settings", "Settings", sections.facts(report)),
    ]


def errors(report: Report, data: BrowserData) -> Html:
    """Return the section of the wrong examples, which the page's script fills from `data`.

    Its style is `report.css`, its script `report.js`, and `data.json` must be the page's data.
    """
    if not report.examples:
        return sections.section("errors", "Wrong examples", tag("p", "No example to show."))
    return sections.section(
        "errors",
        "Wrong examples",
        tag("p", _shown(report, data), id="errors-shown"),
        _runs_legend(report),
        _types_legend(report),
        Html(asset("errors.html")),
    )


def _shown(report: Report, data: BrowserData) -> str:
    """Say how many of the wrong examples the page holds."""
    in_all, shown = data.in_all.total(), data.shown.total()
    of_split = "" if report.examples_in_all is None else f" (the test split has {report.examples_in_all:,} examples)"
    if len(report.runs) == 1:
        said = f"{shown:,} of {in_all:,} examples with errors shown"
    else:
        kinds = (
            f"{name}: {data.shown[change]:,} of {data.in_all[change]:,}"
            for change, name in _CHANGES.items()
            if data.in_all[change]
        )
        said = f"{shown:,} of {in_all:,} examples with errors shown; {', '.join(kinds)}"
    chosen = ""
    if shown < in_all:
        chosen = ": the first" if report.rank is None else f": those with the highest {report.rank}"
    return f"{said}{chosen}{of_split}."


def letter_of(place: int) -> str:
    """Return the letter of the run at a place: A to Z, then AA and so on. The page's script does the same."""
    first, last = divmod(place, 26)
    return ("" if first == 0 else letter_of(first - 1)) + chr(ord("A") + last)


def _runs_legend(report: Report) -> Html:
    """Return the letters of the runs, and what changes mean; nothing for a single run."""
    if len(report.runs) == 1:
        return Html()
    changes = (
        "Compared with A, an example is fixed (wrong in A, right in the other run), broken (right in A, wrong in the other "
        "run), or better or worse (wrong in both, with fewer or more errors; a number nearer or farther)."
    )
    runs = (tag("li", tag("b", letter_of(place)), " ", run.name) for place, run in enumerate(report.runs))
    return joined([tag("ul", *runs, class_="runs"), tag("p", changes)])


_KINDS = 8
"""Colours of entity types that the style sheet has (`kind-0` …)."""


def _types_legend(report: Report) -> Html:
    """Return the colours of the entity types."""
    types = entity_types(report)
    if not types or len(types) > MOST_LABELS:
        return Html()
    return tag("ul", *(tag("li", name, class_=f"kind-{k % _KINDS}") for k, name in enumerate(types)), class_="kinds")
