"""Untyped parameters in, typed objects out, or one message that names every fault."""

import dataclasses
import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stages.configuration.schema import (
    CANONICAL_COLUMNS,
    KEY,
    PREDICTION_COLUMNS,
    SLICES,
    DataBase,
    DemoData,
    EvaluateConfig,
    Params,
    TabularData,
    Target,
    TaskConfig,
    TokenizeConfig,
    TrainConfig,
)
from stages.pipeline.errors import ConfigError

StageConfig = TypeVar("StageConfig")

_UNSET = "???"
"""What Hydra writes for a value that has yet to be given."""

_METRICS: Mapping[Target, tuple[str, ...]] = {
    "label": ("accuracy", "f1", "loss"),
    "labels": ("accuracy", "f1", "loss"),
    "number": ("pearson", "loss"),
}
"""The headline scores that can be computed for each target."""


def validate(params: Mapping[str, object], origin: str) -> Params:
    """Turn plain parameters into typed ones. Raises ConfigError naming every faulty key, its value and the choices."""
    faults = [
        f"{key}: there is no such group; {_did_you_mean(key, _groups())}" for key in params if key not in _groups()
    ]
    valid: dict[str, Any] = {}
    for group, adapter in _groups().items():
        if group not in params:
            faults.append(f"{group}: is missing")
            continue
        unset = _unset(group, params[group])
        faults += [f"{key}: is missing; give {key}=VALUE" for key in unset]
        try:
            valid[group] = adapter.validate_json(
                json.dumps(params[group])
            )  # strict JSON mode takes mappings for dataclasses
        except ValidationError as error:
            details = error.errors(include_url=False)
            faults += [_describe(group, detail) for detail in details if detail["input"] != _UNSET]
    faults += _contradictions(valid)
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


def explain_composition_error(error: Exception) -> str:
    """Hydra's refusal of an override or a group in one line, with the key that was probably meant."""
    text = " ".join(str(error).split()).split(" Config search path:")[0]
    unknown = re.match(r"Could not override '([\w.]+)'", text)
    if not unknown:
        return text
    group, _, key = unknown.group(1).rpartition(".")
    choices = _fields(group) if group in _groups() else [*_groups(), "experiment"]
    return f"{unknown.group(1)}: there is no such key; {_did_you_mean(key, choices)}"


@cache
def _groups() -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(Params, include_extras=True)
    return {name: TypeAdapter(annotation) for name, annotation in hints.items()}


def _contradictions(valid: Mapping[str, Any]) -> list[str]:
    """Faults in a group or between groups, as far as the groups concerned are valid in themselves."""
    rules: list[Callable[..., str | None]] = [
        _kind_fault,
        _target_fault,
        _demo_fault,
        _tokens_target_fault,
        _overflow_fault,
        _metric_fault,
        _stopping_fault,
        _class_weights_fault,
        _smoothing_fault,
        _batch_fault,
        _scoring_fault,
        _slices_fault,
        _kept_fault,
        _sliced_fault,
    ]
    found = []
    for rule in rules:
        needed = [name for name in rule.__annotations__ if name != "return"]
        if all(name in valid for name in needed):
            found.append(rule(**{name: valid[name] for name in needed}))
    return [fault for fault in found if fault is not None]


def _kind_fault(task: TaskConfig, data: DataBase) -> str | None:
    if task.kind == data.kind:
        return None
    return f"data={data.name} is data for task={data.kind}, but task.kind={task.kind}; choose task={data.kind}, or other data"


def _target_fault(task: TaskConfig, data: DataBase) -> str | None:
    if task.kind != data.kind or task.target == data.target:
        return None
    choice = {"label": task.kind, "labels": "multilabel", "number": "regression"}[data.target]
    return (
        f"data={data.name} has data.target={data.target}, but task.target={task.target}; "
        f"choose task={choice}, or data of that target"
    )


def _demo_fault(data: DataBase) -> str | None:
    if not isinstance(data, DemoData) or data.target == "label":
        return None
    return f"data.target={data.target}: the demo makes data with one label alone; set data.target=label, or other data"


def _tokens_target_fault(task: TaskConfig) -> str | None:
    if task.kind == "text" or task.target == "label":
        return None
    return (
        f"task.target={task.target} is for texts, but task.kind=tokens gives each word one label; set task.target=label"
    )


def _overflow_fault(task: TaskConfig, tokenize: TokenizeConfig) -> str | None:
    if task.kind == "tokens" and tokenize.overflow == "truncate":
        return "tokenize.overflow=truncate would leave words without a prediction in task=tokens; choose windows"
    longest, stride = tokenize.max_length, tokenize.stride
    if longest is not None and stride is not None and stride > longest // 2:
        return f"tokenize.stride={stride} must be at most half of tokenize.max_length={longest}; lower the stride"
    return None


