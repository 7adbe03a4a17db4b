"""Read CSV and TSV. Every value is text, and nothing is interpreted: `NA` stays `NA`, `007` stays `007`."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

from stages.pipeline.errors import DataError
from stages.sources.column_names import is_usual, shown_name
from stages.sources.readers.decoding import read_lines
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

LONGEST_FIELD = 1 << 25
"""The most characters of a field. Otherwise an open quote would draw the rest of the file into one field."""

_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def open_csv(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a file of values separated by commas, semicolons, tabs or bars: what parts all of the first records alike.

    Excel's first line `sep=;` says which it is.
    """
    number, first = _first_line(path, name, options.encoding)
    stated = _STATED.fullmatch(first.rstrip("\r"))
    if stated is not None:
        return _open(path, name, options, _Layout(stated[1], after=number))
    candidates = [separator for separator in _SEPARATORS if separator in first]
    layouts = (_Layout(separator) for separator in candidates)
    alike = (layout for layout in layouts if _parts_alike(path, name, options.encoding, layout))
    return _open(path, name, options, next(alike, _Layout((candidates or [","])[0])))


def open_tsv(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a file of tab-separated values.

    Quotes have the same meaning as in CSV, unless that is impossible: if every line has the same number of fields, and
    some field begins with a quote without being quoted (`"Well," she said`), quotes are plain text, as in GLUE's files.
    """
    quotes_are_text = _quotes_are_text(line for _, line in read_lines(path, name, options.encoding))
    return _open(path, name, options, _Layout("\t", quotes_are_text))


_SEPARATORS = ",;\t|"
_STATED = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_SAMPLE = 100
"""How many records are looked at to tell the separator, and whether there is a header."""


@dataclass(frozen=True)
class _Layout:
    """How a file is laid out."""

    separator: str
    quotes_are_text: bool = False
    after: int = 0
    """The number of the line before the first record."""


def _parts_alike(path: Path, name: str, encoding: str, layout: _Layout) -> bool:
    """Whether the first records all have as many fields, and more than one."""
    try:
        widths = {len(record) for _, record in islice(_records(path, name, encoding, layout), _SAMPLE)}
    except DataError:
        return False
    return len(widths) == 1 and widths != {1}


def _open(path: Path, name: str, options: ReadOptions, layout: _Layout) -> TableFile:
    records = partial(_records, path, name, options.encoding, layout)
    found = next(records(), None)
    if found is None:
        raise DataError(f"{name}: is empty; give a file with rows, or leave it out")
    number, first = found
    headed = not columns_are_positions(options, name)
    missing_header_advice = partial(_missing_header_advice, records, name)
    columns = _named(first, name, number, missing_header_advice) if headed else tuple(map(str, range(len(first))))
    nameless = [place for place, column in enumerate(columns) if column.startswith(_NAMELESS)] if headed else []

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        rows = records()
        if headed:
            next(rows)
        return in_batches(_rows(columns, rows, name, options.on_bad_row, nameless), wanted)

    own = tuple(column for column in columns if not column.startswith(_NAMELESS)) if headed else columns
    return TableFile(path, name, "line", own, read, has_header=headed, missing_header_advice=missing_header_advice)


_NAMELESS = "\0"
"""Begins what columns without a name are called here; no text has it."""
_INDEX = "Unnamed: 0"
"""What pandas calls the nameless first column, in which it writes the numbers of the rows."""


def _missing_header_advice(records: Callable[[], Iterator[tuple[int, list[str]]]], name: str) -> str | None:
    """Return what to do if the first line seems to be an example and not a header; None if it seems to be one."""
    (number, first), *others = islice(records(), _SAMPLE)
    columns = list(zip(*(record for _, record in others if len(record) == len(first)), strict=True))
    recurs = any(cell and cell in column for cell, column in zip(first, columns, strict=False))
    if any(map(is_usual, first)) or not (recurs or any(map(_is_no_name, first))):
        return None
    text = max(range(len(first)), key=lambda place: len(first[place]))
    label = min(
        (place for place in range(len(first)) if place != text), key=lambda place: len(first[place]), default=None
    )
    places = f"data.text_column={text}" + ("" if label is None else f" data.label_column={label}")
    return (
        f"line {number} seems to be an example and no header ({', '.join(map(shown_name, first[:5]))}): give columns by "
        f"position, counted from 0, such as {places}, or add a line with their names"
    )


def _is_no_name(cell: str) -> bool:
    """Whether a cell can't well be the name of a column: a number, or a sentence."""
    try:
        float(cell)
    except ValueError:
        return len(cell) > _LONGEST_NAME or cell.rstrip().endswith((".", "!")) or len(cell.split()) > _MOST_WORDS
    return True


_LONGEST_NAME, _MOST_WORDS = 60, 6
"""What is longer is no name of a column."""


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


def columns_are_positions(options: ReadOptions, name: str) -> bool:
    """Whether columns are configured by position, which means that the file has no header."""
    given = [
        column for column in (options.text_column, options.label_column, *options.other_columns) if column is not None
    ]
    named, places = ([column for column in given if isinstance(column, kind)] for kind in (str, int))
    if named and places:
        raise DataError(
            f"{name}: columns are given by name ({named[0]}) and by position ({places[0]}); give all as names, or all as "
            "positions if the file has no header"
        )
    return bool(places)


def _records(path: Path, name: str, encoding: str, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of its first line, without blank lines."""
    csv.field_size_limit(LONGEST_FIELD)
    first_number = layout.after + 1 if layout.after else _first_line(path, name, encoding)[0]
    lines = (line + "\n" for number, line in read_lines(path, name, encoding) if number >= first_number)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if layout.quotes_are_text else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=layout.separator, quoting=quoting, strict=True)
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
        return "a quoted field continues after its closing quote; double quotes inside a field"
    if "new-line character" in reason:
        return "holds a carriage return outside quotes; write lines that end with a newline"
    return f"is not CSV ({reason})"


def _named(
    header: list[str], name: str, number: int, missing_header_advice: Callable[[], str | None]
) -> tuple[str, ...]:
    """Return the columns' names. A nameless first one is an index; other nameless ones must be empty below, as Excel's are."""
    names = tuple(field.strip() for field in header)
    twice = [column for column, count in Counter(names).items() if count > 1 and column]
    if twice or not any(names) or (not all(names[1:]) and len(names) == 2):
        fault = f"column {twice[0]!r} occurs twice" if twice else f"column {names.index('') + 1} has no name"
        raise DataError(f"{name}, line {number}: {fault}; {missing_header_advice() or 'name each column once'}")
    index = _INDEX if _INDEX not in names else f"{_NAMELESS}0"
    return tuple(column or (f"{_NAMELESS}{place}" if place else index) for place, column in enumerate(names))


def _rows(
    columns: Sequence[str],
    records: Iterable[tuple[int, list[str]]],
    name: str,
    on_bad_row: Callable[[DataError], None] | None,
    nameless: Sequence[int],
) -> Iterator[tuple[int, dict[str, str]]]:
    for number, record in records:
        try:
            yield number, _row(columns, record, name, number, nameless)
        except DataError as error:
            if on_bad_row is None:
                raise
            on_bad_row(error)


def _row(columns: Sequence[str], record: list[str], name: str, number: int, nameless: Sequence[int]) -> dict[str, str]:
    if len(record) != len(columns):
        raise DataError(
            f"{name}, line {number}: has {len(record)} fields where the first line has {len(columns)}; quote fields that "
            "hold the separator"
        )
    for place in nameless:
        if record[place].strip():
            raise DataError(
                f"{name}, line {number}: column {place + 1} holds {shown_name(record[place])!r} and has no name in the header; "
                "name it there, or give columns by position if there is no header"
            )
    return dict(zip(columns, record, strict=True))
