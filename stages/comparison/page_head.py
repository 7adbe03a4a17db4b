"""The head of a comparison's page: what it is of, how to make it again, and the result in one sentence and a row of tiles."""

from collections import Counter
from collections.abc import Iterator, Sequence

from stages.comparison import wording
from stages.comparison.lettered_runs import LetteredRun, headline_of
from stages.comparison.results import Comparison, Difference, Pair
from stages.configuration.kinds import target_rules
from stages.configuration.schema import Kind, Target
from stages.pipeline.json_files import Json
from stages.reporting.content import Change, Fact, Tile, Tone
from stages.reporting.head import provenance, tiles
from stages.reporting.markup import Html, capitalized, interval_text, joined, score_text, signed_text, tag
from stages.reporting.sections import metric_title

_UNITS: dict[tuple[Kind, Target], str] = {
    ("text", "label"): "texts with one label each",
    ("text", "labels"): "texts with any number of labels",
    ("text", "number"): "texts with a number each",
    ("tokens", "label"): "sentences with a label for each word",
}
_REVISION = 12
"""Characters of a git revision."""
_VERDICTS = {"better": "Better", "worse": "Worse"}


def head(comparison: Comparison, shown: Sequence[LetteredRun], command: str, *, has_examples: bool) -> Html:
    """Return the provenance, then the result: the figures of two runs, or how many of several are better.

    `has_examples`: whether the page lists examples, which figures then lead to.
    """
    several = len(shown) > 2
    figures = _of_several(comparison, shown) if several else _of_two(comparison, *shown, has_examples=has_examples)
    lead = wording.overall(comparison) if several else _verdicts(shown[1].pair)
    lead = _sentence(lead, headline_of(comparison))
    return joined([provenance([*_facts(comparison, shown, command)]), tag("p", lead, class_="lead"), tiles([*figures])])


def _sentence(text: str, metric: str) -> str:
    """Return the text with a capital letter at its start, and the metric there as people write it."""
    if metric and text.startswith(metric):
        text = metric_title(metric) + text.removeprefix(metric)
    return capitalized(text)


def _facts(comparison: Comparison, shown: Sequence[LetteredRun], command: str) -> Iterator[Fact]:
    if data := ", ".join(filter(None, [_values(shown, "data.name"), _split(comparison)])):
        yield Fact("Data", data)
    if models := _values(shown, "model.name"):
        yield Fact("Model", models)
    for each in shown if len(shown) == 2 else shown[:1]:
        yield Fact(f"{each.letter}, base" if each.pair is None else each.letter, _run(each))
    if command:
        yield Fact("Reproduce", tag("code", command))


def _values(shown: Sequence[LetteredRun], key: str) -> str:
    """Return the values of a parameter, each once; empty where it is not known."""
    values: list[Json] = [each.run.params.get(key) for each in shown]
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _split(comparison: Comparison) -> str:
    if comparison.kind is None or comparison.target is None:
        return ""
    units = _UNITS.get((comparison.kind, comparison.target), "examples")
    return f"{comparison.examples:,} test examples ({units})"


def _run(each: LetteredRun) -> str:
    """Return the name of a run, and the commit that it was evaluated on if that is known."""
    stage = each.run.stage_runs.get("evaluate")
    revision = None if stage is None else stage.environment.revision
    if stage is None or revision is None:
        return each.result.name
    changed = ", code changed since" if stage.environment.dirty else ""
    return f"{each.result.name} (revision {revision[:_REVISION]}{changed})"


def _verdicts(pair: Pair | None) -> str:
    """Return the verdicts in one sentence."""
    if pair is None or not pair.differences:
        return "The two runs have no metric in common."
    return "; ".join(wording.verdict(each) for each in wording.judged_differences(pair)) + "."


def _of_two(comparison: Comparison, base: LetteredRun, other: LetteredRun, *, has_examples: bool) -> Iterator[Tile]:
    metric = headline_of(comparison)
    found = other.difference(metric)
    if found is None:
        return
    name = _sentence(f"{metric} of {other.letter}", metric)
    yield Tile(name, score_text(found.other), (f"{base.letter}, the base: {score_text(found.base)}",), "headline")
    yield _difference(found, comparison)
    if other.pair is None or not other.pair.changed or not _is_right_or_wrong(comparison):
        return
    counts = Counter(each.change for each in other.pair.changed)
    kinds: tuple[tuple[Change, str], ...] = (
        ("fixed", f"wrong in {base.letter}, right in {other.letter}"),
        ("broken", f"right in {base.letter}, wrong in {other.letter}"),
    )
    for kind, said in kinds:
        number = f"{counts[kind]:,}"
        figure = tag("a", number, href=f"#errors&change={kind}") if has_examples and counts[kind] else number
        yield Tile(f"{kind.capitalize()} examples", figure, (said,))


def _is_right_or_wrong(comparison: Comparison) -> bool:
    """Return whether predictions are either right or wrong, as labels are. Numbers are more or less near."""
    if comparison.kind is None or comparison.target is None:
        return True
    rules = target_rules(comparison.kind, comparison.target)
    return rules is None or rules.has_labels


def _difference(found: Difference, comparison: Comparison) -> Tile:
    if found.test is None:
        return Tile("Difference", signed_text(found.difference), ("not tested",))
    tone: Tone | None = "better" if found.verdict == "better" else "worse" if found.verdict == "worse" else None
    said = (
        tag("b", _VERDICTS.get(found.verdict, "No evidence of a difference")),
        interval_text(found.interval, signed=True),
        wording.p_value(wording.shown_p(found, comparison)),
    )
    return Tile("Difference", signed_text(found.difference), said, tone)


def _of_several(comparison: Comparison, shown: Sequence[LetteredRun]) -> Iterator[Tile]:
    metric = headline_of(comparison)
    [(best, value), *_] = wording.ranked(comparison, metric)
    yield Tile(f"Best {metric_title(metric)}", score_text(value), (best.name,), "headline")
    found = shown[0].result.score_on(metric)
    yield Tile("Base", score_text(found.value if found else None), (shown[0].result.name,))
    verdicts = [None if (each := run.difference(metric)) is None else each.verdict for run in shown[1:]]
    better, worse = verdicts.count("better"), verdicts.count("worse")
    of_all = f"of {len(verdicts)} runs"
    yield Tile("Better than the base", str(better), (of_all,), "better" if better else None)
    yield Tile("Worse than the base", str(worse), (of_all,), "worse" if worse else None)
    yield Tile("No evidence", str(len(verdicts) - better - worse), (of_all,))
