"""Files written by a test, and read as columns of all their rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stages.pipeline.errors import DataError
from stages.sources.readers.formats import open_table
from stages.sources.readers.table_file import BATCH, ReadOptions, Rows
from tests.support.told import told


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def batches(path: Path, options: ReadOptions, columns: Sequence[str] | None = None) -> Iterator[Rows]:
    table = open_table(path, path.name, options)
    return table.read(table.columns if columns is None else columns)


def values(column: Any) -> list[Any]:
    return column.to_pylist() if isinstance(column, pa.Array) else list(column)


def rows(path: Path, options: ReadOptions, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """All rows of a file, column by column, with their numbers as `#`."""
    found: dict[str, list[Any]] = {}
    for batch in batches(path, options, columns):
        assert 0 < len(batch.numbers) <= BATCH
        for column, items in batch.columns.items():
            assert len(items) == len(batch.numbers)
            found.setdefault(column, []).extend(values(items))
        found.setdefault("#", []).extend(batch.numbers)
    return found


def fault(path: Path, options: ReadOptions) -> str:
    """The one line that reading a broken file tells. It names the file as the user does, and not where it lies."""
    with pytest.raises(DataError) as error:
        rows(path, options)
    text = told(error)
    assert not text.startswith(str(path.parent))
    return text
