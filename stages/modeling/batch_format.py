"""How a model takes a batch of rows: a file beside the model. Reading it imports no PyTorch."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from datasets import Dataset

from stages.columns.names import INPUT_IDS, TOKEN_TYPES
from stages.pipeline.errors import ModelError
from stages.pipeline.json_files import read_json

Side: TypeAlias = Literal["left", "right"]

_BATCH_FORMAT = "batch_format.json"


@dataclass(frozen=True)
class BatchFormat:
    """How a model takes a batch of rows. The download stage finds it out (`stages.modeling.model_probe`)."""

    padding_id: int
    """The id of the padding token."""
    token_types: bool = True
    """Whether the model is given token types. DistilBERT has none, RoBERTa only one; GPT-2 would take them for further tokens."""
    padding_side: Side = "right"
    """Where rows are padded. XLNet's head reads the last position, so its rows are padded on the left."""
    length_multiple: int = 1
    """The padded length is a multiple of this."""
    shortest: int = 1
    """The padded length is at least this. A pooling layer may leave nothing of a shorter row."""
    equal_lengths: bool = False
    """Whether logits depend on padding, as where a convolution reads it. Rows predicted together then have one length."""

    def columns(self, split: Dataset) -> list[str]:
        """Return the columns of the split that the model takes: `input_ids` and, where there are any, `token_type_ids`."""
        has_types = self.token_types and TOKEN_TYPES in split.column_names
        return [INPUT_IDS, TOKEN_TYPES] if has_types else [INPUT_IDS]


def write_batch_format(folder: Path, format: BatchFormat) -> None:
    """Write the format into the folder of a model."""
    (folder / _BATCH_FORMAT).write_text(json.dumps(asdict(format), indent=2) + "\n", encoding="utf-8")


def read_batch_format(folder: Path) -> BatchFormat:
    """Read the format from the folder of a model. Raise ModelError if the file is damaged, DataError if it is missing."""
    try:
        return BatchFormat(**read_json(folder / _BATCH_FORMAT))
    except TypeError as error:
        raise ModelError(f"{folder / _BATCH_FORMAT}: is damaged; run `dvc repro --force download`") from error
