"""The tiles of a run: its headline score with how far it is known, validation beside it, and what it is compared with."""

from collections.abc import Iterator, Mapping
from typing import Any

from stages.reporting.content import RunContent, Score, Tile
from stages.reporting.markup import capitalized, joined, score_text, signed_text, tag
from stages.reporting.origin import BaseRun
from stages.reporting.sections import metric_title
from stages.scoring.core.metrics import higher_is_better


def tiles_of(
    run: RunContent, headline: str, *, validation: Mapping[str, Any], base: BaseRun | None, examples: str, wrong: str
) -> tuple[Tile, ...]:
    """Return the tiles of a run. `validation`: the scores of the best checkpoint; `examples`, `wrong`: how many, in words."""
    score = next((each for each in run.scores if each.name == headline), None)
    shown = [] if score is None else [*_of_test(score), *_of_validation(score, validation), *_of_base(score, base)]
    return (*shown, Tile("Test examples", examples, (wrong,) if wrong else ()))


def _of_test(score: Score) -> Iterator[Tile]:
    said = []
    if score.interval is not None:
        said.append(f"95 % interval {score_text(score.interval.low)} to {score_text(score.interval.high)}")
    if not higher_is_better(score.name):
        said.append("lower is better")
    yield Tile(f"{capitalized(metric_title(score.name))} on test", score_text(score.value), said, "headline")


def _of_validation(score: Score, validation: Mapping[str, Any]) -> Iterator[Tile]:
    value = validation.get(score.name)
    if not isinstance(value, int | float):
        return
    said = [] if score.value is None else [f"test less validation: {signed_text(score.value - value)}"]
    yield Tile(
        f"{capitalized(metric_title(score.name))} on validation", score_text(value), [*said, "of the best checkpoint"]
    )


def _of_base(score: Score, base: BaseRun | None) -> Iterator[Tile]:
    """Yield the difference from the base, untested. The command that tests it stands beside it."""
    before = None if base is None else base.scores.get(score.name)
    if base is None or score.value is None or not isinstance(before, int | float):
        return
    said = [
        joined(["from ", score_text(before), " in commit ", tag("code", base.revision)]),
        joined(["Is it chance? ", tag("code", "stagewright compare HEAD workspace")]),
    ]
    yield Tile("Change against the last commit", signed_text(score.value - before), said)
