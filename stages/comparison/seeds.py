"""Runs that are one run under several seeds."""

import json
import statistics
from collections.abc import Sequence

from stages.comparison.loaded_runs import Run
from stages.pipeline.json_files import Json

_SEED = "seed"


def grouped(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that differ only in `seed` together, each group where its first run stands.

    Only in `seed` means: of equal parameters otherwise, and of equal code and data, as `dvc.lock` has them. The same run
    once more (same seed, same predictions) is left out. Were all runs one group, there would be nothing to compare:
    then each stands for itself.
    """
    groups: list[list[Run]] = []
    for run in runs:
        group = next((group for group in groups if _recipe(run) and _recipe(run) == _recipe(group[0])), None)
        if group is None:
            groups.append([run])
        elif run.params[_SEED] not in [other.params[_SEED] for other in group]:
            group.append(run)
        elif not any(_same(run, other) for other in group):
            groups.append([run])
    return groups if len(groups) > 1 else [[run] for run in runs]


def name_of(group: Sequence[Run]) -> str:
    """The first run's name, and how many more seeds there are."""
    more = len(group) - 1
    return group[0].name + (f" + {more} seed{'s' if more > 1 else ''}" if more else "")


def seeds_of(group: Sequence[Run]) -> list[int]:
    """The seeds, where all are known."""
    seeds = [run.params.get(_SEED) for run in group]
    known = [seed for seed in seeds if isinstance(seed, int)]
    return known if len(known) == len(seeds) else []


def mean_and_deviation(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """The mean and the standard deviation (divisor: values less one), where they are defined."""
    defined = [value for value in values if value is not None]
    if len(defined) < len(values) or not defined:
        return None, None
    return statistics.fmean(defined), statistics.stdev(defined) if len(defined) > 1 else None


def _recipe(run: Run) -> str | None:
    """All that a run depends on but its seed; None where that is not known."""
    if run.code is None or _SEED not in run.params or run.predictions is None:
        return None
    params: dict[str, Json] = {key: value for key, value in run.params.items() if key != _SEED}
    return json.dumps([run.code, params], sort_keys=True, default=str)


def _same(run: Run, other: Run) -> bool:
    assert run.predictions is not None and other.predictions is not None  # both have a recipe
    return run.params[_SEED] == other.params[_SEED] and bool(run.predictions.equals(other.predictions))
