"""What is different between two runs beside their predictions: parameters, what their stages ran on, seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean

from stages.comparison.loaded_runs import flat
from stages.comparison.results import EnvironmentDifference, ParamDifference, StageSeconds
from stages.pipeline.json_files import Json
from stages.pipeline.stage_records import StageRun

STAGES = ("download", "tokenize", "train", "evaluate", "export")


def param_differences(base: Mapping[str, Json], other: Mapping[str, Json]) -> list[ParamDifference]:
    """The parameters that differ, sorted; none where those of a run are not known."""
    if not base or not other:
        return []
    keys = sorted(key for key in {*base, *other} if base.get(key) != other.get(key))
    return [ParamDifference(key, base.get(key), other.get(key)) for key in keys]


def environment_differences(base: Mapping[str, StageRun], other: Mapping[str, StageRun]) -> list[EnvironmentDifference]:
    """What the stages ran on, where it differs. A difference that several stages share is listed once."""
    stages: dict[tuple[str, Json, Json], list[str]] = {}
    for stage in (name for name in base if name in other):
        first, second = (dict(flat(asdict(runs[stage].environment))) for runs in (base, other))
        for key in sorted({*first, *second}):
            if first.get(key) != second.get(key):
                stages.setdefault((key, first.get(key), second.get(key)), []).append(stage)
    return [EnvironmentDifference(*difference, names) for difference, names in stages.items()]


def stage_seconds(
    base: Sequence[Mapping[str, StageRun]], other: Sequence[Mapping[str, StageRun]]
) -> list[StageSeconds]:
    """The seconds of each stage that is recorded for both, in the order of the pipeline; over several seeds the mean."""
    found = []
    for stage in STAGES:
        runs = [[of_run[stage] for of_run in group if stage in of_run] for group in (base, other)]
        if all(runs):
            before, after = (fmean(run.seconds for run in group) for group in runs)
            machines = {_machine(run) for group in runs for run in group}
            found.append(StageSeconds(stage, before, after, is_same_machine=len(machines) == 1))
    return found


def _machine(run: StageRun) -> tuple[object, ...]:
    """What must be alike for seconds to be compared."""
    environment = run.environment
    return environment.system, environment.cpu, environment.compute
