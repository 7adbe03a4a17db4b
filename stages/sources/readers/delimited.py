"""Read CSV and TSV. Every value is text, and nothing is interpreted: `NA` stays `NA`, `007` stays `007`."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from stages.pipeline.errors import DataError
from stages.sources.readers.decoding import read_lines
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

LONGEST_FIELD = 1 << 25
"""The most characters of a field. Otherwise an open quote would draw the rest of the file into one field."""

_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def open_csv(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a file of comma-separated values; semicolons or tabs separate where the first line has no comma."""
    _, first = _first_line(path, name, options.encoding)
    separator = next((separator for separator in ",;\t" if separator in first), ",")
    return _open(path, name, options, separator)


def open_tsv(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a file of tab-separated values.

    Quotes have the same meaning as in CSV, unless that is impossible: if every line has the same number of fields, and
    some field begins with a quote without being quoted (`"Well," she said`), quotes are plain text, as in GLUE's files.
    """
    quotes_are_text = _quotes_are_text(line for _, line in read_lines(path, name, options.encoding))
    return _open(path, name, options, separator="\t", quotes_are_text=quotes_are_text)


def _open(path: Path, name: str, options: ReadOptions, separator: str, quotes_are_text: bool = False) -> TableFile:
    records = partial(_records, path, name, options.encoding, separator, quotes_are_text)
    number, first = next(records())
    headed = not columns_are_places(options)
    columns = _named(first, name, number) if headed else tuple(str(place) for place in range(len(first)))

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        rows = records()
        if headed:
            next(rows)
        return in_batches(_rows(columns, rows, name, options.refuse), wanted)

    return TableFile(path, name, "line", columns, read)


def _first_line(path: Path, name: str, encoding: str) -> tuple[int, str]:
    for number, line in read_lines(path, name, encoding):
        if line.strip():
            return number, line
    raise DataError(f"{name}: is empty; give a file with rows, or leave it out")


def _quotes_are_text(lines: Iterable[str]) -> bool:
    widths: set[int] = set()
    found = False
    for line in lines:
        if line.strip():
            widths.add(line.count("\t"))
            quoted = (field for field in line.rstrip("\r").split("\t") if field.startswith('"')) if '"' in line else ()
            found = found or not all(map(_QUOTED.fullmatch, quoted))
    return found and len(widths) == 1


def columns_are_places(options: ReadOptions) -> bool:
    """Whether columns are configured by position, which means that the file has no header."""
    places = {isinstance(column, int) for column in (options.text_column, options.label_column) if column is not None}
    if len(places) > 1:
        raise DataError(
            f"data.text_column={options.text_column}, data.label_column={options.label_column}: give both as names, or "
            "both as places if the file has no header"
        )
    return places == {True}


def _records(
    path: Path, name: str, encoding: str, separator: str, quotes_are_text: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of its first line, without blank lines."""
    csv.field_size_limit(LONGEST_FIELD)
    first_number, _ = _first_line(path, name, encoding)
    lines = (line + "\n" for number, line in read_lines(path, name, encoding) if number >= first_number)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if quotes_are_text else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=separator, quoting=quoting, strict=True)
    while True:
        number = first_number + reader.line_num
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{name}, line {number}: {_explained(error)}") from error
        if record is None:
            return
        if any(field.strip() for field in record) or len(record) > 1:
            yield number, record


def _explained(error: csv.Error) -> str:
    reason = str(error)
    if "unexpected end of data" in reason or "field limit" in reason:
        return "a quote opens here and does not close; double quotes inside a field, and quote the field"
    if "expected after" in reason:
        return "a quoted field goes on after its closing quote; double quotes inside a field"
    if "new-line character" in reason:
        return "holds a carriage return outside quotes; write lines that end with a newline"
    return f"is not CSV ({reason})"


def _named(header: list[str], name: str, number: int) -> tuple[str, ...]:
    names = tuple(field.strip() for field in header)
    if not all(names):
        raise DataError(
            f"{name}, line {number}: column {names.index('') + 1} has no name; name every column (pandas writes a nameless "
            "one unless index=False), or give columns as places if there is no header"
        )
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{name}, line {number}: column {twice[0]!r} occurs twice; name each column once")
    return names


def _rows(
    columns: Sequence[str],
    records: Iterable[tuple[int, list[str]]],
    name: str,
    refuse: Callable[[DataError], None] | None,
) -> Iterator[tuple[int, dict[str, str]]]:
    for number, record in records:
        try:
            yield number, _row(columns, record, name, number)
        except DataError as error:
            if refuse is None:
                raise
            refuse(error)


def _row(columns: Sequence[str], record: list[str], name: str, number: int) -> dict[str, str]:
    if len(record) != len(columns):
        raise DataError(
            f"{name}, line {number}: has {len(record)} fields where the first line has {len(columns)}; quote fields that "
            "hold the separator"
        )
    return dict(zip(columns, record, strict=True))
