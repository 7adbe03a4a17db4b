"""JSON Lines and JSON arrays of objects: each object is a row, its keys are the columns, its values stay as they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from stages.sources.readers.base import ReadOptions, Rows, TableFile
from stages.sources.readers.batches import in_batches
from stages.sources.readers.json_records import JsonFile


def open_json(path: Path, name: str, options: ReadOptions, layout: Literal["json", "jsonl"]) -> TableFile:
    """Open a file of objects. The first one's keys are the columns; what a later one lacks is None."""
    file = JsonFile(path, name, options.encoding, layout)
    _, first = next(file.records())

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(file.records(), wanted)

    return TableFile(path, name, file.unit, tuple(first), read)
