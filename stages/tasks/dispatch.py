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


def target_for(target: Target, threshold: float | None = None) -> UnitTarget:
    """What each unit is given. `threshold`: from which probability on a text has one of several labels, once chosen."""
    return LabelsTarget(threshold) if target == "labels" else _TARGETS[target]


def task_for(kind: Kind, target: Target = "label", pooling: Pooling = "mean", threshold: float | None = None) -> Task:
    """The task of this kind. Words have one label each; `target`, `pooling` and `threshold` are for texts."""
    return TextTask(target_for(target, threshold), pooling) if kind == "text" else TokensTask()
