"""Data sets on disk, written and read a batch of rows at a time. Equal content gives equal bytes."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
from datasets import Dataset, DatasetDict, Features, load_from_disk
from datasets.exceptions import DatasetNotFoundError

from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json, read_json
from stages.pipeline.outputs import whole_directory

ROWS = 1000
"""Rows in each record batch that is written, however large the batches were that came in."""

_ROWS_FILE = "data-00000-of-00001.arrow"
_STATE = "state.json"
_SPLITS = "dataset_dict.json"


def write_splits(
    splits: Mapping[str, Iterable[pa.Table | pa.RecordBatch]], features: Mapping[str, Features], path: Path
) -> None:
    """Write splits as `datasets.load_from_disk` reads them, with no more than a few batches in memory.

    `features`: the columns of each split.

    `Dataset.save_to_disk` writes different bytes for equal rows: it keeps the record batches the object was made of,
    notes on its source, and in `state.json` a fingerprint of the source's path and modification time. DVC would see a
    new output. Here rows are written in batches of `ROWS`, and the fingerprint is a digest of the rows' file.
    """
    with whole_directory(path) as folder:
        for name, batches in splits.items():
            with _SplitWriter(folder / name, features[name]) as writer:
                for batch in batches:
                    writer.write(batch)
        (folder / _SPLITS).write_text(json.dumps({"splits": list(splits)}) + "\n", encoding="utf-8")


def load_splits(path: Path) -> DatasetDict:
    """Open what `write_splits` wrote, every split of it. Raises DataError if it is missing or not whole."""
    try:
        names = read_json(path / _SPLITS)["splits"]
    except KeyError as error:
        raise DataError(f"{path}: does not name its splits; run `dvc repro` to make it again") from error
    return DatasetDict({name: load_split(path, name) for name in names})


def load_split(path: Path, name: str) -> Dataset:
    """Open one split of what `write_splits` wrote, mapped into memory. Raises DataError if it is missing or not whole."""
    folder = path / name
    with _explained(folder):
        _require_whole(folder)
        split = load_from_disk(str(folder))
        assert isinstance(split, Dataset)
        return split


def read_features(path: Path, name: str) -> Features:
    """Return the columns of a split, without reading its rows. Raises DataError if they can't be read."""
    with _explained(path / name), _stream(path / name) as stream:
        return Features.from_arrow_schema(stream.schema)


def read_batches(path: Path, name: str) -> Iterator[pa.RecordBatch]:
    """Read a split's rows, `ROWS` at a time, into memory that is freed afterwards. Pages of mapped files stay resident.

    Raises DataError if the split is missing or not whole.
    """
    folder = path / name
    with _explained(folder):
        _require_whole(folder)
        with _stream(folder) as stream:
            yield from stream


def rows(split: Dataset) -> int:
    """Return how many rows a split has (`len` is untyped in datasets)."""
    return int(split.num_rows)


class _SplitWriter:
    """Writes one split's folder."""

    def __init__(self, folder: Path, features: Features) -> None:
        folder.mkdir(parents=True)
        self._folder, self._features = folder, features
        self._schema: pa.Schema = features.arrow_schema
        self._stream = pa.ipc.new_stream(str(folder / _ROWS_FILE), self._schema)
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush(everything=True)
        self._stream.close()
        if error is None:
            self._describe()

    def write(self, batch: pa.Table | pa.RecordBatch) -> None:
        """Add rows, which must have the features' columns."""
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self._waiting.append(table.select(self._schema.names).cast(self._schema))
        if sum(table.num_rows for table in self._waiting) >= ROWS:
            self._flush()

    def _flush(self, *, everything: bool = False) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        end = table.num_rows if everything else table.num_rows // ROWS * ROWS
        for start in range(0, end, ROWS):
            indices = pa.array(range(start, min(start + ROWS, end)), pa.int64())
            self._stream.write_table(table.take(indices).combine_chunks())  # a copy: slices keep their origin's layout
        self._waiting = [table.slice(end)] if end < table.num_rows else []

    def _describe(self) -> None:
        """Write the two files beside the rows that `datasets` expects."""
        info = {"citation": "", "description": "", "features": self._features.to_dict(), "homepage": "", "license": ""}
        state: dict[str, Json] = {
            "_data_files": [{"filename": _ROWS_FILE}],
            "_fingerprint": _fingerprint(self._folder),
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": self._folder.name,
        }
        for name, content in (("dataset_info.json", info), (_STATE, state)):
            text = json.dumps(content, indent=2, ensure_ascii=False)
            (self._folder / name).write_text(text + "\n", encoding="utf-8")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what goes wrong when a split is read into a DataError of one line."""
    try:
        yield
    except (DatasetNotFoundError, OSError, ValueError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{folder}: can't be read ({reason}); run `dvc repro` to make it again") from error


def _require_whole(folder: Path) -> None:
    """Raise DataError if the rows have changed. Arrow reads a file without an error that is cut off or zeroed in part."""
    if read_json(folder / _STATE)["_fingerprint"] != _fingerprint(folder):
        raise DataError(f"{folder}: has changed since it was written; run `dvc repro` to make it again")


def _stream(folder: Path) -> pa.ipc.RecordBatchStreamReader:
    return pa.ipc.open_stream(pa.OSFile(str(folder / _ROWS_FILE)))


def _fingerprint(folder: Path) -> str:
    return sha256_of(folder / _ROWS_FILE)[:16]
