"""How long the stages took, and a check that fails when one is slower."""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Self

from stages.comparison.gate import named_number
from stages.comparison.results import Comparison, StageSeconds
from stages.pipeline.errors import UserError
from stages.pipeline.runs import StageRun

STAGES = ("download", "tokenize", "train", "evaluate", "export")
_FACTOR = 1.5


def stage_seconds(
    base: Sequence[Mapping[str, StageRun]], other: Sequence[Mapping[str, StageRun]]
) -> list[StageSeconds]:
    """The seconds of each stage that is recorded for both, in the order of the pipeline; over several seeds their means."""
    found = []
    for stage in STAGES:
        first, second = ([runs[stage] for runs in group if stage in runs] for group in (base, other))
        if first and second:
            machines = {_machine(run) for run in (*first, *second)}
            found.append(StageSeconds(stage, _mean(first), _mean(second), len(machines) == 1))
    return found


def _mean(runs: Sequence[StageRun]) -> float:
    return fmean(run.seconds for run in runs)


def _machine(run: StageRun) -> tuple[object, ...]:
    """What must be alike for seconds to be compared."""
    environment = run.environment
    return environment.system, environment.cpu, environment.compute


@dataclass(frozen=True)
class SpeedGate:
    """What `--fail-on-slower STAGE[:FACTOR]` asks for."""

    stage: str
    factor: float = _FACTOR

    @classmethod
    def parse(cls, text: str) -> Self:
        """`train` or `train:1.2`. Raises ArgumentTypeError if there is no such stage, or the factor is below 1."""
        stage, value = named_number(text, _FACTOR)
        if stage not in STAGES or not 1 <= value < math.inf:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not STAGE or STAGE:FACTOR with a stage of {', '.join(STAGES)} and a factor of at least 1"
            )
        return cls(stage, value)

    @classmethod
    def add_to(cls, parser: argparse.ArgumentParser) -> None:
        """Add the option, whose values come as a list of gates."""
        parser.add_argument(
            "--fail-on-slower",
            type=cls.parse,
            action="append",
            default=[],
            metavar="STAGE[:FACTOR]",
            help="exit with 1 if STAGE of a run took more than FACTOR times as long on the same kind of machine "
            f"(default: {_FACTOR})",
        )

    def require(self, comparison: Comparison) -> None:
        """Raise SlowerError if it forbids a pair. What ran on different machines, or is not recorded, passes."""
        for pair in comparison.pairs:
            for each in pair.seconds:
                if each.stage == self.stage and each.is_same_machine and each.other > self.factor * each.base:
                    raise SlowerError(
                        f"{pair.other}: {each.stage} took {each.other:g} s, {each.other / each.base:.2f} times the "
                        f"{each.base:g} s of {pair.base} (more than {self.factor:g} times fails)"
                    )


class SlowerError(UserError):
    """A run is slower than a gate lets it be."""
