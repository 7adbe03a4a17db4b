"""The one place where the kind of task and its target decide how logits are read."""

from stages.configuration.schema import Kind, Pooling, Target
from stages.tasks.decoding.base import Decoding
from stages.tasks.decoding.label import LabelTarget
from stages.tasks.decoding.labels import LabelsTarget
from stages.tasks.decoding.number import NumberTarget
from stages.tasks.decoding.target import TextTarget
from stages.tasks.decoding.text import TextDecoding
from stages.tasks.decoding.tokens import TokensDecoding


def target_for(target: Target, threshold: float | None = None) -> TextTarget:
    """What each text is given. `threshold`: from which probability on it has one of several labels, once chosen."""
    match target:
        case "label":
            return LabelTarget()
        case "labels":
            return LabelsTarget(threshold)
        case "number":
            return NumberTarget()


def decoding_for(
    kind: Kind, target: Target = "label", pooling: Pooling = "mean", threshold: float | None = None
) -> Decoding:
    """How this kind of task reads logits. Words have one label each; the other arguments are for texts."""
    return TextDecoding(target_for(target, threshold), pooling) if kind == "text" else TokensDecoding()
