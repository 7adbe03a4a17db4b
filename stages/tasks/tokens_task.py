"""Token classification: one tag for each word, read off one of the word's sub-words."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, List, Value
from numpy.typing import NDArray

from stages.columns.arrays import as_lists, flat, flat_strings, integers, lengths
from stages.columns.names import EXAMPLE, LABELS, TAGS, TOKENS, WORDS, label_names
from stages.configuration.schema import EntityScheme
from stages.pipeline.errors import DataError, ModelError
from stages.pipeline.json_files import read_json
from stages.scoring.core.entities import EntityPredictions, TaggedWords, predictions_of_tags, scheme_of
from stages.scoring.core.predicted import LabelPredictions
from stages.scoring.core.scores import require_defined
from stages.tags.schemes import spelled_out
from stages.tags.viterbi import has_legal_tags, most_probable_tags
from stages.tasks.task import Gold, OneLabelTask, Units, balanced_weights, split_of

_SCHEME_FILE = "tag_scheme.json"
_SCHEME = "scheme"
_MOST_SHOWN = 5
"""How many tags a message lists."""


@dataclass(frozen=True)
class TokensTask(OneLabelTask):
    """A unit is a word. If several windows hold it, it is read in the one where it has the most context."""

    scheme: EntityScheme | None = None
    """The scheme that `task.decode=viterbi` keeps to; names such as `B-PER` don't determine it. None if the tags have none."""

    pipeline = "token-classification"
    unit = "word"

    def model_class(self) -> Any:
        """Return the class with a head on every sub-word."""
        from transformers import AutoModelForTokenClassification  # imports PyTorch: see stages.tasks.objective

        return AutoModelForTokenClassification

    def class_weights(self, train: Dataset, names: Sequence[str]) -> NDArray[np.float32]:
        """Weigh each label by its inverse frequency among the sub-words that have one."""
        return balanced_weights(flat(train, LABELS), len(names))

    def stitched(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """Take each word's logits from the window in which it is furthest from an edge, and choose tags as `task.decode` says.

        Viterbi decodes whole sentences. Every word has logits: one without sub-words of its own has those of the unknown token.
        """
        example, word, chosen = _readings(tokenized)
        assert len(readings) == len(example)
        units = Units(example[chosen], word[chosen], readings[chosen])
        if self.config.decode == "argmax":
            return units
        assert self.scheme is not None, "`fitted_to` and `trained` have checked it"
        names = spelled_out(label_names(tokenized.features)[: readings.shape[1]])
        return replace(units, decoded=most_probable_tags(units.logits, _lengths(units), names, self.scheme))

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """Return the labels of the sub-words that words are read at."""
        example, _, chosen = _readings(tokenized)
        labels = flat(tokenized, LABELS)[flat(tokenized, WORDS) >= 0]
        return Gold(example[chosen], labels[chosen])

    def raw_gold(self, raw: Dataset) -> Gold:
        """Return the tag of every word."""
        length = lengths(raw, TAGS)
        return Gold(np.repeat(np.arange(len(length)), length), flat(raw, TAGS))

    def unlabelled(self, inputs: Mapping[str, pa.Array], names: Sequence[str]) -> Dataset:
        """Return sentences of words, each with the unknown tag -1."""
        of_sentences = pc.list_value_length(inputs[TOKENS]).to_numpy(zero_copy_only=False)
        unknown = as_lists(np.full(int(of_sentences.sum()), -1), of_sentences)
        features = {TOKENS: List(Value("string")), TAGS: List(ClassLabel(names=list(names)))}
        return split_of({**inputs, TAGS: unknown}, features)

    def predictions(self, units: Units, gold: Gold, names: Sequence[str]) -> EntityPredictions | LabelPredictions:
        """Return entities if the tags mark some (B-, I-, …), one label a word if they are plain, such as parts of speech."""
        words = TaggedWords(gold.label, units.predicted, _lengths(gold), names)
        return predictions_of_tags(
            words, self.rules, declared=names, losses=units.losses(gold.label), confidence=units.score
        )

    def require_metric(self, names: Sequence[str]) -> None:
        """Check the metric against the tags: what is defined depends on whether they mark entities."""
        nothing = np.zeros(0, np.int64)
        words = TaggedWords(nothing, nothing, nothing, names)
        require_defined(self.config.metric, predictions_of_tags(words, self.rules, declared=names).form)

    def fitted_to(self, train: Dataset) -> Self:
        """Return the task with the scheme: `evaluate.scheme`, or that of the tags of train.

        Raises DataError if they are in none, and `task.decode=viterbi`.
        """
        gold, names = self.tokenized_gold(train), spelled_out(label_names(train.features))
        words = TaggedWords(gold.label, gold.label, _lengths(gold), names)
        scheme = scheme_of(words, self.rules.scheme)
        if scheme != "conll" and has_legal_tags(names, scheme):
            return replace(self, scheme=scheme)
        if self.config.decode == "argmax":
            return self
        raise DataError(
            f"task.decode={self.config.decode} keeps to the scheme of the tags, and those of train ({_shown(names)}) are in "
            "none; set task.decode=argmax, or name their scheme in evaluate.scheme"
        )

    def write(self, folder: Path) -> None:
        """Write the scheme, if the tags are in one."""
        if self.scheme is not None:
            (folder / _SCHEME_FILE).write_text(json.dumps({_SCHEME: self.scheme}) + "\n", encoding="utf-8")

    def trained(self, folder: Path) -> Self:
        """Read the scheme. Raises ModelError if there is none, and `task.decode=viterbi`."""
        file = folder / _SCHEME_FILE
        scheme = read_json(file).get(_SCHEME) if file.is_file() else None
        if scheme in get_args(EntityScheme):
            return replace(self, scheme=scheme)
        if self.config.decode == "argmax":
            return self
        raise ModelError(
            f"{file}: {'names no scheme' if file.is_file() else 'is missing'}, so it is not known which tags may follow each "
            f"other; decode by argmax instead of {self.config.decode}, or, if the tags mark entities, train the model again"
        )

    def unit_columns(self, raw: Dataset, units: Units) -> dict[str, pa.Array]:
        """Return the sentence's id, the word's index in it, and the word."""
        ids = np.array(raw["id"][:], dtype=object)
        return {
            "id": pa.array(ids[units.example], pa.string()),
            "word": pa.array(units.word, pa.int32()),
            "token": flat_strings(raw, TOKENS),
        }

    def card_code(self, threshold: float | None) -> str:
        """Print a label for each sub-word."""
        return """for row, codes in zip(rows.encodings, logits.argmax(axis=-1)):
    print([(piece, labels[code]) for piece, code in zip(row.tokens, codes)])"""


def _lengths(words: Units | Gold) -> NDArray[np.int64]:
    """Return the number of words of each sentence that has any, [sentences]: the others have nothing to count or tag."""
    lengths: NDArray[np.int64] = np.unique(words.example, return_counts=True)[1]
    return lengths


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (", …" if len(names) > _MOST_SHOWN else "")


def _readings(tokenized: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the example and word of every reading, [readings], and the indices of the readings to keep, [units]."""
    words, length = flat(tokenized, WORDS), lengths(tokenized, WORDS)
    row = np.repeat(np.arange(len(length)), length)
    place = np.arange(len(words)) - np.repeat(np.cumsum(length) - length, length)
    context = np.minimum(place, length[row] - 1 - place)
    read = words >= 0
    example, word = integers(tokenized, EXAMPLE)[row[read]], words[read]
    return example, word, most_context(example, word, context[read])


def most_context(example: NDArray[np.int64], word: NDArray[np.int64], context: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of the reading with the largest `context` for each (example, word), in that order.

    Arrays have shape [readings]. Among equals the first reading wins.
    """
    order = np.lexsort((np.arange(len(example)), -context, word, example))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(example[order]) != 0) | (np.diff(word[order]) != 0)
    return order[first]
