"""Data sets in memory, on disk as the stages write them."""

from collections.abc import Mapping
from pathlib import Path

from datasets import Dataset

from stages.pipeline.arrow import ROWS, write_splits


def save_splits(splits: Mapping[str, Dataset], path: Path) -> None:
    """Write splits, each with its features."""
    batches = {str(name): split.with_format("arrow").iter(ROWS) for name, split in splits.items()}
    write_splits(batches, {str(name): split.features for name, split in splits.items()}, path)
