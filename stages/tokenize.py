"""Tokenize: the canonical data set to rows of sub-words, nothing padded, every word aligned to its label."""

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict, Features

from stages.configuration.schema import TokenizeStage
from stages.pipeline.arrow import load_splits, rows, save_splits
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json, write_json
from stages.pipeline.paths import BASE_TOKENIZER, RAW_DATA, TOKENIZE_METRICS, TOKENIZED_DATA
from stages.pipeline.stage import run_stage
from stages.tasks.base import EXAMPLE, INPUT_IDS, Task
from stages.tasks.columns import integers, lengths
from stages.tasks.dispatch import task_for
from stages.tasks.pairs import token_type_features
from stages.tasks.subwords import SubwordEncoder

BATCH = 1000
"""Examples encoded at once: bounds the memory that encodings take before they become Arrow."""


def tokenize(config: TokenizeStage) -> None:
    """Write `data/tokenized/` and `metrics/tokenize.json`."""
    raw = load_splits(RAW_DATA)
    task = task_for(config.task.kind, config.task.target, config.task.pooling)
    _require_kind(raw["train"], task)
    encoder = SubwordEncoder(BASE_TOKENIZER, config.tokenize.max_length, pretokenized=task.kind == "tokens")
    tokenized = DatasetDict({name: _tokenize_split(split, task, encoder, config) for name, split in raw.items()})
    save_splits(tokenized, TOKENIZED_DATA)
    write_json(TOKENIZE_METRICS, {str(name): _describe(split) for name, split in tokenized.items()})


def _tokenize_split(raw: Dataset, task: Task, encoder: SubwordEncoder, config: TokenizeStage) -> Dataset:
    features = Features({**task.tokenized_features(task.label_names(raw)), **token_type_features(raw, encoder)})
    parts = []
    for start in range(0, rows(raw), BATCH):
        batch = raw.select(range(start, min(start + BATCH, rows(raw))))
        columns = task.encode(batch, encoder, config.tokenize, first_example=start)
        parts.append(pa.table(columns, schema=features.arrow_schema))
    return Dataset(pa.concat_tables(parts))


def _require_kind(split: Dataset, task: Task) -> None:
    found = "tokens" if "tokens" in split.column_names else "text"
    if found != task.kind:
        raise DataError(
            f"{RAW_DATA}: holds data for task={found}, but task.kind={task.kind}; run `dvc repro` from download on"
        )


def _describe(split: Dataset) -> Json:
    """Rows, the examples that became several of them, and sub-words."""
    windows = np.unique(integers(split, EXAMPLE), return_counts=True)[1]
    subwords = lengths(split, INPUT_IDS)
    return {
        "rows": rows(split),
        "examples_in_windows": int((windows > 1).sum()),
        "subwords": int(subwords.sum()),
        "subwords_in_longest_row": int(subwords.max(initial=0)),
    }


if __name__ == "__main__":
    run_stage(tokenize, TokenizeStage)
