"""Read the configured data source, whatever it is, and write it in canonical form."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

import pyarrow as pa

from stages.configuration.hydra_plugins.fingerprint import fingerprint, locations_of
from stages.configuration.kinds import labels_words
from stages.configuration.schema import SPLITS, DataConfig, DemoData, FilesData, Format, HubData, Split, TabularData
from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import DataError
from stages.pipeline.paths import PARAMS
from stages.sources.canonical import Source, SourceSplit, write_canonical
from stages.sources.data_report import DataReport
from stages.sources.demo import shop_messages, tagged_sentences
from stages.sources.examples import PLACE, Columns, checked_examples, choose_columns
from stages.sources.hub import fetch_dataset
from stages.sources.label_names import LabelNames, LeftOut, Naming, canonical_label, configured_names, ignored_labels
from stages.sources.locations import Located, find, find_packed
from stages.sources.readers.brat import with_partners, without_partners
from stages.sources.readers.formats import open_table
from stages.sources.readers.table_file import ReadOptions, TableFile
from stages.sources.reading import ReportLine, describe_files

log = logging.getLogger("stages.sources")


def write_data(config: DataConfig, path: Path | None, scratch: Path) -> DataReport:
    """Read the data that `config` names and write them to `path`, or nowhere for None; return the report on them.

    `scratch` is an empty folder for what is fetched and unpacked. Raises DataError or HubError for what the user can mend.
    """
    match config:
        case DemoData():
            source = _demo(config)
        case FilesData():
            folder = scratch / "files"
            _require_fingerprint(config)
            digests = _digests(
                config, {split: find_packed(split, location, folder) for split, location in config.locations.items()}
            )
            files = {split: find(split, location, folder) for split, location in config.locations.items()}
            source = _read_files(config, files, digests)
        case HubData():
            fetched = fetch_dataset(config)
            files = {split: [Located(path, path.name) for path in paths] for split, paths in fetched.items()}
            source = _read_files(config, files, _digests(config, files))
        case _:
            assert_never(config)
    report = write_canonical(source, config, path, scratch / "staged")
    _log(report.summary_lines())
    return report


def _log(lines: Iterable[ReportLine]) -> None:
    for subject, text in lines:
        log.info("%s: %s", subject, text)


def _demo(config: DemoData) -> Source:
    generator = tagged_sentences if labels_words(config.kind) else shop_messages
    counts: dict[Split, int] = {"train": config.train, "validation": config.validation, "test": config.test}
    splits = {}
    for split in SPLITS if config.fold is None else SPLITS[:-1]:
        table = generator.generate(split, counts[split], config.seed)
        places = pa.array([f"demo, row {row}" for row in range(1, table.num_rows + 1)])
        splits[split] = SourceSplit("demo", table.append_column(PLACE, places).to_batches())
    return Source(splits, label_names=generator.LABELS)


def _require_fingerprint(config: FilesData) -> None:
    """Raise DataError if the files have changed since the parameters were composed. DVC would take these for those."""
    if config.fingerprint is None:
        return
    with suppress(OSError):  # a file that is missing is told by name
        if fingerprint(locations_of(vars(config))) != config.fingerprint:
            raise DataError(
                f"data.fingerprint={config.fingerprint}: the files have changed since {PARAMS} was composed; compose it again "
                "(`stagewright run`, or `stagewright compose` with your overrides), or set data.fingerprint=null to accept any"
            )


def _digests(config: TabularData, files: Mapping[Split, Sequence[Located]]) -> dict[Split, list[str]]:
    """Return the digests of the files as they came, before anything is unpacked or read."""
    return {
        split: checked_digests(split, _with_partners(found, config), getattr(config.sha256, split))
        for split, found in files.items()
    }


def _with_partners(files: Sequence[Located], config: TabularData) -> list[Located]:
    """Return files with those that are read with them: brat's texts with their annotations."""
    if not labels_words(config.kind) or config.format not in ("auto", "brat"):
        return list(files)
    named = {file.path: file for file in files}
    return [named.get(path) or Located(path, path.name) for path in with_partners([file.path for file in files])]


