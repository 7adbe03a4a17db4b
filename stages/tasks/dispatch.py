"""The one place where the kind of task is decided."""

from stages.configuration.schema import Kind
from stages.tasks.base import Task
from stages.tasks.text import TextTask
from stages.tasks.tokens import TokensTask


def task_for(kind: Kind) -> Task:
    """The task of this kind."""
    return TextTask() if kind == "text" else TokensTask()
