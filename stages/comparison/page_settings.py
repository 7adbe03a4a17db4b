"""The section of a comparison's page on what the runs are: parameters, environment and seconds, as far as they differ."""

from collections.abc import Mapping, Sequence

from stages.comparison import wording
from stages.comparison.lettered_runs import LetteredRun, legend
from stages.comparison.results import EnvironmentDifference, ParamDifference
from stages.pipeline.json_files import Json
from stages.reporting.markup import MISSING, Cell, Column, Html, breakable, table
from stages.reporting.sections import section


def settings(shown: Sequence[LetteredRun]) -> Html:
    """In which parameters and environment the runs differ, and how long their stages took."""
    pairs = [each.pair for each in shown if each.pair]
    params = _values([{each.key: each for each in pair.params} for pair in pairs])
    environment = _values(
        [{f"{each.key} ({', '.join(each.stages)})": each for each in pair.environment} for pair in pairs]
    )
    seconds = _of_runs([{each.stage: wording.took(each) for each in pair.seconds} for pair in pairs])
    tables = [
        _values_table("Parameters that differ", "parameter", params, shown),
        _values_table("Time per stage", "stage", seconds, shown),
        _values_table("Environment that differs", "environment", environment, shown),
    ]
    has_legend = len(shown) > 2 and any(tables)
    return section("settings", "Settings", legend(shown) if has_legend else "", *tables)


def _values_table(caption: str, what: str, values: Mapping[str, Sequence[str]], shown: Sequence[LetteredRun]) -> Html:
    if not values:
        return Html()
    columns = [Column(what), *(Column(run.badge if len(shown) > 2 else run.title) for run in shown)]
    rows = [[Cell(breakable(name)), *(Cell(value or MISSING) for value in of_runs)] for name, of_runs in values.items()]
    return table(caption, columns, rows)


def _values(pairs: Sequence[Mapping[str, ParamDifference | EnvironmentDifference]]) -> Mapping[str, Sequence[str]]:
    """What some run has otherwise than the base, from the differences of each pair; elsewhere a run is like the base."""
    shown = [{name: (_setting(found.base), _setting(found.other)) for name, found in pair.items()} for pair in pairs]
    return _of_runs(shown, is_like_base=True)


def _of_runs(
    pairs: Sequence[Mapping[str, tuple[str, str]]], *, is_like_base: bool = False
) -> Mapping[str, Sequence[str]]:
    """From what the base and another run have of each name, a pair each, the values of all runs by name.

    `is_like_base`: whether a run whose pair does not have the name is like the base; else it has nothing.
    """
    bases: dict[str, str] = {}
    for pair in pairs:
        for name, (base, _) in pair.items():
            bases.setdefault(name, base)
    return {
        name: [base, *(pair.get(name, ("", base if is_like_base else ""))[1] for pair in pairs)]
        for name, base in bases.items()
    }


def _setting(value: Json) -> str:
    return "" if value is None else wording.setting(value)