def _metric_fault(task: TaskConfig) -> str | None:
    choices = _METRICS[task.target]
    if task.metric in choices:
        return None
    return (
        f"task.metric={task.metric} can't be computed for task.target={task.target}; choose from {', '.join(choices)}"
    )


def _class_weights_fault(task: TaskConfig, train: TrainConfig) -> str | None:
    if train.class_weights == "none" or task.target != "number":
        return None
    return f"train.class_weights={train.class_weights} weighs labels, and task.target=number has none; set none"


def _smoothing_fault(task: TaskConfig, train: TrainConfig) -> str | None:
    if train.label_smoothing == 0 or task.target == "label":
        return None
    return (
        f"train.label_smoothing={train.label_smoothing:g} is for one label of several, but task.target={task.target}; "
        "set 0"
    )


def _stopping_fault(task: TaskConfig, train: TrainConfig) -> str | None:
    if (
        train.early_stopping is not None
        and train.evaluate_every is None
        and train.max_steps is None
        and train.epochs <= 1
    ):
        return (
            f"train.early_stopping={train.early_stopping} can't act on {task.metric} with a single evaluation; "
            "raise train.epochs or set train.evaluate_every"
        )
    return None


def _batch_fault(train: TrainConfig) -> str | None:
    parts = train.processes * train.gradient_accumulation
    if train.batch_size % parts == 0:
        return None
    return (
        f"train.batch_size={train.batch_size} is not divisible by train.processes x train.gradient_accumulation = {parts}; "
        "change one of them"
    )


def _scoring_fault(evaluate: EvaluateConfig) -> str | None:
    if evaluate.mode == "conll" or evaluate.scheme != "plain":
        return None
    return "evaluate.mode=strict reads entities, and evaluate.scheme=plain says that there are none; change one of them"


def _slices_fault(task: TaskConfig, evaluate: EvaluateConfig) -> str | None:
    if "label" not in evaluate.slices or task.target != "number":
        return None
    return "evaluate.slices has label, and task.target=number has none; leave it out"


_TAKEN = {*CANONICAL_COLUMNS, *PREDICTION_COLUMNS, *SLICES}
"""What columns that come along can't be called: names of the raw data, of predictions or of slices."""


def _kept_fault(data: DataBase) -> str | None:
    taken = [name for name in _kept(data) if name in _TAKEN]
    if not taken:
        return None
    return f"data.keep_columns has {taken[0]}, which the project's own files use; leave it out, or rename the column"


def _sliced_fault(data: DataBase, evaluate: EvaluateConfig) -> str | None:
    known = (*SLICES, *_kept(data))
    unknown = [by for by in evaluate.slices if by not in known]
    if not unknown:
        return None
    choices = " or ".join(map(repr, known))
    return f"evaluate.slices has {unknown[0]}; choose from {choices}, or name a column of the data in data.keep_columns"


def _kept(data: DataBase) -> Sequence[str]:
    return data.keep_columns if isinstance(data, TabularData) else ()


def _describe(group: str, detail: ErrorDetails) -> str:
    location = _location(group, detail)
    key, value = ".".join(location), detail["input"]
    match detail["type"]:
        case "missing":
            return f"{key}: is missing"
        case "unexpected_keyword_argument":
            return f"{key}: there is no such key; {_did_you_mean(location[-1], _fields(group))}"
        case "union_tag_invalid":
            return f"{key}.source={_tag(value)}: choose from {detail['ctx']['expected_tags']}"
        case "union_tag_not_found":
            return f"{key}.source: is missing"
        case "literal_error":
            return f"{key}={value}: choose from {detail['ctx']['expected']}"
        case _:
            return f"{key}={value!r}: {_lower_first(detail['msg'])}"


def _unset(key: str, value: object) -> list[str]:
    """The keys at and below `key` that wait for the user's value."""
    if isinstance(value, Mapping):
        return [found for name, item in value.items() for found in _unset(f"{key}.{name}", item)]
    return [key] if value == _UNSET else []


def _location(group: str, detail: ErrorDetails) -> list[str]:
    """The key's path, without the discriminator's value that pydantic puts into it."""
    parts = [str(part) for part in detail["loc"]]
    if group in ("data", "model") and parts and detail["type"] not in ("union_tag_invalid", "union_tag_not_found"):
        parts = parts[1:]
    return [group, *parts]


def _tag(value: object) -> object:
    return value.get("source") if isinstance(value, Mapping) else value


def _fields(group: str) -> list[str]:
    schema = _groups()[group].json_schema()
    definitions = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for definition in definitions for name in definition.get("properties", {})})


def _did_you_mean(word: str, choices: Iterable[str]) -> str:
    choices = list(choices)
    close = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(choices)}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
