"""Data sets on disk whose bytes depend on their content alone."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, DatasetDict, disable_progress_bars, load_from_disk
from datasets.exceptions import DatasetNotFoundError

from stages.pipeline.errors import DataError
from stages.pipeline.json_files import read_json
from stages.pipeline.outputs import whole_directory

_STATE = "state.json"


def save_splits(splits: DatasetDict, path: Path) -> None:
    """Write `splits` for `datasets.load_from_disk`.

    What `Dataset.save_to_disk` writes follows from how the object was made: its record batches, notes on its source,
    and in `state.json` a fingerprint of the source's path and modification time. DVC would see a new output. Here
    the rows are laid out anew, and the fingerprint is a digest of them.
    """
    disable_progress_bars()
    with whole_directory(path) as folder:
        DatasetDict({name: _laid_out_anew(split) for name, split in splits.items()}).save_to_disk(folder)
        for name in splits:
            _fingerprint_by_content(folder / name)


def load_splits(path: Path) -> DatasetDict:
    """Read what `save_splits` wrote, every split of it. Raises DataError if it is missing or not whole."""
    try:
        names = read_json(path / "dataset_dict.json")["splits"]
    except KeyError as error:
        raise DataError(f"{path}: does not name its splits; run `dvc repro` to make it again") from error
    return DatasetDict({name: load_split(path, name) for name in names})


def load_split(path: Path, name: str) -> Dataset:
    """Read one split of what `save_splits` wrote. Raises DataError if it is missing or not whole.

    Arrow reads a file that is cut off between two batches of rows, or zeroed in part, without an error.
    """
    folder = path / name
    try:
        split = load_from_disk(str(folder))
        is_whole = read_json(folder / _STATE)["_fingerprint"] == _digest(folder)
    except (FileNotFoundError, DatasetNotFoundError, OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder}: can't be read ({_first_line(error)}); run `dvc repro` to make it again") from error
    if not is_whole:
        raise DataError(f"{folder}: is not what was written; run `dvc repro` to make it again")
    assert isinstance(split, Dataset)
    return split


def rows(split: Dataset) -> int:
    """How many rows a split has (`len` is untyped in datasets)."""
    return int(split.num_rows)


def _laid_out_anew(split: Dataset) -> Dataset:
    table = split.with_format("arrow")[:]
    copy = table.take(pa.array(range(rows(split)))).combine_chunks()
    return Dataset(copy.cast(split.features.arrow_schema))


def _fingerprint_by_content(folder: Path) -> None:
    content = read_json(folder / _STATE) | {"_fingerprint": _digest(folder)}
    (folder / _STATE).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _digest(folder: Path) -> str:
    """A digest of the rows of the split in `folder`."""
    digest = hashlib.sha256()
    for file in read_json(folder / _STATE)["_data_files"]:
        digest.update((folder / file["filename"]).read_bytes())
    return digest.hexdigest()[:16]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
