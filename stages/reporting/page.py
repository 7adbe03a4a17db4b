"""The whole page: one HTML file that needs no network and, by its own policy, can't use any."""

import base64
import hashlib
from importlib import resources
from string import Template
from typing import get_args

from stages.reporting import pictures, sections
from stages.reporting.browser_data import BrowserData, browser_data
from stages.reporting.content import Change, Report
from stages.reporting.markup import Html, escaped, joined, tag

ERRORS_BUDGET = 3_000_000
"""Bytes that the examples may take; 3 MB open without a noticeable wait."""

_CHANGES: dict[Change, str] = {
    **{change: change for change in get_args(Change)},
    "wrong": "wrong as before",
}


def render_report(report: Report, *, budget: int = ERRORS_BUDGET) -> str:
    """The page as HTML text. It follows from `report` alone: no time, host or path gets into it."""
    assert report.runs
    style, script = _asset("report.css"), _asset("report.js")
    data = browser_data(report, budget)
    parts = [
        sections.differences(report),
        sections.scores(report),
        sections.facts(report),
        pictures.curves(report),
        sections.labels(report),
        pictures.confusion(report),
        pictures.calibration(report),
        _errors(report, data),
    ]
    return Template(_asset("page.html")).substitute(
        policy=_policy(style, script),
        title=escaped(report.title),
        subtitle=escaped(_subtitle(report)),
        style=style,
        script=script,
        navigation=_navigation(parts),
        notes=sections.notes(report),
        sections=joined(parts),
        data=data.json,
    )


def _asset(name: str) -> str:
    return resources.files("stages.reporting").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded; no style or script runs but the page's own two, known by their hashes."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


_SECTIONS = {
    "differences": "Differences",
    "scores": "Scores",
    "settings": "Settings",
    "curves": "Training",
    "labels": "Labels",
    "confusion": "Confusion",
    "calibration": "Calibration",
    "errors": "Errors",
}


def _navigation(parts: list[Html]) -> Html:
    links = (
        tag("li", tag("a", title, href=f"#{name}"))
        for (name, title), part in zip(_SECTIONS.items(), parts, strict=True)
        if part
    )
    return tag("ul", *links)


def _subtitle(report: Report) -> str:
    if len(report.runs) == 1:
        return "Report of a run on its test split"
    return f"Comparison of {len(report.runs)} runs on the same test split"


def _errors(report: Report, data: BrowserData) -> Html:
    if not report.examples:
        return sections.section("errors", "Errors", tag("p", "No example to show."))
    return sections.section(
        "errors",
        "Errors",
        tag("p", _shown(report, data), id="errors-shown"),
        _runs_legend(report),
        Html(_asset("errors.html")),
    )


def _shown(report: Report, data: BrowserData) -> str:
    """How many errors the page holds, of how many."""
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
    chosen = f": those with the highest {report.rank}" if shown < in_all else ""
    return f"{said}{chosen}{of_split}."


def _runs_legend(report: Report) -> Html:
    """Which letter stands for which run, and what changes mean, where there are several runs."""
    if len(report.runs) == 1:
        return Html()
    changes = (
        "Compared with A, an example is fixed (wrong in A, right in the other run), broken (right in A, wrong in the other "
        "run), or better or worse (wrong in both, with fewer or more errors; a number nearer or farther)."
    )
    runs = (tag("li", tag("b", chr(ord("A") + place)), " ", run.name) for place, run in enumerate(report.runs))
    return joined([tag("ul", *runs, class_="runs"), tag("p", changes)])
