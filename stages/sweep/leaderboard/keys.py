"""The parameters that the trials of a sweep differ in, and the main effect of each on the score."""

import json
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from stages.pipeline.json_files import Json
from stages.scoring.core.formulas import spearman
from stages.sweep.leaderboard.results import KeyEffect, ValueEffect

_NAMED = ("data", "model")
"""Groups of the configuration that are chosen as a whole. Their `name` tells the choice."""
_LISTED_VALUES = 6
"""Up to so many distinct numbers are listed one by one; more are shown in ranges."""
_RANGES = 4


def swept_keys(configurations: Sequence[Mapping[str, Json]]) -> list[str]:
    """Return the keys whose values differ, in their order, without those that follow from the `name` of their group."""
    keys = list(dict.fromkeys(key for each in configurations for key in each))
    differing = [key for key in keys if len({_frozen(each.get(key)) for each in configurations}) > 1]
    names = {f"{group}.name" for group in _NAMED} & set(differing)
    return [
        key
        for key in differing
        if (name := f"{key.partition('.')[0]}.name") not in names
        or name == key
        or not _follows(key, name, configurations)
    ]


def _follows(key: str, name: str, configurations: Sequence[Mapping[str, Json]]) -> bool:
    pairs = {(_frozen(each.get(name)), _frozen(each.get(key))) for each in configurations}
    return len(pairs) == len({first for first, _ in pairs})


def _frozen(value: Json) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return a short name for each key: its last parts, as many as distinguish it; for a group's `name`, the group."""
    found: dict[str, str] = {}
    for key in keys:
        parts = key.split(".")
        if parts[-1] == "name" and len(parts) > 1 and parts[0] in _NAMED:
            found[key] = parts[0]
            continue
        ends = (".".join(parts[place:]) for place in range(len(parts) - 1, -1, -1))
        found[key] = next(
            (end for end in ends if sum(other == end or other.endswith(f".{end}") for other in keys) == 1), key
        )
    return found


def setting(value: Json) -> str:
    """Return a value as it is written on the command line, numbers as short as they can be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def key_effects(
    keys: Sequence[str], configurations: Sequence[Mapping[str, Json]], scores: Sequence[float]
) -> list[KeyEffect]:
    """Return the main effect of each key. `configurations`, `scores`: those of each trial."""
    return [_effect(key, [each.get(key) for each in configurations], scores) for key in keys]


def _effect(key: str, values: Sequence[Json], scores: Sequence[float]) -> KeyEffect:
    numbers = numbers_of(values)
    if numbers is not None and len(set(numbers)) > _LISTED_VALUES:
        return KeyEffect(key, _by_range(numbers, scores), _rank_correlation(numbers, scores))
    return KeyEffect(key, _by_value(values, scores))


def numbers_of(values: Sequence[Json]) -> list[float] | None:
    """Return values as numbers; None if one is not a number. True and False are not numbers here."""
    found = [float(each) for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    return found if len(found) == len(values) else None


def by_size(value: Json) -> tuple[bool, float, str]:
    """Return a sort key for values of a parameter: numbers by size, then names."""
    is_name = not isinstance(value, int | float) or isinstance(value, bool)
    return is_name, 0.0 if is_name else float(value), setting(value)  # type: ignore[arg-type]


def _by_value(values: Sequence[Json], scores: Sequence[float]) -> list[ValueEffect]:
    of_value: dict[str, list[float]] = {}
    for value in sorted(values, key=by_size):
        of_value.setdefault(setting(value), [])
    for value, score in zip(values, scores, strict=True):
        of_value[setting(value)].append(score)
    return [ValueEffect(value, fmean(found), len(found)) for value, found in of_value.items()]


def _by_range(numbers: Sequence[float], scores: Sequence[float]) -> list[ValueEffect]:
    """Return the effect of ranges that each hold a quarter of the trials; equal values are in one range."""
    edges = np.quantile(numbers, np.linspace(0, 1, _RANGES + 1)[1:-1])
    ranges = np.searchsorted(edges, numbers, side="left")
    found = []
    for place in np.unique(ranges):
        chosen = [(number, score) for number, score, at in zip(numbers, scores, ranges, strict=True) if at == place]
        low, high = min(chosen)[0], max(chosen)[0]
        name = f"{low:g}" if low == high else f"{low:.3g} to {high:.3g}"
        found.append(ValueEffect(name, fmean(score for _, score in chosen), len(chosen)))
    return found


def _rank_correlation(numbers: Sequence[float], scores: Sequence[float]) -> float | None:
    found = float(spearman(np.stack([numbers, scores], axis=1), np.ones((1, len(numbers))))[0])
    return None if np.isnan(found) else found
