"""The trials of a sweep: the overrides of `-S` in Hydra's syntax, parsed, composed and validated before anything runs."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

from hydra.core.override_parser.types import Glob, IntervalSweep, Override
from hydra.errors import HydraException

from stages.configuration.composition import compose_params
from stages.configuration.resets import parsed_overrides, resets
from stages.configuration.schema import DownloadStage, FilesData, FilesModel, Params, TokenizeStage
from stages.configuration.validation import select, validate
from stages.pipeline.errors import ConfigError
from stages.pipeline.paths import PARAMS

_DIGITS = 8
"""Digits of a digest in a name."""


@dataclass(frozen=True)
class Trial:
    """One configuration to be trained and evaluated."""

    name: str
    """The name of its DVC experiment. It depends on the composed configuration: `seed=1` and `seed=01` are one trial."""
    overrides: tuple[str, ...]
    """One value for each key."""
    shared: str
    """A digest of what download and tokenize depend on. Trials with the same one share their outputs."""
    metric: str
    """The metric on validation that trials are compared by."""
    cpus: int
    """CPU threads of all its processes together."""


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides. Raises ConfigError if one is not valid, or a key is given twice."""
    try:
        parsed = parsed_overrides(overrides)
    except HydraException as error:
        raise ConfigError(
            f"-S {' '.join(overrides)}: is not a valid override ({' '.join(str(error).split())}); write key=value, "
            "key=value,value or key=interval(low,high)"
        ) from error
    keys = [override.get_key_element() for override in parsed]
    if twice := next((key for place, key in enumerate(keys) if key in keys[:place]), None):
        raise ConfigError(f"-S {twice}: is given twice; give all its values at once, as in -S '{twice}=1,2'")
    return parsed


def grid(sweep: str, overrides: Sequence[str]) -> list[Trial]:
    """Return a trial for every combination of the values. Raises ConfigError if one is not valid, or a key has an interval."""
    parsed = parse_overrides(overrides)
    if endless := next((each for each in parsed if isinstance(each.value(), IntervalSweep)), None):
        raise ConfigError(
            f"-S {endless.input_line}: has infinitely many values; give the number of trials, as in --trials 40"
        )
    trials = [trial(sweep, chosen) for chosen in product(*map(choices, parsed))]
    return list({each.name: each for each in trials}.values())


def choices(override: Override) -> list[str]:
    """Return an override for each value of `override`."""
    if not override.is_sweep_override():
        assert override.input_line is not None, "it was parsed"
        return [override.input_line]
    if isinstance(override.value(), Glob):
        raise ConfigError(
            f"-S {override.input_line}: give the values, as in -S {override.get_key_element()}=one,another"
        )
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def sample_values(override: Override) -> list[str]:
    """Return overrides that show whether all values are valid: each value, or the ends of an interval and a fraction inside."""
    value = override.value()
    if not isinstance(value, IntervalSweep):
        return choices(override)
    low, high = bounds(value)
    return [f"{override.get_key_element()}={number!r}" for number in (low, high, low + (high - low) / math.pi)]


def bounds(interval: IntervalSweep) -> tuple[float, float]:
    """Return the ends of an interval."""
    assert interval.start is not None and interval.end is not None, "Hydra requires both"
    return float(interval.start), float(interval.end)


def trial(sweep: str, overrides: Sequence[str]) -> Trial:
    """Return the trial of these overrides. Raises ConfigError if they can't be composed, or are not valid."""
    params = composed_params(overrides)
    for group, config in (("data", params.data), ("model", params.model)):
        key = f"{group}.fingerprint"
        found = config.fingerprint if isinstance(config, FilesData | FilesModel) else None
        if found is not None and not any(each.startswith(f"{key}=") for each in overrides):
            overrides = (*overrides, f"{key}={found}")  # also where the files are not at hand
    shared = {"download": asdict(select(params, DownloadStage)), "tokenize": asdict(select(params, TokenizeStage))}
    return Trial(
        f"{sweep}-{digest(asdict(params))}",
        tuple(overrides),
        digest(shared),
        params.task.metric,
        params.threads * params.train.processes,
    )


def params_left_out(overrides: Sequence[str]) -> list[str]:
    """Return the keys whose values in `params.yaml` trials don't get: they are composed from `conf/` and `overrides` alone."""
    chosen = [sample_values(each)[0] for each in parse_overrides(overrides)]
    return [each.key for each in resets(chosen, compose_params(chosen), PARAMS)]


def composed_params(overrides: Sequence[str]) -> Params:
    """Compose and validate a configuration."""
    return validate(compose_params(list(overrides)), " ".join(overrides))


def digest(content: object) -> str:
    """Return a short digest of a value that JSON can hold."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
