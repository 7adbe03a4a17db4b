"""What every reader gives: a file as a stream of rows, a bounded number at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import pyarrow as pa

from stages.configuration.schema import Format, Kind

BATCH = 1000
"""Rows read at once at most: bounds the memory that a file of any size takes."""

Column: TypeAlias = list[object] | pa.Array
"""Values of a column: Python's own where the format has no types of its own (CSV gives text alone), else Arrow's."""


@dataclass(frozen=True)
class ReadOptions:
    """What the configuration says about reading; the fields are `data`'s own keys."""

    kind: Kind
    format: Format = "auto"
    encoding: str = "utf-8"
    text_column: str | int | None = None
    label_column: str | int | None = None
    label_names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rows:
    """Some consecutive rows of a file."""

    columns: Mapping[str, Column]
    """All of the same length."""
    numbers: Sequence[int]
    """Where each row stands in its file, counted from 1 as `TableFile.unit` says."""


@dataclass(frozen=True)
class TableFile:
    """A file that has been opened far enough to know its columns."""

    path: Path
    """The file on this machine."""
    name: str
    """What messages call it: the path as the user knows it, the address, `archive.zip: inner.csv`."""
    unit: Literal["line", "row", "file"]
    """What `Rows.numbers` count."""
    columns: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Rows]]
    """Read these of the columns, from the first row on. Raises DataError naming file and row."""
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names that a column's integers stand for, where the file tells (`datasets` notes them in Parquet and Arrow)."""
