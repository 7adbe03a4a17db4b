"""The examples of a page as JSON for its script, within a budget of bytes."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stages.pipeline.json_files import Json, rounded
from stages.reporting.content import Change, Example, Mistake, Report, TextExample, TokensExample
from stages.reporting.excerpts import excerpt, shortened
from stages.reporting.markup import visible
from stages.tags.schemes import Entity

ERRORS_BUDGET = 3_000_000
"""Bytes that the examples may take; 3 MB open without a noticeable wait."""


@dataclass(frozen=True)
class BrowserData:
    """The examples that fit into the budget, and how many these are of how many."""

    json: str
    """For a script element: no `<` in it."""
    shown: Counter[Change]
    in_all: Counter[Change]


def browser_data(report: Report, budget: int) -> BrowserData:
    """Return as many examples as fit into `budget` bytes: the highest ranks first, the kinds of change in turn."""
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
        "types": [visible(name) for name in entity_types(report)],
    }
    in_all = Counter(example.change for example in report.examples)
    return BrowserData(
        f'{{"head":{_script_json(head)},"examples":[{",".join(encoded[place] for place in sorted(encoded))}]}}',
        shown,
        in_all,
    )


def entity_types(report: Report) -> list[str]:
    """Return the entity types in the examples, in the order of the labels first. A type's index selects its colour."""
    sentences = [each for each in report.examples if isinstance(each, TokensExample)]
    used = {entity.type: None for each in sentences for entities in (each.gold, *each.predicted) for entity in entities}
    order = dict.fromkeys([*(name for run in report.runs for name in run.labels), *sorted(used)])
    return [name for name in order if name in used]


def _in_turns(examples: Sequence[Example]) -> list[int]:
    """Return the indices of `examples` by turns: the first of each kind of change comes before the second of any."""
    seen = Counter[Change]()
    turns = []
    for place, example in enumerate(examples):
        turns.append((seen[example.change], place))
        seen[example.change] += 1
    return [place for _, place in sorted(turns)]


def _script_json(content: Json) -> str:
    """Return JSON that is safe inside a script element: without `<`, it can't end the element."""
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
    """Yield type, first word and end (exclusive) of each entity in the excerpt. Entities are cut at its edges."""
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
