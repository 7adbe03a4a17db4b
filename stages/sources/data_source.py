"""Read the configured data source, whatever it is, and write it in canonical form."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import pyarrow as pa

from stages.configuration.hydra_plugins.fingerprint import fingerprint
from stages.configuration.kinds import labels_words
from stages.configuration.schema import SPLITS, DataConfig, DemoData, FilesData, HubData, Split, TabularData
from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import DataError
from stages.pipeline.paths import PARAMS
from stages.sources.canonical import Source, SourceSplit, write_canonical
from stages.sources.data_report import DataReport
from stages.sources.demo import shop_messages, tagged_sentences
from stages.sources.examples import PLACE, Columns, checked_examples, choose_columns
from stages.sources.hub import fetch_dataset
from stages.sources.locations import Located, find, find_files
from stages.sources.readers.formats import open_table
from stages.sources.readers.table_file import ReadOptions, TableFile
from stages.sources.reading import Line, files_in_words

log = logging.getLogger("stages.sources")


def write_data(config: DataConfig, path: Path | None, scratch: Path) -> DataReport:
    """Read the data that `config` names and write them to `path`, or nowhere for None; return the report on them.

    `scratch` is an empty folder for what is fetched and unpacked. Raises DataError or HubError for what the user can mend.
    """
    match config:
        case DemoData():
            source = _demo(config)
        case FilesData():
            places = {split: getattr(config, split) for split in SPLITS if getattr(config, split) is not None}
            folder = scratch / "files"
            _require_fingerprint(config)
            digests = _digests(config, {split: find_files(split, places[split], folder) for split in places})
            source = _read_files(config, {split: find(split, places[split], folder) for split in places}, digests)
        case HubData():
            fetched = fetch_dataset(config)
            files = {split: [Located(path, path.name) for path in paths] for split, paths in fetched.items()}
            source = _read_files(config, files, _digests(config, files))
        case _:
            assert_never(config)
    report = write_canonical(source, config, path, scratch / "staged")
    _log(report.what_came_of_it())
    return report


def _log(lines: Iterable[Line]) -> None:
    for what, is_so in lines:
        log.info("%s: %s", what, is_so)


def _demo(config: DemoData) -> Source:
    generator = tagged_sentences if labels_words(config.kind) else shop_messages
    counts: dict[Split, int] = {"train": config.train, "validation": config.validation, "test": config.test}
    splits = {}
    for split in SPLITS:
        table = generator.generate(split, counts[split], config.seed)
        places = pa.array([f"demo, row {row}" for row in range(1, table.num_rows + 1)])
        splits[split] = SourceSplit("demo", table.append_column(PLACE, places).to_batches())
    return Source(splits, label_names=generator.LABELS)


def _require_fingerprint(config: FilesData) -> None:
    """Raise DataError if the files have changed since the parameters were composed. DVC would take these for those."""
    places: dict[str, str | list[str]] = {split: getattr(config, split) or [] for split in SPLITS}
    listed = {split: [found] if isinstance(found, str) else found for split, found in places.items()}
    if config.fingerprint is None:
        return
    with suppress(OSError):  # a file that is missing is told by name
        if fingerprint(listed) != config.fingerprint:
            raise DataError(
                f"data.fingerprint={config.fingerprint}: the files have changed since {PARAMS} was composed; compose it again "
                "(`make repro`, or `python -m stages.configuration.compose` with your overrides), or set null to take any"
            )


def _digests(config: TabularData, files: Mapping[Split, Sequence[Located]]) -> dict[Split, list[str]]:
    """Return the digests of the files as they came, before anything is unpacked or read."""
    return {split: checked_digests(split, found, getattr(config.sha256, split)) for split, found in files.items()}


def checked_digests(split: Split, files: Sequence[Located], wanted: str | list[str] | None) -> list[str]:
    """Return the SHA-256 of each file; folders have none. Raises DataError if they are not those `wanted`."""
    digests = [sha256_of(file.path) for file in files if file.path.is_file()]
    if wanted is None:
        return digests
    expected = [wanted] if isinstance(wanted, str) else wanted
    key = f"data.sha256.{split}"
    if len(digests) < len(files) or len(digests) != len(expected):
        raise DataError(
            f"{key}: {len(expected)} for {len(files)} files and folders; name files alone in data.{split}, and give one "
            "digest for each, in the same order"
        )
    for file, found, digest in zip(files, digests, expected, strict=True):
        if found != digest:
            raise DataError(
                f"{file.name}: has SHA-256 {found}, but {key} says {digest}; fetch the right file, or change {key} if "
                "you trust this one"
            )
    return digests


@dataclass(frozen=True)
class _OpenFile:
    """A file whose columns have been chosen."""

    file: TableFile
    columns: Columns
    names: tuple[str, ...] | None
    """The names that the file's integer labels stand for."""


def _read_files(
    config: TabularData, files: Mapping[Split, Sequence[Located]], sha256: Mapping[Split, Sequence[str]]
) -> Source:
    """Open every split's files; their rows are read when they are asked for. `sha256`: of the files as they came.

    Raises DataError naming the file for what can't be opened or has no column of the task's kind.
    """
    configured = None if config.label_names is None else tuple(config.label_names)
    if configured and len(set(configured)) < len(configured):
        raise DataError(f"data.label_names={config.label_names}: a label occurs twice; name each once")
    opened = {split: [_open(location, config, configured) for location in found] for split, found in files.items()}
    # in the order in which the files of train first name them; integer labels have become names by then
    named = dict.fromkeys(name for part in opened["train"] for name in part.names or ())
    parts = {split: [(part.file, part.columns) for part in found] for split, found in opened.items()}
    read = list(files_in_words(parts, config))
    _log(read)
    return Source(
        splits={
            split: SourceSplit(", ".join(part.file.name for part in parts), _examples(parts, config))
            for split, parts in opened.items()
        },
        label_names=configured or tuple(named) or None,
        sha256=sha256,
        read=read,
    )


def _open(location: Located, config: TabularData, label_names: tuple[str, ...] | None) -> _OpenFile:
    options = ReadOptions(
        kind=config.kind,
        format=config.format,
        encoding=config.encoding,
        text_column=config.text_column,
        label_column=config.label_column,
        label_names=label_names,
    )
    file = open_table(location.path, location.name, options)
    columns = choose_columns(file, config)
    return _OpenFile(file, columns, label_names or file.label_names.get(columns.label))


def _examples(parts: Sequence[_OpenFile], config: TabularData) -> Iterator[pa.RecordBatch]:
    for part in parts:
        yield from checked_examples(part.file, part.columns, config, part.names)
