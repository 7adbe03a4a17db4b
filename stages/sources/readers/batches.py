"""Single rows gathered into `Rows`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from stages.sources.readers.base import BATCH, Rows


def in_batches(rows: Iterable[tuple[int, Mapping[str, object]]], columns: Sequence[str]) -> Iterator[Rows]:
    """Gather numbered rows, at most `BATCH` at a time. A value that a row does not have is None."""
    stream = iter(rows)
    while batch := list(islice(stream, BATCH)):
        yield Rows(
            columns={column: [row.get(column) for _, row in batch] for column in columns},
            numbers=[number for number, _ in batch],
        )
