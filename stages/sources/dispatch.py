"""The configured data source, read and written in canonical form."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import assert_never

import pyarrow as pa

from stages.configuration.schema import SPLITS, DataConfig, DemoData, FilesData, HubData, Split, TabularData
from stages.sources.canonical import write_canonical
from stages.sources.demo import text as demo_text
from stages.sources.demo import tokens as demo_tokens
from stages.sources.digests import checked_digests
from stages.sources.examples import PLACE
from stages.sources.files import read_files
from stages.sources.hub import fetch_dataset
from stages.sources.locations import Located, find, find_files
from stages.sources.report import DataReport
from stages.sources.tables import Source, SourceSplit


def write_data(config: DataConfig, path: Path, scratch: Path) -> DataReport:
    """Read the data that `config` names and write them to `path`; returns what is known of them.

    `scratch` is an empty folder for what is fetched and unpacked. Raises DataError or HubError for what the user can mend.
    """
    return write_canonical(_source(config, scratch), config, path, scratch / "spool")


def _source(config: DataConfig, scratch: Path) -> Source:
    match config:
        case DemoData():
            return _demo(config)
        case FilesData():
            places = {split: getattr(config, split) for split in SPLITS if getattr(config, split) is not None}
            folder = scratch / "files"
            digests = _digests(config, {split: find_files(split, places[split], folder) for split in places})
            return read_files(config, {split: find(split, places[split], folder) for split in places}, digests)
        case HubData():
            fetched = fetch_dataset(config)
            files = {split: [Located(path, path.name) for path in paths] for split, paths in fetched.items()}
            return read_files(config, files, _digests(config, files))
        case _:
            assert_never(config)


def _digests(config: TabularData, files: Mapping[Split, Sequence[Located]]) -> dict[Split, list[str]]:
    """Of the files as they came, before anything is unpacked or read."""
    return {split: checked_digests(split, found, getattr(config.sha256, split)) for split, found in files.items()}


def _demo(config: DemoData) -> Source:
    generator = demo_text if config.kind == "text" else demo_tokens
    counts: dict[Split, int] = {"train": config.train, "validation": config.validation, "test": config.test}
    tables = {split: generator.generate(split, counts[split], config.seed) for split in SPLITS}
    return Source(
        splits={split: SourceSplit("demo", _batches(table)) for split, table in tables.items()},
        label_names=generator.LABELS,
    )


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    places = pa.array([f"demo, row {row}" for row in range(1, table.num_rows + 1)])
    yield from table.append_column(PLACE, places).to_batches()
