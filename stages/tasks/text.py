"""Text classification: one label for a text."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, List, Value
from numpy.typing import NDArray

from stages.configuration.schema import Kind, TokenizeConfig
from stages.scoring.scores import Scores
from stages.tasks.base import EXAMPLE, INPUT_IDS, LABELS, Gold, Units
from stages.tasks.columns import integers
from stages.tasks.subwords import SubwordEncoder
from stages.tasks.windows import windows


class TextTask:
    """One label for a text; the logits of a long text's windows are averaged."""

    kind: Kind = "text"

    def label_names(self, split: Dataset) -> list[str]:
        """The labels in the order of their codes."""
        column = LABELS if LABELS in split.features else "label"
        return list(split.features[column].names)

    def tokenized_features(self, names: Sequence[str]) -> Features:
        """`example`, `input_ids` and one `labels` a row."""
        return Features({
            EXAMPLE: Value("int32"), INPUT_IDS: List(Value("int32")), LABELS: ClassLabel(names=list(names))
        })  # fmt: skip

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """One row a text, or a row a window where `overflow` is `windows`."""
        rows: dict[str, list[object]] = {EXAMPLE: [], INPUT_IDS: [], LABELS: []}
        texts = encoder.encode_texts(raw["text"][:])
        for example, (ids, label) in enumerate(zip(texts, raw["label"][:], strict=True), start=first_example):
            head = slice(0, encoder.capacity)
            for window in windows(len(ids), encoder, config.stride) if config.overflow == "windows" else [head]:
                rows[EXAMPLE].append(example)
                rows[INPUT_IDS].append(encoder.row(ids[window]))
                rows[LABELS].append(label)
        return rows

    def decode(self, tokenized: Dataset, readings: NDArray[np.float32]) -> Units:
        """The mean logits of each text's windows."""
        example, row_of_first, rows = np.unique(integers(tokenized, EXAMPLE), return_index=True, return_counts=True)
        assert len(readings) == rows.sum() and bool(np.all(np.diff(row_of_first) > 0))
        sums = np.add.reduceat(readings, row_of_first, axis=0)
        logits = (sums / rows[:, None]).astype(np.float32)
        return Units(example, np.zeros_like(example), logits)

    def tokenized_gold(self, tokenized: Dataset) -> Gold:
        """The label of each text's first row."""
        example, row_of_first = np.unique(integers(tokenized, EXAMPLE), return_index=True)
        return Gold(example, integers(tokenized, LABELS)[row_of_first])

    def raw_gold(self, raw: Dataset) -> Gold:
        """The label of each text."""
        labels = integers(raw, "label")
        return Gold(np.arange(len(labels)), labels)

    def score(self, units: Units, gold: Gold, names: Sequence[str]) -> Scores:
        """Accuracy, and precision, recall and F1: macro averages in the headline."""
        from stages.scoring.classification import score_labels

        return score_labels(units.predicted, gold.label, names, loss=units.loss(gold.label))

    def predictions(self, raw: Dataset, units: Units, names: Sequence[str]) -> pa.Table:
        """One row a text: `id`, `gold`, `predicted`, `score`."""
        labels = np.array(names, dtype=object)
        return pa.table(
            {
                "id": pa.array(raw["id"][:], pa.string()),
                "gold": pa.array(labels[self.raw_gold(raw).label], pa.string()),
                "predicted": pa.array(labels[units.predicted], pa.string()),
                "score": pa.array(units.score.round(6), pa.float64()),
            }
        )
