"""Rows of a tokenized split that can't be read, or put into a batch, each told by its number or its example's."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from stages.pipeline.errors import DataError
from stages.pipeline.paths import TOKENIZED_DATA

Item = TypeVar("Item")


def unreadable(split: str, row: int, error: Exception) -> DataError:
    """Row number `row` of the split can't be read."""
    return _fault(split, f"row {row}", "read", error)


def uncollatable(split: str, example: object, error: Exception) -> DataError:
    """A row of example number `example` of the split can't be collated."""
    return _fault(split, f"example {example}", "put into a batch", error)


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
