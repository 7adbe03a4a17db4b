"""Accuracy, precision, recall and F1 of labels, by scikit-learn, as a local `evaluate` metric."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from stages.scoring.scores import Average, LabelScore, LabelScores


class LabelMetric(evaluate.Metric):
    """Scores of integer labels. Defined here and instantiated directly: `evaluate.load` would run code from the Hub."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Accuracy; precision, recall and F1 per label and averaged, as scikit-learn computes them.",
            citation="",
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, Any]:
        """Averages are over the labels that occur in either; a score without a denominator counts as 0."""
        predicted, gold = np.asarray(predictions), np.asarray(references)
        present = sorted(set(predicted.tolist()) | set(gold.tolist()))

        def scores(average: str | None) -> Any:
            return precision_recall_fscore_support(gold, predicted, labels=present, average=average, zero_division=0.0)

        per_label = zip(present, *(values.tolist() for values in scores(None)), strict=True)
        return {
            "accuracy": float(accuracy_score(gold, predicted)),
            "macro": Average(*map(float, scores("macro")[:3])),
            "weighted": Average(*map(float, scores("weighted")[:3])),
            "per_label": {label: LabelScore(p, r, f1, int(support)) for label, p, r, f1, support in per_label},
        }


def score_labels(
    predicted: NDArray[np.int64], gold: NDArray[np.int64], names: Sequence[str], *, loss: float
) -> LabelScores:
    """Score label codes, both of shape [units], into `names`."""
    result = LabelMetric(keep_in_memory=True).compute(predictions=predicted, references=gold)
    return LabelScores(
        accuracy=result["accuracy"],
        loss=loss,
        headline=result["macro"],
        macro=result["macro"],
        weighted=result["weighted"],
        per_label={names[code]: score for code, score in result["per_label"].items()},
    )
