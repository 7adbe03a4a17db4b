"""A source from files, in any format, wherever they came from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from stages.configuration.schema import Split, TabularData
from stages.pipeline.errors import DataError
from stages.sources.columns import Columns, choose_columns
from stages.sources.examples import checked_examples
from stages.sources.locations import Located
from stages.sources.readers.base import ReadOptions, TableFile
from stages.sources.readers.formats import open_table
from stages.sources.tables import Source, SourceSplit


def read_files(
    config: TabularData, files: Mapping[Split, Sequence[Located]], sha256: Mapping[Split, Sequence[str]]
) -> Source:
    """Open every split's files; their rows are read when they are asked for. `sha256`: of the files as they came.

    Raises DataError naming the file for what can't be opened or has no column of the task's kind.
    """
    configured = _configured_names(config)
    options = ReadOptions(
        kind=config.kind,
        format=config.format,
        encoding=config.encoding,
        text_column=config.text_column,
        label_column=config.label_column,
        label_names=configured,
    )
    opened = {
        split: [_open(location, config, options, configured) for location in locations]
        for split, locations in files.items()
    }
    return Source(
        splits={
            split: SourceSplit(", ".join(each.file.name for each in parts), _examples(parts, config))
            for split, parts in opened.items()
        },
        label_names=configured or _named_by_files([each for parts in opened.values() for each in parts]),
        sha256=sha256,
    )


@dataclass(frozen=True)
class _Opened:
    file: TableFile
    columns: Columns
    names: tuple[str, ...] | None
    """What the file's integer labels stand for."""


def _open(location: Located, config: TabularData, options: ReadOptions, names: tuple[str, ...] | None) -> _Opened:
    file = open_table(location.path, location.name, options)
    columns = choose_columns(file, config)
    return _Opened(file, columns, names or file.label_names.get(columns.label))


def _examples(parts: Sequence[_Opened], config: TabularData) -> Iterator[pa.RecordBatch]:
    for part in parts:
        yield from checked_examples(part.file, part.columns, config, part.names)


def _configured_names(config: TabularData) -> tuple[str, ...] | None:
    if config.label_names is None:
        return None
    if len(set(config.label_names)) < len(config.label_names):
        raise DataError(f"data.label_names={config.label_names}: a label occurs twice; name each once")
    return tuple(config.label_names)


def _named_by_files(parts: Sequence[_Opened]) -> tuple[str, ...] | None:
    """All names that files give, in the order in which they are first given. Integers have become names by then."""
    names = dict.fromkeys(name for part in parts for name in part.names or ())
    return tuple(names) or None
