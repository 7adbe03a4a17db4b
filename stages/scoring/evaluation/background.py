"""What is known of the test split besides its predictions, such as which of its entities are worded as some in train."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from stages.columns.names import SECOND_TEXT, TAGS, TEXT
from stages.configuration.schema import EvaluateConfig, SchemeChoice
from stages.pipeline.arrow import read_batches, read_features
from stages.scoring.evaluation.slices import LENGTH, word_counts
from stages.tags.schemes import are_entity_tags, spelled_out
from stages.tags.spans import Integers, Spans, TagSequences, spans_of, types_in


@dataclass(frozen=True)
class Background:
    """What scores need besides the predictions; what is not known is None."""

    seen: Set[str] | None = None
    """The wordings of the entities in train."""
    lengths: Integers | None = None
    """[examples]: the words of each; those of sentences are known without it."""
    threshold: float | None = None
    """The probability from which on a text was said to have a label."""


def background_of(raw: Dataset, folder: Path, config: EvaluateConfig, threshold: float | None) -> Background:
    """Read it off `raw`, the test split of the raw data in `folder`, and off their train split."""
    if TAGS in raw.column_names:
        return Background(seen=training_surfaces(folder, config.scheme), threshold=threshold)
    if LENGTH not in config.slices:
        return Background(threshold=threshold)
    seconds = raw[SECOND_TEXT] if SECOND_TEXT in raw.column_names else None
    return Background(lengths=word_counts(raw[TEXT], seconds), threshold=threshold)


def surfaces(spans: Spans, words: Sequence[str]) -> list[str]:
    """Return the text of each entity, case-folded. `words`: those of all sentences."""
    places = zip(spans.start.tolist(), spans.end.tolist(), strict=True)
    return [" ".join(words[start:end]).casefold() for start, end in places]


def are_seen(spans: Spans, words: Sequence[str], seen: Set[str]) -> NDArray[np.bool_]:
    """Return whether the text of each entity is one of `seen`, [entities]."""
    return np.array([surface in seen for surface in surfaces(spans, words)], bool)


def training_surfaces(raw: Path, scheme: SchemeChoice = "auto") -> frozenset[str]:
    """Return the texts of all entities in a raw data set's train split; empty if its tags mark none."""
    names = spelled_out(read_features(raw, "train")["tags"].feature.names)
    if scheme == "plain" or not are_entity_tags(names):
        return frozenset()
    return frozenset(_surfaces_of(read_batches(raw, "train"), names))


def _surfaces_of(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[str]:
    types, outside = types_in(names), [*names, "O"]
    for batch in batches:
        codes = pc.list_flatten(batch["tags"]).to_numpy(zero_copy_only=False).astype(np.int64)
        codes[codes < 0] = len(names)  # not labelled
        lengths = pc.list_value_length(batch["tags"]).to_numpy(zero_copy_only=False).astype(np.int64)
        spans = spans_of(TagSequences(codes, lengths, outside), types, "conll")
        yield from surfaces(spans, pc.list_flatten(batch["tokens"]).to_pylist())
