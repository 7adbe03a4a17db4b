"""Entity-level precision, recall and F1, by seqeval, as a local `evaluate` metric."""

import re
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
from seqeval.metrics import accuracy_score, classification_report

from stages.scoring.scores import Average, LabelScore, LabelScores

_ENTITY_TAG = re.compile(r"[BIESLU]-.+")
_AS_IOBES = {"L": "E", "U": "S"}
"""BILOU's other names for the last word of an entity and for an entity of one word, which seqeval does not know."""
_AVERAGES = ("micro avg", "macro avg", "weighted avg")


class EntityMetric(evaluate.Metric):
    """seqeval in its default mode, which reads tags as CoNLL's script does.

    Defined here and instantiated directly: `evaluate.load` would run code from the Hub.
    """

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.List(datasets.Value("string"))
        return evaluate.MetricInfo(
            description="Precision, recall and F1 of entities, overall and per type; accuracy of tags (seqeval).",
            citation="",
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, Any]:
        accuracy = float(accuracy_score(references, predictions))
        if not _any_entity(predictions) and not _any_entity(references):
            return {"accuracy": accuracy, "report": {}}  # seqeval has no report for this
        report = classification_report(references, predictions, output_dict=True, zero_division=0)
        return {"accuracy": accuracy, "report": report}


def are_entity_tags(names: Sequence[str]) -> bool:
    """Whether labels are entity tags. Scored by seqeval, plain tags would turn into types of its own making ("OUN")."""
    return all(name == "O" or _ENTITY_TAG.fullmatch(name) for name in names) and any(name != "O" for name in names)


def score_entities(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], *, loss: float
) -> LabelScores:
    """Score sentences of tags against sentences of the same lengths."""
    result = EntityMetric(keep_in_memory=True).compute(
        predictions=_without_bilou(predictions), references=_without_bilou(references)
    )
    report = result["report"]
    micro, macro, weighted = (_average(report.get(name)) for name in _AVERAGES)
    return LabelScores(
        accuracy=result["accuracy"],
        loss=loss,
        headline=micro,
        macro=macro,
        weighted=weighted,
        per_label={name: _label_score(scores) for name, scores in report.items() if name not in _AVERAGES},
    )


def _without_bilou(sentences: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[_AS_IOBES.get(tag[:1], tag[:1]) + tag[1:] for tag in sentence] for sentence in sentences]


def _any_entity(sentences: Sequence[Sequence[str]]) -> bool:
    return any(tag != "O" for sentence in sentences for tag in sentence)


def _average(scores: dict[str, Any] | None) -> Average:
    if scores is None:
        return Average(0.0, 0.0, 0.0)
    return Average(float(scores["precision"]), float(scores["recall"]), float(scores["f1-score"]))


def _label_score(scores: dict[str, Any]) -> LabelScore:
    average = _average(scores)
    return LabelScore(average.precision, average.recall, average.f1, int(scores["support"]))
