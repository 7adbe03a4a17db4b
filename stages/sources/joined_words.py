"""Sentences whose words, and tags, are joined by spaces in a cell each."""

from collections.abc import Sequence

import pyarrow as pa

from stages.sources.readers.table_file import Column


def split_cells(words: Column, tags: Column) -> tuple[Column, Column]:
    """Return words and tags as lists, in rows whose cells both are text that is no list of tags in JSON or Python's notation.

    Cells are split at spaces alone, since a word may hold a no-break space.
    """
    in_words, in_tags = _values(words), _values(tags)
    if in_words is None or in_tags is None or str not in set(map(type, in_tags)):
        return words, tags
    made = [_split(text, marks) for text, marks in zip(in_words, in_tags, strict=True)]
    return [text for text, _ in made], [marks for _, marks in made]


def _values(column: Column) -> Sequence[object] | None:
    """Return a column's values if some may be text."""
    if not isinstance(column, pa.Array):
        return column
    is_text = any(test(column.type) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
    return column.to_pylist() if is_text else None


def _split(words: object, tags: object) -> tuple[object, object]:
    if not isinstance(words, str) or not isinstance(tags, str) or tags.lstrip().startswith("["):
        return words, tags
    return [word for word in words.split(" ") if word], [tag for tag in tags.split(" ") if tag]
