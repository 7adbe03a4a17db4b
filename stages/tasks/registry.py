"""The one place where the configuration's kind of task and target decide what a task is."""

from collections.abc import Callable
from typing import TypeAlias

from stages.configuration.schema import SchemeChoice, ScoringMode, TaskConfig
from stages.scoring.core.predicted import ScoringRules
from stages.tasks.task import Task
from stages.tasks.text_task import TextLabelsTask, TextLabelTask, TextNumberTask
from stages.tasks.tokens_task import TokensTask

Factory: TypeAlias = Callable[[TaskConfig, ScoringRules], Task]

_TASKS: dict[tuple[str, str], Factory] = {
    ("text", "label"): TextLabelTask,
    ("text", "labels"): TextLabelsTask,
    ("text", "number"): TextNumberTask,
    ("tokens", "label"): TokensTask,
}


def register_task(kind: str, target: str, factory: Factory) -> None:
    """Let `task_for` make another task. See `register_kind` and `register_encoding` for what else a kind needs."""
    assert (kind, target) not in _TASKS, f"{kind}, {target} is registered already"
    _TASKS[kind, target] = factory


def task_for(config: TaskConfig, mode: ScoringMode = "conll", scheme: SchemeChoice = "auto") -> Task:
    """Make the task that the configuration names. `mode` and `scheme`: `evaluate`'s, by which entities are scored."""
    return _TASKS[config.kind, config.target](config, ScoringRules(config.metric, mode, scheme))
