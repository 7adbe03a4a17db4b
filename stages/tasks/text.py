"""Text classification and regression: one label, several, or a number for a text or a pair of texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

from stages.configuration.schema import Kind, Pooling, TokenizeConfig
from stages.scoring.predictions import Description, described
from stages.scoring.scores import Scores
from stages.tasks.base import EXAMPLE, INPUT_IDS, LABELS, SUBWORDS, TOKEN_TYPES, Gold, Units
from stages.tasks.columns import integers
from stages.tasks.pairs import SECOND_TEXT, pair_rows
from stages.tasks.subwords import Ids, SubwordEncoder
from stages.tasks.targets.base import UnitTarget
from stages.tasks.targets.label import LabelTarget
from stages.tasks.windows import shared, windows

_LABEL = "label"
"""The column of a raw split that holds what texts are labelled with."""


@dataclass(frozen=True)
class TextTask:
    """What `target` says for a text; the logits of a long text's windows become one by `pooling`."""

    target: UnitTarget = field(default_factory=LabelTarget)
    pooling: Pooling = "mean"
    kind: Kind = "text"

    def label_names(self, split: Dataset) -> list[str]:
        """The labels in the order of their codes."""
        column = LABELS if LABELS in split.features else _LABEL
        return self.target.names(split.features[column])

    def tokenized_features(self, names: Sequence[str]) -> Features:
        """`example`, `subwords`, `input_ids` and `labels`."""
        return Features({
            EXAMPLE: Value("int32"),
            SUBWORDS: Value("int32"),
            INPUT_IDS: List(Value("int32")),
            LABELS: self.target.feature(names),
        })  # fmt: skip

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """One row a text or pair, or a row a window where `overflow` is `windows`; token types for pairs alone."""
        encoded = _pairs(raw, encoder, config) if SECOND_TEXT in raw.column_names else _texts(raw, encoder, config)
        rows: dict[str, list[object]] = {EXAMPLE: [], SUBWORDS: [], INPUT_IDS: [], TOKEN_TYPES: [], LABELS: []}
        for example, ((subwords, windows_of_one), label) in enumerate(
            zip(encoded, raw[_LABEL][:], strict=True), first_example
        ):
            for ids, types in windows_of_one:
                rows[EXAMPLE].append(example)
                rows[SUBWORDS].append(subwords)
                rows[INPUT_IDS].append(ids)
                rows[TOKEN_TYPES].append(types)
                rows[LABELS].append(label)
        return rows

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """One row of logits a text: the mean or the largest of its windows', or those of the first."""
        example, row_of_first, rows = np.unique(integers(tokenized, EXAMPLE), return_index=True, return_counts=True)
        assert len(readings) == rows.sum() and bool(np.all(np.diff(row_of_first) > 0))
        logits = _pooled(readings, row_of_first, rows, self.pooling)
        return Units(example, np.zeros_like(example), logits)

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """The truth of each text's first row."""
        example, row_of_first = np.unique(integers(tokenized, EXAMPLE), return_index=True)
        return Gold(example, self.target.gold(tokenized, LABELS)[row_of_first])

    def raw_gold(self, raw: Dataset) -> Gold:
        """The truth of each text."""
        gold = self.target.gold(raw, _LABEL)
        return Gold(np.arange(len(gold)), gold)

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """The target's scores."""
        return self.target.score(units, gold.label, names)

    def predictions(self, raw: Dataset, units: Units, names: Sequence[str]) -> pa.Table:
        """One row a text: `id`, and what the target says of it."""
        ids = pa.array(raw["id"][:], pa.string())
        table = pa.table({"id": ids, **self.target.columns(units, self.raw_gold(raw).label, names)})
        return described(table, Description(self.kind, self.target.name, names))


_Encoded = tuple[int, list[tuple[Ids, NDArray[np.int8] | None]]]
"""How many sub-words an example has, and for each of its rows the sub-words, and token types where there are any."""


def _texts(raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig) -> Iterator[_Encoded]:
    specials = encoder.max_length - encoder.capacity
    for ids in encoder.encode_texts(raw["text"][:]):
        yield len(ids) + specials, [(encoder.row(ids[window]), None) for window in _windows(ids, encoder, config)]


def _windows(ids: Ids, encoder: SubwordEncoder, config: TokenizeConfig) -> list[slice]:
    if config.overflow == "truncate":
        return [slice(0, encoder.capacity)]
    return windows(len(ids), encoder, shared(config.stride, encoder))


def _pairs(raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig) -> Iterator[_Encoded]:
    specials = encoder.pair_template.specials
    first, second = (encoder.encode_texts(raw[column][:]) for column in ("text", SECOND_TEXT))
    for a, b in zip(first, second, strict=True):
        yield len(a) + len(b) + specials, [*pair_rows(a, b, encoder, config)]


def _pooled(
    readings: NDArray[np.float32], row_of_first: NDArray[np.int64], rows: NDArray[np.int64], pooling: Pooling
) -> NDArray[np.float32]:
    """[texts, labels], from [rows, labels] and where each text's rows begin and how many there are, [texts]."""
    if pooling == "first":
        return readings[row_of_first]
    if pooling == "max":
        largest: NDArray[np.float32] = np.maximum.reduceat(readings, row_of_first, axis=0)
        return largest
    sums = np.add.reduceat(readings, row_of_first, axis=0)
    mean: NDArray[np.float32] = (sums / rows[:, None]).astype(np.float32)
    return mean
