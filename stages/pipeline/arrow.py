"""Data sets on disk whose bytes depend on their content alone."""

import hashlib
import json
from pathlib import Path

from datasets import Dataset, DatasetDict, disable_progress_bars, load_from_disk
from datasets.exceptions import DatasetNotFoundError

from stages.pipeline.errors import DataError
from stages.pipeline.outputs import whole_directory


def save_splits(splits: DatasetDict, path: Path) -> None:
    """Write `splits` for `datasets.load_from_disk`.

    `Dataset.save_to_disk` puts a fingerprint into `state.json` that follows from how the object was made (its
    source's path and modification time), and DVC would see a new output. Here it is a digest of the rows.
    """
    disable_progress_bars()
    with whole_directory(path) as folder:
        splits.save_to_disk(folder)
        for state in sorted(folder.glob("*/state.json")):
            _fingerprint_by_content(state)


def load_splits(path: Path) -> DatasetDict:
    """Read what `save_splits` wrote. Raises DataError if it is missing or not whole."""
    try:
        splits = load_from_disk(str(path))
    except (FileNotFoundError, DatasetNotFoundError, OSError, ValueError) as error:
        raise DataError(f"{path}: can't be read ({_first_line(error)}); run `dvc repro` to make it again") from error
    assert isinstance(splits, DatasetDict)
    return splits


def rows(split: Dataset) -> int:
    """How many rows a split has (`len` is untyped in datasets)."""
    return int(split.num_rows)


def _fingerprint_by_content(state: Path) -> None:
    content = json.loads(state.read_text(encoding="utf-8"))
    digest = hashlib.sha256()
    for file in content["_data_files"]:
        digest.update((state.parent / file["filename"]).read_bytes())
    content["_fingerprint"] = digest.hexdigest()[:16]
    state.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
