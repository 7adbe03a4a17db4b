"""Data sets on disk whose bytes depend on their content alone."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict, disable_progress_bars, load_from_disk
from datasets.exceptions import DatasetNotFoundError

from stages.pipeline.errors import DataError
from stages.pipeline.outputs import whole_directory


def save_splits(splits: DatasetDict, path: Path) -> None:
    """Write `splits` for `datasets.load_from_disk`.

    What `Dataset.save_to_disk` writes follows from how the object was made: its record batches, notes on its source,
    and in `state.json` a fingerprint of the source's path and modification time. DVC would see a new output. Here
    the rows are laid out anew, and the fingerprint is a digest of them.
    """
    disable_progress_bars()
    with whole_directory(path) as folder:
        DatasetDict({name: _laid_out_anew(split) for name, split in splits.items()}).save_to_disk(folder)
        for state in sorted(folder.glob("*/state.json")):
            _fingerprint_by_content(state)


def load_splits(path: Path) -> DatasetDict:
    """Read what `save_splits` wrote. Raises DataError if it is missing or not whole.

    Arrow reads a file that is cut off between two batches of rows, or zeroed in part, without an error.
    """
    try:
        splits = load_from_disk(str(path))
        damaged = [state for state in path.glob("*/state.json") if _read(state)["_fingerprint"] != _digest(state)]
    except (FileNotFoundError, DatasetNotFoundError, OSError, ValueError) as error:
        raise DataError(f"{path}: can't be read ({_first_line(error)}); run `dvc repro` to make it again") from error
    if damaged:
        raise DataError(f"{damaged[0].parent}: is not what was written; run `dvc repro` to make it again")
    assert isinstance(splits, DatasetDict)
    return splits


def rows(split: Dataset) -> int:
    """How many rows a split has (`len` is untyped in datasets)."""
    return int(split.num_rows)


def _laid_out_anew(split: Dataset) -> Dataset:
    table = split.with_format("arrow")[:]
    copy = table.take(pa.array(range(rows(split)))).combine_chunks()
    return Dataset(copy.cast(split.features.arrow_schema))


def _fingerprint_by_content(state: Path) -> None:
    content = _read(state) | {"_fingerprint": _digest(state)}
    state.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _digest(state: Path) -> str:
    """A digest of a split's rows."""
    digest = hashlib.sha256()
    for file in _read(state)["_data_files"]:
        digest.update((state.parent / file["filename"]).read_bytes())
    return digest.hexdigest()[:16]


def _read(state: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
    return content


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
