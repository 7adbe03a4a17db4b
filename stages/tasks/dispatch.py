"""The one place where the kind of task and its target are decided."""

from collections.abc import Mapping

from stages.configuration.schema import Kind, Pooling, Target
from stages.tasks.base import Task
from stages.tasks.targets.base import UnitTarget
from stages.tasks.targets.label import LabelTarget
from stages.tasks.targets.labels import LabelsTarget
from stages.tasks.targets.number import NumberTarget
from stages.tasks.text import TextTask
from stages.tasks.tokens import TokensTask

_TARGETS: Mapping[Target, UnitTarget] = {"label": LabelTarget(), "labels": LabelsTarget(), "number": NumberTarget()}


def target_for(target: Target) -> UnitTarget:
    """What each unit is given."""
    return _TARGETS[target]


def task_for(kind: Kind, target: Target = "label", pooling: Pooling = "mean") -> Task:
    """The task of this kind. Words have one label each; `target` and `pooling` are for texts."""
    return TextTask(target_for(target), pooling) if kind == "text" else TokensTask()
