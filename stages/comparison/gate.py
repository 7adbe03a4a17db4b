"""A check that fails when a run is worse."""

import argparse
import math
from dataclasses import dataclass
from typing import Self

from stages.comparison import wording
from stages.comparison.results import Comparison, Difference, Pair
from stages.pipeline.errors import UserError

HEADLINE = "headline"


class WorseError(UserError):
    """A run is worse than a gate lets it be."""


def named_number(text: str, default: float) -> tuple[str, float]:
    """`NAME:NUMBER`, or `NAME` for the default; NaN where it is no number."""
    name, _, number = text.partition(":")
    try:
        return name, float(number or default)
    except ValueError:
        return name, math.nan


@dataclass(frozen=True)
class Gate:
    """What `--fail-on-worse METRIC[:TOLERANCE]` asks for."""

    metric: str
    """`headline` for the one that comes first."""
    tolerance: float = 0.0
    """In the metric's own unit: 0.01 of F1 is one point."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`f1` or `f1:0.01`. Raises ArgumentTypeError if the tolerance is no number that is at least 0."""
        metric, value = named_number(text, 0.0)
        if not metric or not 0 <= value < math.inf:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not METRIC or METRIC:TOLERANCE with a tolerance of at least 0"
            )
        return cls(metric, value)

    @classmethod
    def add_to(cls, parser: argparse.ArgumentParser) -> None:
        """Add the option, whose values come as a list of gates."""
        parser.add_argument(
            "--fail-on-worse",
            type=cls.parse,
            action="append",
            default=[],
            metavar="METRIC[:TOLERANCE]",
            help="exit with 1 if METRIC (or headline) of a run is told worse, and by more than TOLERANCE (default: 0)",
        )

    def of(self, pair: Pair) -> Difference | None:
        """The difference that it is about."""
        if self.metric == HEADLINE:
            return next(iter(pair.differences), None)
        return next((each for each in pair.differences if each.metric == self.metric), None)

    def forbids(self, difference: Difference) -> bool:
        """Whether the verdict is worse, and the observed loss is more than the tolerance.

        Both: a loss that may be chance fails nothing however large it is, and one that is certain but within the
        tolerance fails nothing either. The tolerance is held against the observed loss, not against an end of its
        interval.
        """
        if difference.verdict != "worse" or difference.difference is None:
            return False
        return abs(difference.difference) > self.tolerance


def require(comparison: Comparison, gate: Gate) -> None:
    """Raise WorseError if the gate forbids a pair, UserError if a pair does not have the metric.

    A pair whose predictions are not at hand passes for `headline`, since nothing shows that it is worse.
    """
    for pair in comparison.pairs:
        if pair.note and gate.metric == HEADLINE:
            continue  # whatever the headline is, there is no evidence
        found = gate.of(pair)
        if found is None or found.difference is None:
            known = ", ".join(each.metric for each in pair.differences if each.difference is not None) or "none"
            raise UserError(
                f"--fail-on-worse {gate.metric}: {pair.other} and {pair.base} do not both have it; choose from {known}"
            )
        if gate.forbids(found):
            allowed = f" (more than {gate.tolerance:g} fails)" if gate.tolerance else ""
            raise WorseError(f"{pair.other}: {wording.verdict(found)} against {pair.base}{allowed}")
