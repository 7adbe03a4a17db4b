"""Read Parquet and Arrow files (including Feather), and data sets that `save_to_disk` of `datasets` has written."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.pipeline.errors import DataError
from stages.sources.readers.compression import open_seekable
from stages.sources.readers.table_file import BATCH, ReadOptions, Rows, TableFile

ARROW_FILE_MAGIC = b"ARROW1"


def open_parquet(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a Parquet file; only the wanted columns are read, a batch of rows at a time."""
    with open_seekable(path, name) as file, _arrow_errors(name, "Parquet"):
        schema = pq.ParquetFile(file).schema_arrow
    return _table(path, name, schema, partial(_parquet_batches, path, name))


def open_arrow(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open an Arrow file or stream."""
    with open_seekable(path, name) as file, _arrow_errors(name, "Arrow"):
        schema = _arrow_reader(file).schema
    return _table(path, name, schema, partial(_arrow_batches, path, name))


def is_saved_dataset(folder: Path) -> bool:
    """Whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` has written this folder."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def open_saved_dataset(folder: Path, name: str, options: ReadOptions) -> TableFile:
    """Open the Arrow files of a folder that `Dataset.save_to_disk` has written, in its order."""
    if not (folder / "state.json").is_file():
        raise DataError(f"{name}: holds several splits; name the folder of one, for example {name}/train")
    shards = [open_arrow(folder / file, f"{name}/{file}", options) for file in _shard_names(folder, name)]
    first = shards[0]
    for shard in shards:
        if shard.columns != first.columns:
            raise DataError(f"{shard.name}: has other columns than {first.name}; save the data set again")

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        number = 0
        for shard in shards:
            for rows in shard.read(wanted):
                yield Rows(rows.columns, range(number + 1, number + 1 + len(rows.numbers)))
                number += len(rows.numbers)

    return TableFile(folder, name, "row", first.columns, read, first.label_names)


def label_names_in(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the ClassLabel names that `datasets` writes into a schema, by column, of values or of lists of values."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {column: names for column, feature in features.items() if (names := _class_names(feature))}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}  # absent, or in an unknown form: the configuration can name labels


def _table(path: Path, name: str, schema: pa.Schema, batches: Any) -> TableFile:
    twice = [column for column, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataError(f"{name}: column {twice[0]!r} occurs twice; name each column once")
    if not schema.names:
        raise DataError(f"{name}: has no columns; give a file with rows, or leave it out")

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return _rows(batches(list(wanted)), name)

    return TableFile(path, name, "row", tuple(schema.names), read, label_names_in(schema))


def _parquet_batches(path: Path, name: str, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    with open_seekable(path, name) as file, _arrow_errors(name, "Parquet"):
        yield from pq.ParquetFile(file).iter_batches(batch_size=BATCH, columns=wanted)


def _arrow_batches(path: Path, name: str, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    with open_seekable(path, name) as file, _arrow_errors(name, "Arrow"):
        reader = _arrow_reader(file)
        whole = (
            (reader.get_batch(place) for place in range(reader.num_record_batches))
            if isinstance(reader, pa.RecordBatchFileReader)
            else reader
        )
        for batch in whole:
            for start in range(0, batch.num_rows, BATCH):
                yield batch.select(wanted).slice(start, BATCH)


def _arrow_reader(file: IO[bytes]) -> Any:
    head = file.read(len(ARROW_FILE_MAGIC))
    file.seek(0)
    return pa.ipc.open_file(file) if head == ARROW_FILE_MAGIC else pa.ipc.open_stream(file)


def _rows(batches: Iterator[pa.RecordBatch], name: str) -> Iterator[Rows]:
    number = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        numbers = range(number + 1, number + 1 + batch.num_rows)
        with _arrow_errors(f"{name}, rows {numbers[0]} to {numbers[-1]}", "Arrow's types"):
            batch.validate(full=True)  # reading does not check that strings are UTF-8
        yield Rows({column: _plain(batch.column(column)) for column in batch.schema.names}, numbers)
        number += batch.num_rows


def _plain(values: pa.Array) -> pa.Array:
    """Decode a dictionary, as which pandas stores categories."""
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


@contextmanager
def _arrow_errors(name: str, what: str) -> Iterator[None]:
    """Turn what Arrow raises into DataError."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{name}: can't be read as {what} ({reason}); fetch or write the file again") from error


def _shard_names(folder: Path, name: str) -> list[str]:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        files = [entry["filename"] for entry in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{name}/state.json: is damaged; save the data set again") from error
    missing = [file for file in files if Path(file).name != file or not (folder / file).is_file()]
    if missing or not files:
        raise DataError(f"{name}: lacks {missing[0] if missing else 'Arrow files'}; save the data set again")
    if state.get("_indices_data_files"):
        raise DataError(
            f"{name}: its rows are picked by a list of indices; call flatten_indices() before save_to_disk()"
        )
    return files


def _class_names(feature: Mapping[str, Any] | list[Any]) -> tuple[str, ...]:
    """Return the names of a feature, in either of the forms in which versions of `datasets` write lists."""
    if isinstance(feature, list):
        return _class_names(feature[0])
    inner: Mapping[str, Any] = feature.get("feature") or feature
    return tuple(inner.get("names") or ())
