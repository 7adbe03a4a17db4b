"""Tables in memory brought into canonical form, as files would be."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import DatasetDict

from stages.configuration.schema import FilesData, Kind, Split
from stages.pipeline.arrow import load_splits
from stages.sources.canonical import Source, SourceSplit, write_canonical
from stages.sources.data_report import DataReport
from stages.sources.data_source import write_data
from stages.sources.examples import checked_examples, choose_columns
from stages.sources.label_names import LabelNames, Naming
from stages.sources.readers.table_file import Rows, TableFile


@dataclass(frozen=True)
class Made:
    """What came of a source."""

    splits: DatasetDict
    report: DataReport

    def findings(self) -> dict[str, dict[str, int]]:
        """The counts of each finding."""
        return {finding.code: finding.counts for finding in self.report.findings}


def made_of(config: FilesData) -> Made:
    """Read the files that `config` names."""
    with tempfile.TemporaryDirectory() as folder:
        report = write_data(config, Path(folder) / "raw", Path(folder) / "scratch")
        return Made(load_splits(Path(folder) / "raw"), report)  # mapped into memory, it outlives the folder


def made_from(
    train: pa.Table,
    validation: pa.Table | None = None,
    test: pa.Table | None = None,
    *,
    names: Sequence[str] | None = None,
    rows_at_once: int = 1000,
    **settings: Any,
) -> Made:
    """Bring tables into canonical form; where there is none for test it is that of train.

    With `test_fraction` or `fold` there is none. Settings are those of `FilesData`. Findings stop nothing unless `fail_on`
    says so.
    """
    kind: Kind = "tokens" if "tokens" in train.column_names else "text"
    settings = {"validation_fraction": 0.25, "fail_on": "never", **settings}
    is_carved = "test_fraction" in settings or "fold" in settings
    place = None if is_carved else "test"
    config = FilesData(name="data", kind=kind, source="files", train="train", test=place, **settings)
    tables: dict[Split, pa.Table] = {"train": train}
    if not is_carved:
        tables["test"] = train if test is None else test
    if validation is not None:
        tables["validation"] = validation
    order = None if names is None else LabelNames(names)

    def examples(split: Split, table: pa.Table) -> Iterator[pa.RecordBatch]:
        file = _in_memory(f"{split}.file", table, rows_at_once)
        columns = choose_columns(file, config, split)
        yield from checked_examples(file, columns, config, Naming(order))

    source = Source(
        {split: SourceSplit(f"{split}.file", examples(split, table)) for split, table in tables.items()},
        None if order is None else tuple(order.names),
        takes_integers_as_names=order is not None and order.take_integers_as_names,
    )
    with tempfile.TemporaryDirectory() as folder:
        report = write_canonical(source, config, Path(folder) / "raw", Path(folder) / "scratch")
        return Made(load_splits(Path(folder) / "raw"), report)


def _in_memory(name: str, table: pa.Table, rows_at_once: int) -> TableFile:
    def read(columns: Sequence[str]) -> Iterator[Rows]:
        for start in range(0, table.num_rows, rows_at_once):
            part = table.slice(start, rows_at_once).combine_chunks()
            arrays = {column: _array(part[column]) for column in columns}
            yield Rows(arrays, range(start + 1, start + 1 + part.num_rows))

    return TableFile(Path(name), name, "row", tuple(table.column_names), read)


def _array(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def texts(labels: Sequence[Any], **columns: Any) -> pa.Table:
    """Labelled texts, and other columns."""
    return pa.table({"text": [f"text {row}" for row in range(len(labels))], "label": labels, **columns})


def tagged(*tags: Sequence[Any]) -> pa.Table:
    """Sentences, whose words have these tags."""
    return pa.table({"tokens": [[f"word{place}" for place in range(len(row))] for row in tags], "tags": tags})
