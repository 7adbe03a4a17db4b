"""The section of a comparison's page on what the runs are: parameters, environment and seconds, as far as they differ."""

from collections.abc import Mapping, Sequence

from stages.comparison import wording
from stages.comparison.lettered_runs import LetteredRun, legend
from stages.comparison.run_differences import recorded_environment
from stages.pipeline.json_files import Json
from stages.reporting.markup import MISSING, Cell, Column, Html, breakable, table
from stages.reporting.sections import section


def settings(shown: Sequence[LetteredRun]) -> Html:
    """Return the tables of parameters and environments that differ, and of the time of each stage."""
    tables = [
        _values_table("Parameters that differ", "parameter", _params(shown), shown),
        _values_table("Time per stage", "stage", _seconds(shown), shown),
        _values_table("Environment that differs", "environment", _environment(shown), shown),
    ]
    has_legend = len(shown) > 2 and any(tables)
    return section("settings", "Settings", legend(shown) if has_legend else "", *tables)


def _values_table(caption: str, what: str, values: Mapping[str, Sequence[str]], shown: Sequence[LetteredRun]) -> Html:
    """Return a table with a row for each name, and the value of each run; an empty value is unknown."""
    if not values:
        return Html()
    columns = [Column(what), *(Column(run.badge if len(shown) > 2 else run.title) for run in shown)]
    rows = [[Cell(breakable(name)), *(Cell(value or MISSING) for value in of_runs)] for name, of_runs in values.items()]
    return table(caption, columns, rows)


def _params(shown: Sequence[LetteredRun]) -> dict[str, list[str]]:
    """Return the values of all runs, for each parameter in which some run differs from the base."""
    keys = dict.fromkeys(each.key for run in shown if run.pair for each in run.pair.params)
    return {key: [_setting(run.run.params.get(key)) for run in shown] for key in keys}


def _environment(shown: Sequence[LetteredRun]) -> dict[str, list[str]]:
    """Return the values of all runs, for each part of the environment in which some run differs from the base.

    Stages in which all runs have the same values share a row.
    """
    recorded = [{stage: recorded_environment(record) for stage, record in run.run.stage_runs.items()} for run in shown]
    differing = dict.fromkeys(
        (each.key, stage) for run in shown if run.pair for each in run.pair.environment for stage in each.stages
    )
    stages: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for key, stage in differing:
        values = tuple(_setting(of_run.get(stage, {}).get(key)) for of_run in recorded)
        stages.setdefault((key, values), []).append(stage)
    return {f"{key} ({', '.join(names)})": list(values) for (key, values), names in stages.items()}


def _seconds(shown: Sequence[LetteredRun]) -> dict[str, list[str]]:
    """Return how long each stage took in all runs, compared with the base."""
    pairs = [{each.stage: wording.took(each) for each in run.pair.seconds} for run in shown if run.pair]
    found: dict[str, list[str]] = {}
    for stage, (base, _) in (each for pair in pairs for each in pair.items()):
        found.setdefault(stage, [base, *(pair[stage][1] if stage in pair else "" for pair in pairs)])
    return found


def _setting(value: Json) -> str:
    return "" if value is None else wording.setting(value)
