"""Faults in a group or between groups: values that are valid on their own and do not fit together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any, TypeAlias

from stages.configuration.kinds import labels_words, rules_of, takes_several_labels, target_rules
from stages.configuration.schema import (
    CANONICAL_COLUMNS,
    PREDICTION_COLUMNS,
    SLICES,
    SPLITS,
    DataBase,
    DemoData,
    EvaluateConfig,
    ExportConfig,
    LoraConfig,
    TabularData,
    TaskConfig,
    TokenizeConfig,
    TrainConfig,
)

_TAKEN = {*CANONICAL_COLUMNS, *PREDICTION_COLUMNS, *SLICES}
"""Names that columns of `data.keep_columns` can't have: those of the raw data, of predictions or of slices."""

Rule: TypeAlias = Callable[..., str | None]
"""Takes groups by their names, and returns what is wrong with them, if anything."""

_RULES: list[Rule] = []


def _rule(rule: Rule) -> Rule:
    """Add a rule to those that are checked, in the order in which they stand here."""
    _RULES.append(rule)
    return rule


def contradictions(valid: Mapping[str, Any]) -> list[str]:
    """Return what does not fit together, one text each. Groups that are not valid in themselves are left out of `valid`."""
    found = []
    for rule in _RULES:
        groups = [name for name in rule.__annotations__ if name != "return"]
        if all(name in valid for name in groups):
            found.append(rule(**{name: valid[name] for name in groups}))
    return [fault for fault in found if fault is not None]


@_rule
def _kind_fault(task: TaskConfig, data: DataBase) -> str | None:
    if task.kind == data.kind:
        return None
    return f"data={data.name} is data for task={data.kind}, but task.kind={task.kind}; choose task={data.kind}, or other data"


@_rule
def _target_fault(task: TaskConfig, data: DataBase) -> str | None:
    if task.kind != data.kind or task.target == data.target:
        return None
    rules = target_rules(data.kind, data.target)
    remedy = "choose data of that target" if rules is None else f"choose task={rules.choice}, or data of that target"
    return f"data={data.name} has data.target={data.target}, but task.target={task.target}; {remedy}"


@_rule
def _demo_fault(data: DataBase) -> str | None:
    if not isinstance(data, DemoData) or data.target == DemoData.target:
        return None
    return f"data.target={data.target}: the demo data has one label per example; set data.target=label, or choose other data"


@_rule
def _kinds_target_fault(task: TaskConfig) -> str | None:
    choices = [*rules_of(task.kind).targets]
    if task.target in choices:
        return None
    return f"task.target={task.target} is not for task.kind={task.kind}; set task.target={' or '.join(choices)}"


@_rule
def _overflow_fault(task: TaskConfig, tokenize: TokenizeConfig) -> str | None:
    if labels_words(task.kind) and tokenize.overflow == "truncate":
        return (
            f"tokenize.overflow=truncate would leave words without a prediction for task={task.kind}; "
            "set tokenize.overflow=windows"
        )
    longest, stride = tokenize.max_length, tokenize.stride
    if longest is not None and stride is not None and stride > longest // 2:
        return f"tokenize.stride={stride} must be at most half of tokenize.max_length={longest}; lower the stride"
    return None


@_rule
def _metric_fault(task: TaskConfig) -> str | None:
    rules = target_rules(task.kind, task.target)
    if rules is None or task.metric in rules.metrics:
        return None
    return (
        f"task.metric={task.metric} can't be computed for task.target={task.target}; "
        f"choose from {', '.join(rules.metrics)}"
    )


@_rule
def _decode_fault(task: TaskConfig) -> str | None:
    if task.decode == "argmax" or labels_words(task.kind):
        return None
    return f"task.decode={task.decode} is for token classification, but task.kind={task.kind}; set task.decode=argmax"


