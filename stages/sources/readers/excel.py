"""Read a sheet of an Excel workbook (`.xlsx`, `.xlsm`) as rows of text, as CSV has them."""

import datetime as dt
import logging
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from stages.pipeline.errors import DataError
from stages.sources.readers.compression import open_seekable
from stages.sources.readers.delimited import columns_are_positions
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

log = logging.getLogger("stages.sources")

LARGEST_MEMBER = 1 << 30
"""The most bytes that a part of a workbook may unpack to. The texts of all sheets are one part, held in memory."""
BOMB_BYTES = 100_000_000
BOMB_RATIO = 300
"""The largest ratio of unpacked to packed size, once more than `BOMB_BYTES` are unpacked. Excel's own is below 100."""

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
"""A character that XML can't hold, as Excel writes it."""


def open_excel(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open the first sheet, or the one that `data.sheet` names; its first row that is not blank names the columns.

    Values are text: a number without fraction has no decimals, dates are ISO 8601, booleans `TRUE` and `FALSE` as in the
    CSV that Excel writes, a blank cell is empty. Blank rows are left out, as is a first column without a name that
    counts the rows. Raises DataError naming file and row for a cell with an error, a formula whose value Excel has not
    stored, and a value in a column without a name.
    """
    with _workbook(path, name, formulas=False) as book:
        sheet = _chosen_sheet(book, name, options.sheet)
    records = partial(_records, path, name, sheet)
    number, first = next(records(), (0, []))
    if not first:
        raise DataError(f"{name}: its sheet {sheet!r} is empty; name another with data.sheet")
    headed = not columns_are_positions(options, name)
    header = [cell.strip() for cell in first] if headed else [str(place) for place in range(len(first))]
    twice = [column for column, count in Counter(header).items() if count > 1 and column]
    if twice:
        raise DataError(f"{name}, row {number}: column {twice[0]!r} occurs twice; name each column once")
    columns = tuple(column for column in header if column)

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        rows = records()
        if headed:
            next(rows)
        return in_batches(_rows(rows, header, name), wanted)

    return TableFile(path, name, "row", columns, read)


def _rows(
    records: Iterator[tuple[int, list[str]]], header: Sequence[str], name: str
) -> Iterator[tuple[int, dict[str, object]]]:
    for count, (number, cells) in enumerate(records):
        for place, (column, cell) in enumerate(zip_longest(header, cells, fillvalue="")):
            counts_rows = place == 0 and cell in (str(count), str(count + 1))
            if cell and not column and not counts_rows:
                raise DataError(
                    f"{name}, row {number}: cell {_letters(place)}{number} is in a column without a name (a merged header "
                    "names only its first column); name every column"
                )
        padded = [*cells, *[""] * (len(header) - len(cells))]
        yield number, {column: cell for column, cell in zip(header, padded, strict=False) if column}


def _records(path: Path, name: str, sheet: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, as text and without the blank cells at its end, with its number in the sheet."""
    with _workbook(path, name, formulas=False) as book, _formulas(path, name, sheet) as formulas:
        for number, row in enumerate(_sheet(book, sheet, name).iter_rows(), start=1):
            cells = ["" if cell.value is None else _text(cell, f"{name}, row {number}") for cell in row]
            blank = [place for place, cell in enumerate(row) if _may_be_uncomputed(cell)]
            if blank:
                formulas.refuse_among(number, blank)
            while cells and not cells[-1].strip():
                cells.pop()
            if cells:
                yield number, cells


class _Formulas:
    """The formulas of a sheet, which is read a second time as far as that is needed: up to the last blank cell."""

    def __init__(self, path: Path, name: str, sheet: str) -> None:
        self._path, self._name, self._sheet = path, name, sheet
        self._rows: Iterator[Any] | None = None
        self._number = 0
        self._book: Any = None

    def refuse_among(self, number: int, places: Sequence[int]) -> None:
        """Raise DataError if a cell that seems blank has a formula. Rows must be asked for in order."""
        if self._rows is None:
            self._book = _workbook(self._path, self._name, formulas=True)
            self._rows = iter(_sheet(self._book.__enter__(), self._sheet, self._name).iter_rows())
        row: Sequence[Any] = ()
        while self._number < number:
            row = next(self._rows, ())
            self._number += 1
        for place in places:
            if place < len(row) and row[place].data_type == "f":
                raise DataError(
                    f"{self._name}, row {number}: cell {_letters(place)}{number} holds a formula whose value is not stored; "
                    "open the file in Excel or LibreOffice and save it, or paste the values"
                )

    def close(self) -> None:
        if self._book is not None:
            self._book.__exit__(None, None, None)


@contextmanager
def _formulas(path: Path, name: str, sheet: str) -> Iterator[_Formulas]:
    formulas = _Formulas(path, name, sheet)
    try:
        yield formulas
    finally:
        formulas.close()


@contextmanager
def _workbook(path: Path, name: str, *, formulas: bool) -> Iterator[Any]:
    """Open a workbook to be read row by row; a compressed one is unpacked to disk first.

    Raises DataError for what is no workbook, also while it is read.
    """
    import openpyxl  # costs a third of a second

    with open_seekable(path, name) as file:
        try:
            _refuse_bombs(file, name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of styles and extensions that it does not know
                book = openpyxl.load_workbook(file, read_only=True, data_only=not formulas, keep_links=False)
            try:
                yield book
            finally:
                book.close()
        except DataError:
            raise
        except Exception as error:  # it raises whatever a damaged part leads to, such as KeyError
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(
                f"{name}: can't be read as an Excel workbook ({reason}); open it in Excel and save it again"
            ) from error


def _refuse_bombs(file: IO[bytes], name: str) -> None:
    """Raise DataError for parts that unpack to far more than they are, and for XML that defines entities."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        packed = file.seek(0, 2)
        unpacked = sum(member.file_size for member in members)
        is_bomb = unpacked > max(BOMB_BYTES, BOMB_RATIO * packed)
        if is_bomb or any(member.file_size > LARGEST_MEMBER for member in members):
            raise DataError(
                f"{name}: unpacks to {unpacked:,} bytes, far more than its size ({packed:,}); save the sheet as CSV if you "
                "trust it"
            )
        for member in members:
            if member.filename.endswith((".xml", ".rels")) and _has_doctype(archive, member):
                raise DataError(f"{name}: its part {member.filename} defines entities, which workbooks may not")
    file.seek(0)


def _has_doctype(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    with archive.open(member) as part:
        return b"<!DOCTYPE" in part.read(1024)


def _chosen_sheet(book: Any, name: str, wanted: str | None) -> str:
    sheets = [sheet.title for sheet in book.worksheets]
    if not sheets:
        raise DataError(f"{name}: has no sheet with cells; save the table as CSV")
    if wanted is not None and wanted not in sheets:
        raise DataError(f"{name}: has no sheet {wanted!r}; set data.sheet to one of {', '.join(map(repr, sheets))}")
    if wanted is None and len(sheets) > 1:
        log.info("%s: sheet %r, the first of %d (%s)", name, sheets[0], len(sheets), ", ".join(sheets))
    return str(sheets[0] if wanted is None else wanted)


def _sheet(book: Any, sheet: str, name: str) -> Any:
    found = book[sheet]
    found.reset_dimensions()  # what a file says about its size may be wrong
    return found


def _may_be_uncomputed(cell: Any) -> bool:
    """Whether a cell without a value is in the file at all. A computed empty text has the type of a text."""
    from openpyxl.cell.read_only import EMPTY_CELL

    return cell.value is None and cell is not EMPTY_CELL and cell.data_type == "n"


def _text(cell: Any, where: str) -> str:
    """Return a cell's value as text."""
    if cell.data_type == "e":
        raise DataError(f"{where}: cell {cell.coordinate} holds the error {cell.value}; correct it")
    match cell.value:
        case str() as text:
            return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        case bool() as truth:
            return str(truth).upper()
        case float() as number if number.is_integer() and abs(number) < _LARGEST_WHOLE:
            return str(int(number))
        case dt.datetime() as time:
            return time.isoformat() if _shows_time(cell.number_format) else time.date().isoformat()
        case dt.date() | dt.time() as time:
            return time.isoformat()
    return str(cell.value)


_LARGEST_WHOLE = 1e15
"""From here on a number has more digits than Excel keeps."""
_QUOTED_IN_FORMAT = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')


def _shows_time(number_format: str) -> bool:
    """Whether a format for dates has hours."""
    return "h" in _QUOTED_IN_FORMAT.sub("", number_format.lower())


def _letters(place: int) -> str:
    """Return a column's letters, such as `AB`."""
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(place + 1))
