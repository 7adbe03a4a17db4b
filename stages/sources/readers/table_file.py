"""A file as a stream of rows, a bounded number at a time: what every reader returns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

import pyarrow as pa

from stages.configuration.kinds import labels_words, takes_several_labels
from stages.configuration.schema import Format, Kind, Split, Target
from stages.pipeline.errors import DataError

BATCH = 1000
"""The most rows that are read at once, which bounds the memory for a file of any size."""

Column: TypeAlias = list[object] | pa.Array
"""Values of a column: Python's if the format has no types of its own (CSV has text alone), else Arrow's."""


@dataclass(frozen=True)
class ReadOptions:
    """The configuration of reading; the fields are keys of `data`."""

    kind: Kind
    format: Format = "auto"
    encoding: str = "utf-8"
    text_column: str | int | None = None
    label_column: str | int | None = None
    other_columns: tuple[str | int, ...] = ()
    """The other columns that are configured, such as those of second texts, groups and single labels."""
    split: Split | None = None
    """The split that the file is for: of a JSON object with several, its part is read."""
    label_names: tuple[str, ...] | None = None
    target: Target = "label"
    sheet: str | None = None
    sentence_column: str | int | None = None
    empty_words: Literal["error", "drop"] = "error"
    train_format: Format = "auto"
    """The format of train's files, for a file of the test split: without labels, its own can't be detected."""
    on_bad_row: Callable[[DataError], None] | None = None
    """Called with the error of a line of CSV or JSON Lines that can't be read. None: the error is raised."""

    @property
    def takes_several_labels(self) -> bool:
        """Whether a text may have any number of labels."""
        return takes_several_labels(self.kind, self.target)

    @property
    def labels_words(self) -> bool:
        """Whether the task is on words with a tag each, and not on texts with a label."""
        return labels_words(self.kind)


@dataclass(frozen=True)
class Rows:
    """Some consecutive rows of a file."""

    columns: Mapping[str, Column]
    """All of the same length."""
    numbers: Sequence[int]
    """Each row's number in its file, from 1; `TableFile.unit` says what is counted."""
    file: str | None = None
    """The file's name in messages, if the table is a folder of several."""


@dataclass(frozen=True)
class TableFile:
    """An open file whose columns are known."""

    path: Path
    """The file on this machine."""
    name: str
    """Its name in messages: the path as configured, the address, `archive.zip: inner.csv`."""
    unit: Literal["line", "row", "file", "document"]
    """What `Rows.numbers` count."""
    columns: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Rows]]
    """Read these of the columns, from the first row on. Raises DataError naming file and row."""
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names that a column's integers stand for, if the file has them (`datasets` writes them to Parquet and Arrow)."""
    positions_are_applied: bool = False
    """Whether the reader itself has applied the configured positions, as that of CoNLL does: its columns have names."""
    has_header: bool = False
    """Whether the first line of text names the columns, as in CSV."""
    missing_header_advice: Callable[[], str | None] = lambda: None
    """Returns what to do if the first line seems to be an example and not a header; None if it seems to be a header."""
    numbers_documents: bool = False
    """Whether the reader numbers the file's documents, in a column `document`."""
    format: Format = "auto"
    """The format that it is read as."""
    span_fits: str | None = None
    """The column in which the reader says how each span of a row fits its words (`SpanFit`), if the file has spans."""
    display_names: Mapping[str, str] = field(default_factory=dict)
    """What the report calls columns that have their name from the reader and not from the file."""


def in_batches(rows: Iterable[tuple[int, Mapping[str, object]]], columns: Sequence[str]) -> Iterator[Rows]:
    """Gather numbered rows, at most `BATCH` at a time. A value that a row lacks is None."""
    stream = iter(rows)
    while batch := list(islice(stream, BATCH)):
        yield Rows(
            columns={column: [row.get(column) for _, row in batch] for column in columns},
            numbers=[number for number, _ in batch],
        )
