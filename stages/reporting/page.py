"""The page of a run. Its script reads the examples from JSON within a budget of bytes."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from stages.pipeline.json_files import Json, rounded
from stages.reporting import label_issues, pictures, sections
from stages.reporting.content import Change, Example, Mistake, Report, TextExample, TokensExample
from stages.reporting.document import Part, asset, document
from stages.reporting.excerpts import excerpt, shortened
from stages.reporting.head import provenance, tiles
from stages.reporting.markup import Html, joined, tag, visible
from stages.reporting.run_predictions import MOST_LABELS
from stages.tags.schemes import Entity

ERRORS_BUDGET = 3_000_000
"""Bytes that the examples may take; 3 MB open without a noticeable wait."""

_CHANGES: dict[Change, str] = {
    **{change: change for change in get_args(Change)},
    "wrong": "wrong as before",
}


@dataclass(frozen=True)
class BrowserData:
    """The examples that fit into the budget, and how many these are of how many."""

    json: str
    """For a script element: no `<` in it."""
    shown: Counter[Change]
    in_all: Counter[Change]


def render_report(report: Report, *, budget: int = ERRORS_BUDGET) -> str:
    """The page of a run as HTML text. It follows from `report` alone: no time, host or path gets into it."""
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
    """All sections: the scores from the whole to its parts, how they came about, then examples."""
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
    """The section of the wrong examples, which the page's script fills from `data`.

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
    chosen = ""
    if shown < in_all:
        chosen = ": the first" if report.rank is None else f": those with the highest {report.rank}"
    return f"{said}{chosen}{of_split}."


def letter_of(place: int) -> str:
    """What stands for the run at a place: A to Z, then AA and so on; the page's script does the same."""
    first, last = divmod(place, 26)
    return ("" if first == 0 else letter_of(first - 1)) + chr(ord("A") + last)


def _runs_legend(report: Report) -> Html:
    """Which letter stands for which run, and what changes mean, where there are several runs."""
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


def _types(report: Report) -> list[str]:
    """The entity types that examples have, the labels' order first: a type's place says its colour."""
    sentences = [each for each in report.examples if isinstance(each, TokensExample)]
    used = {entity.type: None for each in sentences for entities in (each.gold, *each.predicted) for entity in entities}
    order = dict.fromkeys([*(name for run in report.runs for name in run.labels), *sorted(used)])
    return [name for name in order if name in used]


def _types_legend(report: Report) -> Html:
    """Which colour stands for which entity type."""
    types = _types(report)
    if not types or len(types) > MOST_LABELS:
        return Html()
    return tag("ul", *(tag("li", name, class_=f"kind-{k % _KINDS}") for k, name in enumerate(types)), class_="kinds")


def browser_data(report: Report, budget: int) -> BrowserData:
    """As many examples as fit into `budget` bytes, those of highest rank first, the kinds of change taking turns."""
    encoded, shown, used = dict[int, str](), Counter[Change](), 0
    by_rank = sorted(report.examples, key=lambda each: math.inf if each.rank is None else -each.rank)
    for place in _in_turns(by_rank):
        text = _script_json(_example(by_rank[place]))
        used += len(text.encode()) + 1
        if used > budget:
            break
        encoded[place] = text
        shown[by_rank[place].change] += 1
    head: Json = {
        "runs": [visible(run.name) for run in report.runs],
        "rank": report.rank,
        "types": [visible(name) for name in _types(report)],
    }
    in_all = Counter(example.change for example in report.examples)
    return BrowserData(
        f'{{"head":{_script_json(head)},"examples":[{",".join(encoded[place] for place in sorted(encoded))}]}}',
        shown,
        in_all,
    )


def _in_turns(examples: Sequence[Example]) -> list[int]:
    """Places in `examples`, the first of each kind of change before the second of any, so that a budget cuts all alike."""
    seen = Counter[Change]()
    turns = []
    for place, example in enumerate(examples):
        turns.append((seen[example.change], place))
        seen[example.change] += 1
    return [place for _, place in sorted(turns)]


def _script_json(content: Json) -> str:
    """JSON that can't end the element it stands in: `<` would have to."""
    text = json.dumps(rounded(content), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _example(example: Example) -> Json:
    common: dict[str, Json] = {"id": visible(example.id), "change": example.change, "rank": example.rank}
    if isinstance(example, TextExample):
        return {**common, **_text(example), "mistakes": _mistakes(example.mistakes, 0)}
    return {**common, **_tokens(example)}


def _text(example: TextExample) -> dict[str, Json]:
    return {
        "texts": [shortened(text) for text in (example.text, example.second_text) if text is not None],
        "gold": visible(example.gold),
        "predicted": [{"label": visible(each.label), "score": each.score} for each in example.predicted],
    }


def _tokens(example: TokensExample) -> dict[str, Json]:
    words = len(example.tokens)
    start, end = excerpt(words, min((mistake.start for mistake in example.mistakes), default=0))
    return {
        "tokens": [visible(token) for token in example.tokens[start:end]],
        "before": start,
        "behind": words - end,
        "gold": list(_spans(example.gold, start, end)),
        "predicted": [list(_spans(of_run, start, end)) for of_run in example.predicted],
        "mistakes": _mistakes(example.mistakes, start),
    }


def _spans(entities: Iterable[Entity], start: int, end: int) -> Iterator[Json]:
    """Type, first word and word behind the last, of the excerpt; entities outside are left out, others cut at its edge."""
    for entity in entities:
        if entity.start < end and start < entity.end:
            yield [visible(entity.type), max(entity.start, start) - start, min(entity.end, end) - start]


def _mistakes(mistakes: Iterable[Mistake], first_word: int) -> list[Json]:
    return [
        {
            "kind": mistake.kind,
            "gold": None if mistake.gold is None else visible(mistake.gold),
            "predicted": None if mistake.predicted is None else visible(mistake.predicted),
            "run": mistake.run,
            "start": mistake.start - first_word,
            "end": mistake.end - first_word,
        }
        for mistake in mistakes
    ]
