"""Our scores as local `evaluate` metrics.

For code that works with that library. They are defined here and instantiated directly: `evaluate.load` would fetch
and run code from the Hub. The numbers are those of `score_labels` and `score_entities`, which the stages call.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from stages.scoring.headline.classification import score_labels
from stages.scoring.headline.entities import score_entities


class LabelMetric(evaluate.Metric):
    """Scores of integer labels, which are scikit-learn's."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Accuracy; precision, recall and F1 per label and averaged, as scikit-learn computes them.",
            citation="",
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(
        self, predictions: Sequence[int], references: Sequence[int], names: Sequence[str], loss: float | None = None
    ) -> dict[str, Any]:
        codes = np.asarray(predictions, np.int64), np.asarray(references, np.int64)
        return {"scores": score_labels(*codes, names, loss=loss)}


class EntityMetric(evaluate.Metric):
    """Scores of entities, which are those of seqeval in its default mode, and so of CoNLL's script."""

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.List(datasets.Value("string"))
        return evaluate.MetricInfo(
            description="Precision, recall and F1 of entities, overall and per type; accuracy of tags.",
            citation="",
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(
        self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], loss: float | None = None
    ) -> dict[str, Any]:
        return {"scores": score_entities(predictions, references, loss=loss)}
