"""The recorded scores as local metrics of the `evaluate` library: tokens by seqeval, texts by scikit-learn.

They are defined here and instantiated directly: `evaluate.load` would fetch and run code from the Hub. The stages record
these numbers, and check that the sums over examples, from which intervals, slices and comparisons are made, give the
same ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import datasets
import evaluate
import numpy as np
from seqeval import scheme as seqeval_schemes
from seqeval.metrics import accuracy_score, sequence_labeling, v1
from sklearn import metrics as sklearn_metrics

from stages.scoring.core.entities import EntityPredictions, TaggedWords
from stages.scoring.core.predicted import LabelPredictions, LabelSetPredictions, Predictions
from stages.tags.spans import Reading

_SCHEMES: Mapping[Reading, Any] = {
    "iob1": seqeval_schemes.IOB1,
    "iob2": seqeval_schemes.IOB2,
    "ioe1": seqeval_schemes.IOE1,
    "ioe2": seqeval_schemes.IOE2,
    "iobes": seqeval_schemes.IOBES,
    "bilou": seqeval_schemes.BILOU,
}


class LabelMetric(evaluate.Metric):
    """Accuracy, and macro-averaged precision, recall and F1 of integer labels, by scikit-learn."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy; macro-averaged precision, recall and F1", datasets.Value("int64"))

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, float]:
        return _by_sklearn(np.asarray(references), np.asarray(predictions))


class LabelSetMetric(evaluate.Metric):
    """Subset accuracy, and macro-averaged precision, recall and F1 of rows of 0 and 1, by scikit-learn."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("subset accuracy; macro-averaged precision, recall and F1", datasets.List(datasets.Value("int64")))

    def _compute(self, predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> dict[str, float]:
        return _by_sklearn(np.asarray(references), np.asarray(predictions))


class EntityMetric(evaluate.Metric):
    """Precision, recall and F1 of entities, and accuracy of tags, by seqeval: as CoNLL's script, or strictly by a scheme."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("precision, recall and F1 of entities; accuracy of tags", datasets.List(datasets.Value("string")))

    def _compute(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        reading: Reading = "conll",
    ) -> dict[str, float]:
        given: dict[str, Any] = {"average": "micro", "zero_division": 0}
        if reading == "conll":
            scores = sequence_labeling.precision_recall_fscore_support(references, predictions, **given)
        else:
            scores = v1.precision_recall_fscore_support(references, predictions, scheme=_SCHEMES[reading], **given)
        found = dict(zip(("precision", "recall", "f1"), map(float, scores), strict=False))
        return {"accuracy": float(accuracy_score(references, predictions)), **found}


def score_by_packages(predictions: Predictions) -> dict[str, float]:
    """Compute accuracy, precision, recall and F1 of predictions by the packages; nothing of numbers.

    Label sets of a single label are left out: scikit-learn takes their one column for labels 0 and 1.
    """
    if isinstance(predictions, EntityPredictions):
        return _of_entities(predictions)
    if isinstance(predictions, LabelPredictions):
        return _computed(LabelMetric, predictions.predicted, predictions.gold)
    if isinstance(predictions, LabelSetPredictions) and len(predictions.names) > 1:
        return _computed(LabelSetMetric, predictions.predicted.astype(int), predictions.gold.astype(int))
    return {}


def _of_entities(predictions: EntityPredictions) -> dict[str, float]:
    """Score entities, read off the tags as `TaggedWords.as_entity_tags` spells them. Accuracy is of the original tags."""
    tags = predictions.tags_read_in(predictions.reading)
    if predictions.reading == "conll":
        tags = replace(tags, names=[_as_iobes(name) for name in tags.names])
    predicted, gold = _sentences(tags)
    found = EntityMetric(keep_in_memory=True).compute(
        predictions=predicted, references=gold, reading=predictions.reading
    )
    predicted, gold = _sentences(predictions.words)
    return {**found, "accuracy": float(accuracy_score(gold, predicted))}


def _as_iobes(tag: str) -> str:
    """Spell BILOU's prefixes as IOBES's, which seqeval's default mode and CoNLL's script know."""
    return {"L-": "E-", "U-": "S-"}.get(tag[:2], tag[:2]) + tag[2:]


def _sentences(words: TaggedWords) -> list[list[list[str]]]:
    """Return the predicted and the gold tags of each sentence."""
    names, ends = np.array(words.names, dtype=object), np.cumsum(words.lengths)[:-1]
    return [[part.tolist() for part in np.split(names[codes], ends)] for codes in (words.predicted, words.gold)]


def _computed(metric: type[evaluate.Metric], predicted: Any, gold: Any) -> dict[str, float]:
    found: dict[str, float] = metric(keep_in_memory=True).compute(predictions=predicted, references=gold)
    return found


def _by_sklearn(gold: Any, predicted: Any) -> dict[str, float]:
    averaged = sklearn_metrics.precision_recall_fscore_support(gold, predicted, average="macro", zero_division=0)
    found = dict(zip(("precision", "recall", "f1"), map(float, averaged), strict=False))
    return {"accuracy": float(sklearn_metrics.accuracy_score(gold, predicted)), **found}


def _info(scores: str, features: Any) -> evaluate.MetricInfo:
    return evaluate.MetricInfo(
        description=scores,
        citation="",
        features=datasets.Features({"predictions": features, "references": features}),
    )
