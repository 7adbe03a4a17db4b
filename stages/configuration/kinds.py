"""The kinds of task that a configuration can name, and what of each decides whether a configuration makes sense.

What a kind computes is in its `stages.tasks.task.Task`. This much is here because every stage validates the whole
configuration before it imports anything slow. Other code adds a kind of its own with `register_kind`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class TargetRules:
    """What `task.target` means for the rest of the configuration."""

    choice: str
    """The choice `task=CHOICE` that sets this target."""
    metrics: tuple[str, ...]
    """The choices of `task.metric`."""
    has_several: bool = False
    """Whether an example may have any number of labels."""
    has_labels: bool = True
    """Whether there are labels, which `train.class_weights` weighs and `evaluate.slices` names."""
    takes_smoothing: bool = False
    """Whether `train.label_smoothing` can spread the probability of one label over the others."""


@dataclass(frozen=True)
class KindRules:
    """What `task.kind` and `data.kind` mean for the rest of the configuration and for the data."""

    targets: Mapping[str, TargetRules]
    """The choices of `task.target`, and what each means."""
    labels_words: bool = False
    """Whether examples are words with a tag each (`tokens`, `tags`), and not texts with a label (`text`, `label`)."""


_KINDS: dict[str, KindRules] = {}


def register_kind(kind: str, rules: KindRules) -> None:
    """Let configurations name a kind of task."""
    assert kind not in _KINDS, f"{kind} is registered already"
    _KINDS[kind] = rules


def registered_kinds() -> Mapping[str, KindRules]:
    """Return every kind that is registered, with its rules."""
    return dict(_KINDS)


def rules_of(kind: str) -> KindRules:
    """Return the rules of a kind that is registered."""
    return _KINDS[kind]


def target_rules(kind: str, target: str) -> TargetRules | None:
    """Return the rules of a target; None if the kind does not have it."""
    return _KINDS[kind].targets.get(target)


def takes_several_labels(kind: str, target: str) -> bool:
    """Whether an example of this kind and target may have any number of labels."""
    rules = target_rules(kind, target)
    return rules is not None and rules.has_several


def labels_words(kind: str) -> bool:
    """Whether data of this kind are words with a tag each, and not texts with a label."""
    return _KINDS[kind].labels_words


def is_known(kind: str) -> bool:
    """Whether a kind is registered."""
    return kind in _KINDS


def known_kind(kind: str) -> str:
    """Return `kind`, or raise what pydantic raises for a value that is none of the choices."""
    if kind in _KINDS:
        return kind
    *others, last = map(repr, _KINDS)
    choices = f"{', '.join(others)} or {last}"
    raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": choices})


_OF_LABELS = ("accuracy", "precision", "recall", "f1", "loss", "micro_f1", "macro_f1", "weighted_f1")
_OF_PROBABILITIES = ("roc_auc", "average_precision")
_OF_ONE_LABEL = ("balanced_accuracy", "mcc")
# what can be computed is in `stages.scoring.core.metrics`, which a test holds these to
register_kind(
    "text",
    KindRules(
        targets={
            "label": TargetRules(
                "text",
                (*_OF_LABELS, *_OF_ONE_LABEL, *_OF_PROBABILITIES, "calibration_error"),
                takes_smoothing=True,
            ),
            "labels": TargetRules("multilabel", (*_OF_LABELS, *_OF_PROBABILITIES), has_several=True),
            "number": TargetRules("regression", ("mse", "mae", "pearson", "spearman", "loss"), has_labels=False),
        }
    ),
)
register_kind(
    "tokens",
    KindRules(
        targets={
            "label": TargetRules("tokens", (*_OF_LABELS, *_OF_ONE_LABEL, "calibration_error"), takes_smoothing=True)
        },
        labels_words=True,
    ),
)
