"""Sentences whose words, and often their tags, are joined by spaces in a cell each."""

from collections.abc import Sequence

import pyarrow as pa

from stages.sources.readers.table_file import Column


def split_cells(words: Column, tags: Column) -> tuple[Column, Column]:
    """Return words and tags as lists, where cells hold them as text with spaces between.

    Tags that are a list already, or text that is one in JSON or Python's notation, stay as they are (Kaggle's `ner.csv` has
    such tags beside joined words). Cells are split at spaces alone, since a word may hold a no-break space.
    """
    in_words = _values(words)
    if in_words is None or str not in set(map(type, in_words)):
        return words, tags
    in_tags = tags.to_pylist() if isinstance(tags, pa.Array) else tags
    made = [_split(text, marks) for text, marks in zip(in_words, in_tags, strict=True)]
    return [text for text, _ in made], [marks for _, marks in made]


def split_words(words: Column) -> Column:
    """Return words as lists, where cells without tags hold them as text with spaces between."""
    found = _values(words)
    if found is None:
        return words
    return [
        words_between_spaces(cell) if isinstance(cell, str) and not cell.lstrip().startswith("[") else cell
        for cell in found
    ]


def _values(column: Column) -> Sequence[object] | None:
    """Return a column's values if some may be text."""
    if not isinstance(column, pa.Array):
        return column
    is_text = any(test(column.type) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
    return column.to_pylist() if is_text else None


def _split(words: object, tags: object) -> tuple[object, object]:
    are_listed = isinstance(tags, list) or (isinstance(tags, str) and tags.lstrip().startswith("["))
    if not isinstance(words, str) or not (are_listed or isinstance(tags, str)):
        return words, tags
    if are_listed:
        return (words if words.lstrip().startswith("[") else words_between_spaces(words)), tags
    return words_between_spaces(words), words_between_spaces(str(tags))


def words_between_spaces(text: str) -> list[str]:
    """Return the words of a cell that joins them by spaces."""
    return [part for part in text.split(" ") if part]
