"""Splits from files, CoNLL or Parquet, wherever the files came from."""

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.configuration.schema import SPLITS, FilesData, Kind, Split, TabularData
from stages.pipeline.errors import DataError
from stages.sources.conll import read_conll
from stages.sources.tables import INPUT_COLUMN, LABEL_COLUMN, SourceTables

_USUAL_INPUTS: Mapping[Kind, Sequence[str]] = {
    "text": ("text", "sentence", "content", "review", "document", "body"),
    "tokens": ("tokens", "words"),
}
_USUAL_LABELS: Mapping[Kind, Sequence[str]] = {
    "text": ("label", "labels", "class", "category", "target", "sentiment", "intent"),
    "tokens": ("ner_tags", "tags", "labels", "pos_tags"),
}
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class _File:
    table: pa.Table
    label_names: tuple[str, ...] | None


def find_files(config: FilesData) -> dict[Split, list[Path]]:
    """The files on this machine that each split names. Raises DataError for a pattern that matches none."""
    return {split: _matches(split, pattern) for split in SPLITS if (pattern := getattr(config, split)) is not None}


def read_splits(config: TabularData, files: Mapping[Split, Sequence[Path]]) -> SourceTables:
    """Read every split's files. Raises DataError naming the file for what can't be read or is not of the task's kind."""
    read = {split: [_read(path, config) for path in paths] for split, paths in files.items()}
    return SourceTables(
        kind=config.kind,
        splits={split: _joined(split, files[split], parts) for split, parts in read.items()},
        origins={split: ", ".join(path.name for path in paths) for split, paths in files.items()},
        label_names=_agreed_names(config, [file for parts in read.values() for file in parts]),
    )


def _matches(split: Split, pattern: str) -> list[Path]:
    paths = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 (absolute patterns)
    files = [path for path in paths if path.is_file()]
    if not files:
        raise DataError(f"data.{split}={pattern}: there is no such file; give a path or glob that exists")
    return files


def _read(path: Path, config: TabularData) -> _File:
    is_parquet = config.format == "parquet" or (config.format == "auto" and _starts_like_parquet(path))
    if is_parquet:
        return _read_parquet(path, config)
    if config.kind == "text":
        raise DataError(
            f"{path}: a text task reads Parquet, and this is not Parquet; convert it, or choose task=tokens"
        )
    return _File(read_conll(path), None)


def _starts_like_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _read_parquet(path: Path, config: TabularData) -> _File:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not readable as Parquet ({error})") from error
    inputs = _column(table, path, "data.text_column", config.text_column, _USUAL_INPUTS[config.kind])
    labels = _column(table, path, "data.label_column", config.label_column, _USUAL_LABELS[config.kind])
    columns = {INPUT_COLUMN[config.kind]: table[inputs], LABEL_COLUMN[config.kind]: table[labels]}
    if "id" in table.column_names:
        columns["id"] = table["id"].cast(pa.string())
    return _File(pa.table(columns), _names_in_metadata(table.schema, labels))


def _column(table: pa.Table, path: Path, key: str, wanted: str | None, usual: Sequence[str]) -> str:
    candidates = [wanted] if wanted is not None else usual
    for name in candidates:
        if name in table.column_names:
            return name
    raise DataError(
        f"{path}: has no column {' or '.join(candidates)}; set {key} to one of its columns: {', '.join(table.column_names)}"
    )


def _names_in_metadata(schema: pa.Schema, label_column: str) -> tuple[str, ...] | None:
    """The ClassLabel names that the `datasets` library stores in a Parquet file's schema."""
    metadata = schema.metadata or {}
    if b"huggingface" not in metadata:
        return None
    feature: Any = json.loads(metadata[b"huggingface"])["info"]["features"].get(label_column, {})
    if isinstance(feature, list):
        feature = feature[0]
    if "feature" in feature:
        feature = feature["feature"]
    names = feature.get("names")
    return tuple(names) if names else None


def _joined(split: Split, paths: Sequence[Path], parts: Sequence[_File]) -> pa.Table:
    first = parts[0].table.schema
    for path, part in zip(paths, parts, strict=True):
        if not part.table.schema.equals(first):
            raise DataError(
                f"{split}: {paths[0].name} and {path.name} have different columns ({_columns(first)} and "
                f"{_columns(part.table.schema)}); write them alike"
            )
    return pa.concat_tables([part.table for part in parts])


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def _agreed_names(config: TabularData, files: Sequence[_File]) -> tuple[str, ...] | None:
    if config.label_names is not None:
        if len(set(config.label_names)) < len(config.label_names):
            raise DataError(f"data.label_names={config.label_names}: a label occurs twice; name each once")
        return tuple(config.label_names)
    found = {file.label_names for file in files}
    if len(found) > 1:
        raise DataError(
            "data: the files name their labels differently; give the names in order as data.label_names=[...]"
        )
    return found.pop()
