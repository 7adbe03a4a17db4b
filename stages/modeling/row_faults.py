"""Rows of a tokenized split that can't be read, or put into a batch, each told by its number or its example's."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from stages.modeling.batches import Batch, PaddingCollator, Row
from stages.pipeline.errors import DataError
from stages.pipeline.paths import TOKENIZED_DATA
from stages.tasks.columns.names import EXAMPLE

Item = TypeVar("Item")


def unreadable(split: str, row: int, error: Exception) -> DataError:
    """Row number `row` of the split can't be read."""
    return _fault(split, f"row {row}", "read", error)


def collated(rows: Sequence[Row], collate: PaddingCollator, split: str) -> Batch:
    """Collate rows of the split that know their examples. Raises DataError naming the example of the one that can't be."""
    try:
        return collate(rows)
    except Exception as error:
        example = first_failing(collate, rows)[EXAMPLE]
        raise _fault(split, f"example {example}", "put into a batch", error) from error


def first_failing(function: Callable[[Sequence[Item]], object], items: Sequence[Item]) -> Item:
    """The first item that the function fails for when it gets it alone; the first of all if it fails for none."""
    return next((item for item in items if not _succeeds(function, [item])), items[0])


def _succeeds(function: Callable[[Sequence[Item]], object], items: Sequence[Item]) -> bool:
    try:
        function(items)
    except Exception:
        return False
    return True


def _fault(split: str, place: str, attempt: str, error: Exception) -> DataError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return DataError(
        f"{TOKENIZED_DATA}: {split}, {place} can't be {attempt} ({reason}); run `dvc repro --force tokenize`, "
        "and look at the example if that does not help"
    )
