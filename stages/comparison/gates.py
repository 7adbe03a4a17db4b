"""Checks that make a comparison fail: a metric that is worse, or a stage that is slower."""

import argparse
import math
from dataclasses import dataclass
from typing import Self

from stages.comparison import wording
from stages.comparison.results import Comparison
from stages.comparison.run_differences import STAGES
from stages.pipeline.argument_types import number
from stages.pipeline.errors import UserError

HEADLINE = "headline"
_FACTOR = 1.5


class WorseError(UserError):
    """A run is worse than a gate lets it be."""


class SlowerError(UserError):
    """A run is slower than a gate lets it be."""


def add_gates(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a check is asked for; each comes as a list of gates."""
    parser.add_argument(
        "--fail-on-worse",
        type=Gate.parse,
        action="append",
        default=[],
        metavar="METRIC[:TOLERANCE]",
        help="exit with status 1 if a run is worse on METRIC (or headline) by more than TOLERANCE (default: 0); METRIC then "
        "gets a verdict too, which p-values and intervals are corrected for",
    )
    parser.add_argument(
        "--fail-on-slower",
        type=SpeedGate.parse,
        action="append",
        default=[],
        metavar="STAGE[:FACTOR]",
        help="exit with status 1 if STAGE took more than FACTOR times as long as in the base, on the same kind of machine "
        f"(default: {_FACTOR})",
    )


def gated_metrics(arguments: argparse.Namespace) -> list[str]:
    """Return the metrics that gates name. They get verdicts beside the headline."""
    return [gate.metric for gate in arguments.fail_on_worse if gate.metric != HEADLINE]


def require_all(comparison: Comparison, arguments: argparse.Namespace) -> None:
    """Raise WorseError or SlowerError for the first check that was asked for and does not hold."""
    for gate in (*arguments.fail_on_worse, *arguments.fail_on_slower):
        gate.require(comparison)


@dataclass(frozen=True)
class Gate:
    """What `--fail-on-worse METRIC[:TOLERANCE]` asks for."""

    metric: str
    """`headline` for the one that comes first."""
    tolerance: float = 0.0
    """In the metric's own unit: 0.01 of F1 is one point."""

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.metric}:{self.tolerance:g}" if self.tolerance else self.metric

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `f1` or `f1:0.01`. Raises ArgumentTypeError if the tolerance is not a number of at least 0."""
        metric, value = _named_number(text, 0.0)
        if not metric or not 0 <= value < math.inf:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not METRIC or METRIC:TOLERANCE with a tolerance of at least 0"
            )
        return cls(metric, value)

    def require(self, comparison: Comparison) -> None:
        """Raise WorseError if a pair is worse by more than the tolerance, UserError if it does not have the metric.

        Both must hold: a loss that may be chance fails nothing however large it is, and one that is certain but within
        the tolerance fails nothing either. The tolerance is held against the observed loss, not against an end of its
        interval. A pair whose predictions are not at hand passes for `headline`, since nothing shows that it is worse.
        """
        for pair in comparison.pairs:
            if pair.note and self.metric == HEADLINE:
                continue  # whatever the headline is, there is no evidence
            found = next((each for each in pair.differences if self.metric in (each.metric, HEADLINE)), None)
            if found is None or found.difference is None:
                known = ", ".join(each.metric for each in pair.differences if each.difference is not None) or "none"
                raise UserError(
                    f"--fail-on-worse {self.metric}: {pair.other} and {pair.base} don't both have it; "
                    f"choose from {known}"
                )
            assert found.verdict != "exploratory", "pass the metrics of gates to compare() as `judged`"
            if found.verdict == "worse" and abs(found.difference) > self.tolerance:
                allowed = f" (more than {self.tolerance:g} fails)" if self.tolerance else ""
                raise WorseError(f"{pair.other}: {wording.verdict(found)} against {pair.base}{allowed}")


@dataclass(frozen=True)
class SpeedGate:
    """What `--fail-on-slower STAGE[:FACTOR]` asks for."""

    stage: str
    factor: float = _FACTOR

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `train` or `train:1.2`. Raises ArgumentTypeError if there is no such stage, or the factor is below 1."""
        stage, value = _named_number(text, _FACTOR)
        if stage not in STAGES or not 1 <= value < math.inf:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not STAGE or STAGE:FACTOR with a stage of {', '.join(STAGES)} and a factor of at least 1"
            )
        return cls(stage, value)

    def require(self, comparison: Comparison) -> None:
        """Raise SlowerError if it forbids a pair. What ran on different machines, or is not recorded, passes."""
        for pair in comparison.pairs:
            for each in pair.seconds:
                if each.stage == self.stage and each.is_same_machine and each.other > self.factor * each.base:
                    raise SlowerError(
                        f"{pair.other}: {each.stage} took {each.other:g} s, {each.other / each.base:.2f} times the "
                        f"{each.base:g} s of {pair.base} (more than {self.factor:g} times fails)"
                    )


def _named_number(text: str, default: float) -> tuple[str, float]:
    """Split `NAME:NUMBER`, or `NAME` for the default. The number is NaN if the text after the colon is none."""
    name, _, value = text.partition(":")
    return name, number(value) if value else default
