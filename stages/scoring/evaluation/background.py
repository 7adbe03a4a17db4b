"""What is known of the test split besides its predictions."""

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from stages.columns.names import SECOND_TEXT, TAGS, TEXT
from stages.configuration.schema import EvaluateConfig
from stages.scoring.evaluation.slices import LENGTH, word_counts
from stages.scoring.evaluation.surfaces import training_surfaces
from stages.tags.spans import Integers


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