def checked_digests(split: Split, files: Sequence[Located], wanted: str | list[str] | None) -> list[str]:
    """Return the SHA-256 of each file or folder. Raises DataError if they are not those `wanted`."""
    digests = [sha256_of(file.path) for file in files]
    if wanted is None:
        return digests
    expected = [wanted] if isinstance(wanted, str) else wanted
    key = f"data.sha256.{split}"
    if len(digests) != len(expected):
        raise DataError(
            f"{key}: {len(expected)} for {len(files)} files and folders; give one for each, in the order of data.{split}"
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
    names: LabelNames | None
    """The names that its labels have."""

    @property
    def all_names(self) -> Sequence[str]:
        """The labels that are named, by the file, by the configuration or by columns of their own."""
        return [*self.columns.flags] or (self.names.names if self.names is not None else [])


def _read_files(
    config: TabularData, files: Mapping[Split, Sequence[Located]], sha256: Mapping[Split, Sequence[str]]
) -> Source:
    """Open every split's files; their rows are read when they are asked for. `sha256`: of the files as they came.

    Raises DataError naming the file for what can't be opened or has no column of the task's kind.
    """
    configured = configured_names(config)
    opened: dict[Split, list[_OpenFile]] = {}
    for split in (split for split in SPLITS if split in files):
        form = _format_of_all(opened["train"]) if split == "test" else "auto"
        inputs = {part.columns.input for part in opened.get("train", [])}
        opened[split] = _grouped_alike(
            [_open(each, split, config, configured, form, inputs) for each in _without_partners(files[split])]
        )
    for split in SPLITS[1:]:
        for part in opened.get(split, []):
            _refuse_other_use(part, opened["train"])
    # in the order in which the files of train first name them; integer labels have become names by then
    named = dict.fromkeys(name for part in opened["train"] for name in part.all_names)
    ignored = ignored_labels(config)
    parts = {split: [(part.file, part.columns) for part in found] for split, found in opened.items()}
    read = list(describe_files(parts, config))
    _log(read)
    return Source(
        splits={split: _source_split(parts, config, ignored) for split, parts in opened.items()},
        label_names=tuple(name for name in named if canonical_label(name) not in ignored) or None,
        takes_integers_as_names=configured is not None and configured.take_integers_as_names,
        sha256=sha256,
        read=read,
    )


def _format_of_all(parts: Sequence[_OpenFile]) -> Format:
    """Return the format of files if they have one in common."""
    formats = {part.file.format for part in parts}
    return formats.pop() if len(formats) == 1 else "auto"


def _refuse_other_use(part: _OpenFile, train: Sequence[_OpenFile]) -> None:
    """Raise DataError if a file's text or label is in a column that train has as well, and uses for something else.

    So it is where the usual names are tried, and the column that train takes is missing.
    """
    known = {_name_in_file(each.file, column) for each in train for column in each.file.columns}
    for what, key in (("input", "text"), ("pair", "pair"), ("label", "label")):
        column, *others = (_name_in_file(each.file, getattr(each.columns, what)) for each in (part, *train))
        if column is not None and column not in others and column in known:
            wanted = " or ".join(dict.fromkeys(repr(other) for other in others if other is not None)) or "none"
            raise DataError(
                f"{part.file.name}: column {column!r} would be used as {wanted} is in train, which has a column {column!r} too; "
                f"set data.{key}_column, or name the columns as in train"
            )


def _name_in_file(file: TableFile, column: str | None) -> str | None:
    """Return the name that a column has in its file."""
    return None if column is None else file.display_names.get(column, column)


def _without_partners(files: Sequence[Located]) -> list[Located]:
    """Return files without the annotations of brat's texts among them."""
    kept = set(without_partners([file.path for file in files]))
    return [file for file in files if file.path in kept]


def _open(
    location: Located,
    split: Split,
    config: TabularData,
    label_names: LabelNames | None,
    train_format: Format,
    inputs: Set[str],
) -> _OpenFile:
    options = ReadOptions(
        kind=config.kind,
        format=config.format,
        encoding=config.encoding,
        text_column=config.text_column,
        label_column=None if isinstance(config.label_column, list) else config.label_column,
        other_columns=_other_columns(config),
        split=split,
        label_names=None if label_names is None else tuple(label_names.by_value or label_names.names),
        target=config.target,
        sheet=config.sheet,
        sentence_column=config.sentence_column,
        empty_words=config.empty_words,
        train_format=train_format,
    )
    file = open_table(location.path, location.name, options)
    columns = choose_columns(file, config, split, inputs)
    return _OpenFile(file, columns, _names_in(file, columns, label_names))


def _grouped_alike(parts: Sequence[_OpenFile]) -> list[_OpenFile]:
    """Take a file without documents for one, if others have documents."""
    by_file = any(part.columns.group_by_file for part in parts)
    return [replace(part, columns=replace(part.columns, group_by_file=by_file)) for part in parts]


def _other_columns(config: TabularData) -> tuple[str | int, ...]:
    """Return the configured columns but those of `text_column` and a single `label_column`."""
    several = config.label_column if isinstance(config.label_column, list) else []
    single = [column for column in (config.pair_column, config.group_column) if column is not None]
    return (*single, *several, *config.keep_columns)


def _names_in(file: TableFile, columns: Columns, configured: LabelNames | None) -> LabelNames | None:
    of_file = None if columns.label is None else file.label_names.get(columns.label)
    if configured is not None:
        return replace(configured, are_indexed=of_file is not None)
    return None if of_file is None else LabelNames(of_file, are_indexed=True)


def _source_split(parts: Sequence[_OpenFile], config: TabularData, ignored: frozenset[str]) -> SourceSplit:
    left_out = LeftOut()

    def examples() -> Iterator[pa.RecordBatch]:
        for part in parts:
            yield from checked_examples(part.file, part.columns, config, Naming(part.names, ignored, left_out))

    headers = {part.file.name: part.columns.label for part in parts if part.file.has_header and part.columns.label}
    return SourceSplit(", ".join(part.file.name for part in parts), examples(), left_out, headers)
