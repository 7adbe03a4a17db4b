"""Scores of small predictions, as the stages compute them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stages.scoring.core.entities import EntityPredictions, TaggedWords, predictions_of_tags
from stages.scoring.core.predicted import LabelPredictions, LabelSetPredictions, NumberPredictions, ScoringRules
from stages.scoring.core.scores import Average, Scores, scores_of
from stages.tags.spans import Reading

Tags = Sequence[Sequence[str]]


def score_labels(predicted: Any, gold: Any, names: Sequence[str], *, loss: float | None = None) -> Scores:
    """Scores of label codes, [units]; each unit has the same loss."""
    losses = None if loss is None else np.full(len(gold), loss)
    return scores_of(LabelPredictions(gold, predicted, names, losses=losses))


def score_label_sets(
    predicted: Any, gold: Any, names: Sequence[str], *, loss: float | None = None, threshold: float | None = None
) -> Scores:
    """Scores of which labels each text has, [texts, labels]."""
    losses = None if loss is None else np.full(len(gold), loss)
    return scores_of(LabelSetPredictions(gold, predicted, names, losses, threshold=threshold))


def score_numbers(predicted: Any, gold: Any) -> Scores:
    """Scores of numbers, [texts]."""
    return scores_of(NumberPredictions(gold, predicted))


def tagged_words(predictions: Tags, references: Tags) -> TaggedWords:
    """Sentences of tags as arrays. Both have the same lengths."""
    lengths = np.array([len(tags) for tags in references], np.int64)
    assert lengths.tolist() == [len(tags) for tags in predictions]
    both = [tag for side in (references, predictions) for tags in side for tag in tags]
    encoded = pa.array(both, pa.string()).dictionary_encode()
    gold, predicted = np.split(encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), 2)
    return TaggedWords(gold, predicted, lengths, encoded.dictionary.to_pylist())


def score_entities(predicted: Tags, gold: Tags, *, loss: float | None = None, reading: Reading = "conll") -> Scores:
    """Scores of sentences of entity tags, read as `reading` says."""
    words = tagged_words(predicted, gold)
    losses = None if loss is None else np.full(len(words.gold), loss)
    return scores_of(of_entities(words, reading, losses))


def of_entities(words: TaggedWords, reading: Reading = "conll", losses: Any = None) -> EntityPredictions:
    """Predictions of entities, whatever the tags are."""
    entity_tags, strays = words.as_entity_tags()
    scheme = "auto" if reading == "conll" else reading
    return EntityPredictions(words, entity_tags, reading, scheme, strays, losses)


def of_tags(predicted: Tags, gold: Tags, rules: ScoringRules | None = None) -> EntityPredictions | LabelPredictions:
    """Predictions of words, of the kind that their gold tags say."""
    return predictions_of_tags(tagged_words(predicted, gold), rules or ScoringRules())


def headline(scores: Scores) -> Average:
    """The precision, recall and F1 that runs are compared by."""
    return Average(*(scores.metrics[name] for name in ("precision", "recall", "f1")))  # type: ignore[arg-type]
