"""What `metrics/download.json` and the data report say of a split."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.pipeline.json_files import Json, quantiles
from stages.sources.examples import LABEL, PAIR, TAGS, TEXT, TOKENS
from stages.sources.labels import NO_CODE
from stages.sources.values import list_lengths
from stages.tasks.schemes import are_entity_tags


@dataclass
class SplitSummary:
    """Counts over a split's examples, added batch by batch; labels are codes into `names`, or numbers where there are none."""

    names: Sequence[str]
    lengths: list[NDArray[np.int64]] = field(default_factory=list)
    """Words in each example."""
    entities: int = 0
    unlabelled: int = 0
    values: list[NDArray[np.float64]] = field(default_factory=list)
    counts: NDArray[np.int64] = field(init=False)
    """[labels]: how often each occurs."""

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.names), np.int64)

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Count the examples of a canonical batch."""
        self.lengths.append(words(batch))
        labels = batch[TAGS if TAGS in batch.schema.names else LABEL]
        if pa.types.is_floating(labels.type):
            self.values.append(labels.to_numpy())
            return
        codes = self.count(labels)
        if TAGS in batch.schema.names and self.has_entities:
            self.entities += _entities(codes, self.lengths[-1], self.names)

    def count(self, labels: pa.Array) -> NDArray[np.int64]:
        """Count labels alone; returns their codes, those of lists one list after the other."""
        codes = _flat(labels)
        self.unlabelled += int((codes == NO_CODE).sum())
        self.counts += np.bincount(codes[codes != NO_CODE], minlength=len(self.names))
        return codes

    @property
    def has_entities(self) -> bool:
        """Whether the labels are entity tags."""
        return are_entity_tags(self.names)

    @property
    def examples(self) -> int:
        """How many have been added."""
        return sum(map(len, self.lengths))

    @property
    def words(self) -> int:
        """How many they hold."""
        return int(sum(each.sum() for each in self.lengths))

    def to_json(self) -> dict[str, Json]:
        """As the metrics hold it."""
        found: dict[str, Json] = {"examples": self.examples, "words": self.words}
        if self.values:
            return found | {"words_per_example": self.quantiles(), "numbers": self._numbers()}
        if self.has_entities:
            found["entities"] = self.entities
        if self.unlabelled:
            found["unlabelled"] = self.unlabelled
        counts: Json = {name: int(count) for name, count in zip(self.names, self.counts, strict=True)}
        return found | {"words_per_example": self.quantiles(), "labels": counts}

    def quantiles(self) -> dict[str, Json]:
        """Words in an example: half have at most the median, 95 % at most p95."""
        return quantiles(np.concatenate(self.lengths))

    def _numbers(self) -> dict[str, Json]:
        values = np.concatenate(self.values)
        statistics = {"mean": values.mean(), "deviation": values.std(), "min": values.min(), "max": values.max()}
        return {name: float(value) for name, value in statistics.items()}


def words(batch: pa.RecordBatch | pa.Table) -> NDArray[np.int64]:
    """Words in each example: tokens, or what white space parts in its texts."""
    if TOKENS in batch.schema.names:
        return list_lengths(batch[TOKENS])
    texts = [name for name in (TEXT, PAIR) if name in batch.schema.names]
    total = np.zeros(batch.num_rows, np.int64)
    for name in texts:
        total += _words_in(batch[name])
    return total


def _words_in(texts: pa.Array) -> NDArray[np.int64]:
    trimmed = pc.utf8_trim_whitespace(texts)
    counts = list_lengths(pc.utf8_split_whitespace(trimmed))
    return np.where(_array(pc.binary_length(trimmed)) == 0, 0, counts)


def _entities(codes: NDArray[np.int64], lengths: NDArray[np.int64], names: Sequence[str]) -> int:
    """As CoNLL's script reads tags: B-, S- and U- always begin an entity, others where they do not continue one of their type."""
    outside = len(names)
    begins = np.array([[_begins_entity(last, tag) for tag in names] for last in [*names, "O"]])
    before = np.concatenate([[outside], codes[:-1]])
    starts = (np.cumsum(lengths) - lengths)[lengths > 0]
    before[starts] = outside
    return int(begins[before, codes].sum())


def _begins_entity(previous: str, tag: str) -> bool:
    prefix, _, entity = tag.partition("-")
    last_prefix, _, last_entity = previous.partition("-")
    return prefix in ("B", "S", "U") or (
        prefix in ("I", "E", "L") and (last_entity != entity or last_prefix in ("E", "S", "L", "U"))
    )


def _flat(labels: pa.Array) -> NDArray[np.int64]:
    return _array(pc.list_flatten(labels) if pa.types.is_list(labels.type) else labels)


def _array(values: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    array: NDArray[np.int64] = values.to_numpy(zero_copy_only=False).astype(np.int64)
    return array