@_rule
def _scheme_fault(task: TaskConfig, evaluate: EvaluateConfig) -> str | None:
    if task.decode == "argmax" or evaluate.scheme != "plain":
        return None
    return (
        f"task.decode={task.decode} needs a tag scheme, and evaluate.scheme=plain says that there is none; "
        "change one of them"
    )


@_rule
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


@_rule
def _class_weights_fault(task: TaskConfig, train: TrainConfig) -> str | None:
    if train.class_weights == "none" or _has_labels(task):
        return None
    return (
        f"train.class_weights={train.class_weights} needs class labels, but task.target={task.target} has none; "
        "set train.class_weights=none"
    )


@_rule
def _smoothing_fault(task: TaskConfig, train: TrainConfig) -> str | None:
    rules = target_rules(task.kind, task.target)
    if train.label_smoothing == 0 or rules is None or rules.takes_smoothing:
        return None
    return (
        f"train.label_smoothing={train.label_smoothing:g} is for single-label classification, but "
        f"task.target={task.target}; set train.label_smoothing=0"
    )


@_rule
def _auto_fault(train: TrainConfig) -> str | None:
    if train.batch_size != "auto":
        return None
    if train.batch_tokens is not None:
        return f"train.batch_size=auto and train.batch_tokens={train.batch_tokens} both set the batch size; drop one"
    if train.gradient_accumulation == "auto":
        return (
            "train.batch_size=auto and train.gradient_accumulation=auto both fit the same batch into memory; "
            "set one of them to a number"
        )
    return None


@_rule
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


@_rule
def _adapter_fault(train: TrainConfig) -> str | None:
    if train.adapter == "none" and train.keep_adapter:
        return "train.keep_adapter=true keeps adapters, and train.adapter=none trains none; set train.adapter=lora"
    changed = [name for name, value in asdict(train.lora).items() if value != getattr(LoraConfig, name)]
    if train.adapter == "none" and changed:
        key = f"train.lora.{changed[0]}"
        return f"{key} is for adapters, and train.adapter=none trains none; set train.adapter=lora, or drop it"
    if train.frozen_precision != "fp32" and train.adapter == train.freeze == "none":
        return (
            f"train.frozen_precision={train.frozen_precision} is for frozen weights, and nothing is frozen; "
            "set train.adapter=lora or train.freeze"
        )
    return None


@_rule
def _sharding_fault(train: TrainConfig) -> str | None:
    if train.sharding == "none":
        return None
    full = f"train.sharding={train.sharding}"
    if train.processes == 1:
        return f"{full} shards the model across processes, but train.processes=1; raise it, or set train.sharding=none"
    if train.optimizer == "adamw_8bit":
        return f"{full}: train.optimizer=adamw_8bit does not support sharded weights; set train.optimizer=adamw"
    if train.precision == "fp16":
        return (
            f"{full}: train.precision=fp16 is not supported, as its loss scaling is not tested with sharded weights; "
            "set train.precision=bf16 or fp32"
        )
    for key in ("batch_size", "gradient_accumulation"):
        if getattr(train, key) == "auto":
            return f"{full}: train.{key}=auto is not supported, as it measures the memory of an unsharded model; set a number"
    return None


@_rule
def _scoring_fault(evaluate: EvaluateConfig) -> str | None:
    if evaluate.mode == "conll" or evaluate.scheme != "plain":
        return None
    return (
        "evaluate.mode=strict needs a tag scheme, and evaluate.scheme=plain says that there is none; change one of them"
    )


@_rule
def _slices_fault(task: TaskConfig, evaluate: EvaluateConfig) -> str | None:
    if "label" not in evaluate.slices or _has_labels(task):
        return None
    return f"evaluate.slices has label, but task.target={task.target} has no labels; remove it"


def _has_labels(task: TaskConfig) -> bool:
    rules = target_rules(task.kind, task.target)
    return rules is None or rules.has_labels


@_rule
def _kept_fault(data: DataBase) -> str | None:
    taken = [name for name in _kept(data) if name in _TAKEN]
    if not taken:
        return None
    return f"data.keep_columns has {taken[0]}, which is a reserved name; remove it, or rename the column"


