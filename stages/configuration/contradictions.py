"""Faults in a group or between groups: values that are valid in themselves and do not fit together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stages.configuration.schema import (
    CANONICAL_COLUMNS,
    PREDICTION_COLUMNS,
    SLICES,
    DataBase,
    DemoData,
    EvaluateConfig,
    TabularData,
    Target,
    TaskConfig,
    TokenizeConfig,
    TrainConfig,
)

_METRICS: Mapping[Target, tuple[str, ...]] = {
    "label": ("accuracy", "f1", "loss"),
    "labels": ("accuracy", "f1", "loss"),
    "number": ("pearson", "loss"),
}
"""The headline scores that can be computed for each target."""


def contradictions(valid: Mapping[str, Any]) -> list[str]:
    """What does not fit together, one text each, as far as the groups concerned are valid in themselves."""
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
        _auto_fault,
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


def _auto_fault(train: TrainConfig) -> str | None:
    if train.batch_size != "auto":
        return None
    if train.batch_tokens is not None:
        return (
            f"train.batch_size=auto and train.batch_tokens={train.batch_tokens} both say how large a batch is; drop one"
        )
    if train.gradient_accumulation == "auto":
        return (
            "train.batch_size=auto and train.gradient_accumulation=auto both fit the same batch into memory; "
            "set one of them to a number"
        )
    return None


def _batch_fault(train: TrainConfig) -> str | None:
    if train.batch_size == "auto" or train.batch_tokens is not None:
        return None
    parts = train.processes * (1 if train.gradient_accumulation == "auto" else train.gradient_accumulation)
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
