"""A kind of task that only tests know: texts graded on an ordered scale. Importing this module registers it.

The end of a text is what counts, the model is trained on the squared distance of the mean grade from the gold one, and the
grade nearest to the mean is predicted, even where another is more probable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from numpy.typing import NDArray

from stages.configuration.kinds import KindRules, TargetRules, register_kind
from stages.configuration.schema import TokenizeConfig
from stages.scoring.core.predicted import LabelPredictions
from stages.tasks.encoding.encodings import register_encoding
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.encoding.text_encoding import TextEncoding
from stages.tasks.registry import register_task
from stages.tasks.task import Answers, Gold, Units
from stages.tasks.text_task import TextLabelTask

KIND = "grade"


class EndEncoding(TextEncoding):
    """One row a text: its last window."""

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """Encode all windows, and keep the last of each text."""
        columns = super().encode(raw, encoder, config, first_example=first_example)
        last = np.append(np.diff(np.array(columns["example"])) > 0, True)
        return {
            name: [value for value, kept in zip(values, last, strict=True) if kept] for name, values in columns.items()
        }


class GradeTask(TextLabelTask):
    """Grades are codes; the most probable one does not matter."""

    problem_type = None

    def loss(
        self, logits: torch.Tensor, labels: torch.Tensor, *, weights: torch.Tensor | None, label_smoothing: float
    ) -> torch.Tensor:
        """The squared distance of the mean grade from the gold one."""
        mean = logits.softmax(-1) @ torch.arange(logits.shape[-1], dtype=logits.dtype, device=logits.device)
        return (mean - labels).square().sum()

    def predictions(self, units: Units, gold: Gold, names: Sequence[str]) -> LabelPredictions:
        """The grades that are nearest to the mean."""
        likely = replace(super().predictions(units, gold, names), losses=distances(units, gold))
        return replace(likely, predicted=nearest(units), confidence=confidence(units))

    def answers(self, units: Units, gold: Gold, known: NDArray[np.bool_], names: Sequence[str]) -> Answers:
        """The same by name."""
        answers = super().answers(units, gold, known, names)
        predicted = pa.array([names[code] for code in nearest(units)])
        return replace(answers, predicted=predicted, score=confidence(units), loss=distances(units, gold))

    def card_code(self, threshold: float | None) -> str:
        """Print the mean grade."""
        return "print((np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)) @ np.arange(len(labels)))"


def mean_grade(units: Units) -> NDArray[np.float64]:
    """[texts]: the mean of the grades by their probabilities."""
    mean: NDArray[np.float64] = np.exp(units.log_probabilities) @ np.arange(units.logits.shape[1])
    return mean


def nearest(units: Units) -> NDArray[np.int64]:
    """[texts]: the code of the grade that is nearest to the mean."""
    return np.rint(mean_grade(units)).astype(np.int64)


def confidence(units: Units) -> NDArray[np.float64]:
    """[texts]: the probability of that grade."""
    probabilities: NDArray[np.float64] = np.exp(units.log_probabilities[np.arange(len(units.logits)), nearest(units)])
    return probabilities


def distances(units: Units, gold: Gold) -> NDArray[np.float64]:
    """[texts]: the squared distance of the mean grade from the gold one."""
    squared: NDArray[np.float64] = np.square(mean_grade(units) - gold.label)
    return squared


register_kind(KIND, KindRules({"label": TargetRules(KIND, metrics=("accuracy", "loss"))}))
register_encoding(KIND, EndEncoding())
register_task(KIND, "label", GradeTask)