@_rule
def _sliced_fault(data: DataBase, evaluate: EvaluateConfig) -> str | None:
    known = (*SLICES, *_kept(data))
    unknown = [by for by in evaluate.slices if by not in known]
    if not unknown:
        return None
    choices = " or ".join(map(repr, known))
    return f"evaluate.slices has {unknown[0]}; choose from {choices}, or name a column of the data in data.keep_columns"


def _kept(data: DataBase) -> Sequence[str]:
    return [str(name) for name in data.keep_columns] if isinstance(data, TabularData) else ()


@_rule
def _digest_fault(data: DataBase) -> str | None:
    if not isinstance(data, TabularData):
        return None
    for split in SPLITS:
        if getattr(data.sha256, split) is not None and getattr(data, split) is None:
            return (
                f"data.sha256.{split} is given, but data.{split}=null, so the split is carved out of train and has no files; "
                f"set data.{split}, or data.sha256.{split}=null"
            )
    return None


@_rule
def _sheet_fault(data: DataBase) -> str | None:
    if not isinstance(data, TabularData) or data.sheet is None or data.format in ("auto", "xlsx"):
        return None
    return (
        f"data.sheet={data.sheet!r} is for Excel workbooks, but data.format={data.format}; "
        "set data.sheet=null, or data.format=xlsx"
    )


@_rule
def _words_fault(data: DataBase) -> str | None:
    if not isinstance(data, TabularData) or labels_words(data.kind):
        return None
    if data.sentence_column is not None:
        return (
            f"data.sentence_column={data.sentence_column} is for token classification, but data.kind={data.kind}; "
            "set data.sentence_column=null"
        )
    if data.empty_words != "error":
        return (
            f"data.empty_words={data.empty_words} is for token classification, but data.kind={data.kind}; "
            "set data.empty_words=error"
        )
    return None


@_rule
def _several_labels_fault(data: DataBase) -> str | None:
    if not isinstance(data, TabularData) or takes_several_labels(data.kind, data.target):
        return None
    if isinstance(data.label_column, list):
        return (
            f"data.label_column is a list (a column for each label), but data.target={data.target}; "
            "choose task=multilabel, or name one column"
        )
    if data.label_separator is not None:
        return (
            f"data.label_separator={data.label_separator!r} is for several labels in a cell; "
            "choose task=multilabel, or set data.label_separator=null"
        )
    return None


@_rule
def _label_columns_fault(data: DataBase) -> str | None:
    if not isinstance(data, TabularData) or not isinstance(data.label_column, list):
        return None
    if len(set(data.label_column)) < len(data.label_column):
        return f"data.label_column={data.label_column}: a column occurs twice; name each once"
    if data.label_separator is not None:
        return (
            "data.label_column is a list (a column for each label), and data.label_separator is for labels in one column; "
            "drop one"
        )
    if data.ignore_labels:
        return (
            "data.ignore_labels is for labels in one column, and data.label_column is a list (a column for each label); "
            "drop one"
        )
    if data.label_names is None or (
        isinstance(data.label_names, list) and len(data.label_names) == len(data.label_column)
    ):
        return None
    return (
        "data.label_column is a list (a column for each label), so data.label_names must be null or a list with a name "
        "for each"
    )


@_rule
def _ignored_fault(data: DataBase) -> str | None:
    if not isinstance(data, TabularData) or not data.ignore_labels or not labels_words(data.kind):
        return None
    return f"data.ignore_labels is for labels of texts, but data.kind={data.kind}; set data.ignore_labels=[]"


@_rule
def _tensorflow_fault(export: ExportConfig) -> str | None:
    if not export.tensorflow or find_spec("tensorflow") is not None:
        return None
    return (
        "export.tensorflow=true: TensorFlow is not installed; run `python -m pip install --constraint constraints.txt "
        "'stagewright[tensorflow]'`, or set it to false"
    )
