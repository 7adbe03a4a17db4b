"""Untyped parameters in, typed objects out, or one message that names every fault."""

import dataclasses
import json
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TypeVar

from pydantic import ValidationError

from stages.configuration.contradictions import contradictions
from stages.configuration.faults import UNSET, groups, in_words, unknown_groups, unset
from stages.configuration.schema import KEY, Params
from stages.pipeline.errors import ConfigError

StageConfig = TypeVar("StageConfig")


def validate(params: Mapping[str, object], origin: str) -> Params:
    """Turn plain parameters into typed ones. Raises ConfigError naming every faulty key, its value and the choices."""
    faults = unknown_groups(params)
    valid: dict[str, Any] = {}
    for group, adapter in groups().items():
        if group not in params:
            faults.append(f"{group}: is missing")
            continue
        faults += [f"{key}: is missing; give {key}=VALUE" for key in unset(group, params[group])]
        try:  # strict JSON mode takes mappings for dataclasses
            valid[group] = adapter.validate_json(json.dumps(params[group], default=str))
        except ValidationError as error:
            details = error.errors(include_url=False)
            faults += in_words(group, [detail for detail in details if detail["input"] != UNSET])
    faults += contradictions(valid)
    if faults:
        raise ConfigError(f"{origin}: " + "; ".join(faults))
    return Params(**valid)


def select(params: Params, stage: type[StageConfig]) -> StageConfig:
    """The part of the parameters that a stage reads: the fields of its dataclass."""
    assert dataclasses.is_dataclass(stage)
    return stage(**{field.name: attrgetter(key_of(field))(params) for field in dataclasses.fields(stage)})


def key_of(field: dataclasses.Field[Any]) -> str:
    """The group, or the key in one, that a field of a stage's dataclass holds: what `dvc.yaml` lists among its `params:`."""
    return str(field.metadata.get(KEY, field.name))
