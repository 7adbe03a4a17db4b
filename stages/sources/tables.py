"""What every data source gives: for each split a stream of checked examples, and the labels' names where it knows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from stages.configuration.schema import Split


@dataclass(frozen=True)
class SourceSplit:
    """A split as a source gives it."""

    origin: str
    """What messages call it: its file's name, for example."""
    examples: Iterable[pa.RecordBatch]
    """As `stages.sources.examples.checked_examples` makes them; they can be read once."""


@dataclass(frozen=True)
class Source:
    """All splits of a data set."""

    splits: Mapping[Split, SourceSplit]
    label_names: tuple[str, ...] | None
    """The labels in order, if the source knows them."""
    sha256: Mapping[Split, Sequence[str]] = field(default_factory=dict)
    """The digests of each split's files, if it is made of files."""
