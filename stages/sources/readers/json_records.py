"""Read objects from JSON Lines or from a JSON array, one at a time. Each is a row, and its keys are the columns.

Rows of texts may be arrays of values as well.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TypeGuard

from stages.configuration.schema import Split
from stages.pipeline.errors import DataError
from stages.sources.column_names import is_usual
from stages.sources.readers.compression import suffix_inside
from stages.sources.readers.decoding import read_blocks, read_lines
from stages.sources.readers.strict_json import JsonObject, NotJsonError, parse, parse_at, skip_space
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

log = logging.getLogger("stages.sources")

LARGEST_ARRAY = 200_000_000
"""The most characters of a JSON file. Unlike JSON Lines, it is held in memory whole."""

_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_ONE_OBJECT = "every row must be one object of columns"
_HOW_TO_CONVERT = "write JSON Lines (one object per line; `jq -c '.[]'` converts) and name it .jsonl"


@dataclass(frozen=True)
class JsonFile:
    """A file of objects, and its layout."""

    path: Path
    name: str
    encoding: str
    layout: Literal["json", "jsonl"]
    on_bad_row: Callable[[DataError], None] | None = None
    """Called with the error of a line that can't be read. None: the error is raised."""
    split: Split | None = None
    """The split to read, of an object that holds a list for each."""
    takes_arrays: bool = False
    """Whether rows may be arrays of plain values, such as `[text, label]`."""
    by_position: bool = False
    """Whether the columns of such rows are named by their position, and not `text` and `label`."""

    @property
    def unit(self) -> Literal["line", "row"]:
        """The unit that the records' numbers count."""
        return "line" if self.layout == "jsonl" else "row"

    def accepted(self) -> Iterator[tuple[int, JsonObject]]:
        """Yield the records that the annotator has not rejected or skipped (Prodigy's `answer`). The log tells of the others."""
        rejected = 0
        for number, row in self.records():
            if row.get("answer") in ("reject", "ignore"):
                rejected += 1
            else:
                yield number, row
        if rejected:
            log.info("%s: left out %d rows that the annotator rejected or ignored", self.name, rejected)

    def records(self) -> Iterator[tuple[int, JsonObject]]:
        """Yield each object with its number; a pair `[text, object]` (spaCy 2) is an object with the key `text`.

        Raises DataError naming the line or row, and for a file without any.
        """
        numbered = _of_lines(self) if self.layout == "jsonl" else _of_array(self)
        found = False
        names: Sequence[str] | None = None
        for number, element in numbered:
            if isinstance(element, dict) and names is None:  # as nearly all are
                found = True
                yield number, element
                continue
            value = _from_pair(element)
            if self.takes_arrays and names is None and not found and _is_array_row(value):
                if header := _as_header(value):
                    names = header
                    continue
                names = self._array_columns(value)
            fault = self._fault(value, names, number)
            if fault is not None:
                if self.on_bad_row is None or self.layout == "json":
                    raise fault
                self.on_bad_row(fault)
                continue
            found = True
            assert isinstance(value, dict | list)
            yield number, value if isinstance(value, dict) else dict(zip(names or (), value, strict=True))
        if not found:
            raise DataError(f"{self.name}: holds no object; give a file with rows, or leave it out")

    def _array_columns(self, row: list[object]) -> Sequence[str]:
        return _PAIR if len(row) == len(_PAIR) and not self.by_position else list(map(str, range(len(row))))

    def _fault(self, value: object, names: Sequence[str] | None, number: int) -> DataError | None:
        """Return what is wrong with a row. `names`: of the values of rows that are arrays; None if rows are objects."""
        where = f"{self.name}, {self.unit} {number}"
        if names is None:
            if isinstance(value, dict):
                return None
            is_array = self.layout == "jsonl" and isinstance(value, list)
            hint = "if the file is one array, set data.format=json" if is_array else _ONE_OBJECT
            return DataError(f"{where}: is {_kind(value)}, not an object; {hint}")
        if not _is_array_row(value):
            return DataError(
                f"{where}: is {_kind(value)}, not an array of plain values like those before it; give all rows the same form"
            )
        if len(value) != len(names):
            return DataError(
                f"{where}: has {len(value)} values where those before it have {len(names)}; give all rows the same form"
            )
        return None


_PAIR = ("text", "label")
"""What the values of rows that are arrays of two are."""


def _is_array_row(value: object) -> TypeGuard[list[object]]:
    """Whether a row is an array of plain values, one of them a text."""
    if not isinstance(value, list) or len(value) < len(_PAIR):
        return False
    are_plain = all(item is None or isinstance(item, str | int | float) for item in value)
    return are_plain and any(isinstance(item, str) for item in value)


def _as_header(row: list[object]) -> list[str] | None:
    """Return the names of columns, if the first row has them."""
    names = [item for item in row if isinstance(item, str) and is_usual(item)]
    return names if len(names) == len(row) else None


def layout_of(path: Path, name: str, encoding: str) -> Literal["json", "jsonl"]:
    """Tell an array, or an object that holds one, from JSON Lines, which many `.json` files are.

    A single object with a text is a row, even if it holds a list (of spans).
    """
    if suffix_inside(path.name) in _LINES_SUFFIXES:
        return "jsonl"
    lines = (line for _, line in read_lines(path, name, encoding) if line.strip())
    first = next(lines, "")
    try:
        value = parse(first)
    except NotJsonError:
        return "json"  # it ends on a later line, or is broken, which the reader will report
    is_alone = next(lines, None) is None
    if not isinstance(value, dict):
        return "json" if is_alone or not _is_array_row(value) else "jsonl"
    is_wrapper = bool(_by_split(value)) or len(_lists_in(value)) == 1
    return "json" if is_alone and is_wrapper and not isinstance(value.get("text"), str) else "jsonl"


def _of_lines(file: JsonFile) -> Iterator[tuple[int, object]]:
    for number, line in read_lines(file.path, file.name, file.encoding):
        if line.strip():
            try:
                yield number, parse(line)
            except NotJsonError as error:
                place = "" if error.place is None else f" at character {error.place + 1}"
                fault = DataError(f"{file.name}, line {number}: is not JSON ({error}){place}")
                if file.on_bad_row is None:
                    raise fault from error
                file.on_bad_row(fault)


def _of_array(file: JsonFile) -> Iterator[tuple[int, object]]:
    text = _whole(file)
    start = skip_space(text, 0)
    if text.startswith("[", start):
        yield from _elements(file, text, start)
        return
    try:
        value = parse(text)
    except NotJsonError as error:
        raise _fault(file, text, error) from error
    lists = _chosen_lists(file, value)
    if len(lists) != 1:
        raise DataError(
            f"{file.name}: expected an array of objects, or an object that holds exactly one; got {_kind(value)} with "
            f"{len(lists)}; {_HOW_TO_CONVERT}"
        )
    yield from enumerate(lists[0], start=1)


def _elements(file: JsonFile, text: str, start: int) -> Iterator[tuple[int, object]]:
    """Yield an array's elements as they are parsed, so that an error names its row."""
    row = 0
    place = skip_space(text, start + 1)
    try:
        if not text.startswith("]", place):
            while True:
                row += 1
                value, place = parse_at(text, place)
                yield row, value
                place = skip_space(text, place)
                if not text.startswith(",", place):
                    break
                place = skip_space(text, place + 1)
        if not text.startswith("]", place):
            raise NotJsonError("the array does not end with ]" if place >= len(text) else "expecting , or ]", place)
        if (rest := skip_space(text, place + 1)) < len(text):
            raise NotJsonError("something follows the end of the array", rest)
    except NotJsonError as error:
        raise _fault(file, text, error, place, row) from error


def _whole(file: JsonFile) -> str:
    blocks: list[str] = []
    length = 0
    for block in read_blocks(file.path, file.name, file.encoding):
        blocks.append(block)
        length += len(block)
        if length > LARGEST_ARRAY:
            raise DataError(
                f"{file.name}: holds more than {LARGEST_ARRAY:,} characters, too many to hold in memory; {_HOW_TO_CONVERT}"
            )
    return "".join(blocks)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)


def _from_pair(value: object) -> object:
    if not _is_pair(value):
        return value
    assert isinstance(value, list)
    return {"text": value[0], **{key: item for key, item in value[1].items() if key != "text"}}


def _chosen_lists(file: JsonFile, value: object) -> list[list[object]]:
    """Return the list of rows in an object; of several splits, the one to read. More or less than one is a fault."""
    splits = _by_split(value)
    if len(splits) < 2:
        return list(splits.values()) or _lists_in(value)
    chosen = [
        rows for name, rows in splits.items() if file.split is not None and name.lower() in _SPLIT_NAMES[file.split]
    ]
    if len(chosen) != 1:
        wanted = "one split alone" if file.split is None else f"one of {', '.join(_SPLIT_NAMES[file.split])}"
        raise DataError(
            f"{file.name}: holds lists {', '.join(splits)}, and {wanted} was expected; write it to a file of its own"
        )
    return chosen


_SPLIT_NAMES: Mapping[Split, Sequence[str]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
}
"""What an object with a list for each split may call them."""
_WRAPPERS = frozenset({"data", "rows", "examples", "items", "records", *chain.from_iterable(_SPLIT_NAMES.values())})
"""What an object may call its list of arrays, so that a row with a list of spans is not taken for it."""


def _by_split(value: object) -> dict[str, list[object]]:
    """Return the lists of rows of an object that has one for each split, by their names."""
    if not isinstance(value, dict):
        return {}
    known = set(chain.from_iterable(_SPLIT_NAMES.values()))
    return {
        name: items
        for name, items in value.items()
        if name.lower() in known and isinstance(items, list) and items and _are_rows(name, items)
    }


def _lists_in(value: object) -> list[list[object]]:
    """Return the lists of rows among an object's values; one of pairs counts alone, whatever is beside it."""
    if not isinstance(value, dict):
        return []
    lists = {name: item for name, item in value.items() if isinstance(item, list)}
    of_pairs = [items for items in lists.values() if items and all(map(_is_pair, items))]
    if len(of_pairs) == 1:
        return of_pairs
    if len(lists) != 1:
        return list(lists.values())
    return [items for name, items in lists.items() if items and _are_rows(name, items)]


def _are_rows(name: str, items: list[object]) -> bool:
    return all(isinstance(item, dict) for item in items) or (
        name.lower() in _WRAPPERS and all(map(_is_array_row, items))
    )


def _fault(file: JsonFile, text: str, error: NotJsonError, start: int = 0, row: int = 0) -> DataError:
    place = start if error.place is None else error.place
    where = f", row {row}" if row else ""
    line = "" if error.place is None and not row else f", line {text.count(chr(10), 0, place) + 1}"
    first, _, rest = text.strip().partition("\n")
    looks_like_lines = first.rstrip().endswith("}") and rest.lstrip().startswith("{")
    hint = "; this looks like JSON Lines: set data.format=jsonl" if looks_like_lines else ""
    return DataError(f"{file.name}{where}{line}: is not JSON ({error}){hint}")


def _kind(value: object) -> str:
    kinds = {
        dict: "an object",
        list: "an array",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), "null")


def open_json(path: Path, name: str, options: ReadOptions, layout: Literal["json", "jsonl"]) -> TableFile:
    """Open a file of objects, or of arrays such as `[text, label]`.

    The first object's keys are the columns; what a later one lacks is None. Arrays have the columns `text` and `label` if they
    are of two values and columns are not configured by position, else their positions; a first array of usual names is a header.
    Rows of Prodigy that the annotator rejected or skipped are left out of the splits, since their label is not theirs.
    """
    configured = (options.text_column, options.label_column, *options.other_columns)
    file = JsonFile(
        path,
        name,
        options.encoding,
        layout,
        options.on_bad_row,
        options.split,
        takes_arrays=not options.labels_words,
        by_position=any(isinstance(column, int) for column in configured),
    )
    columns = tuple(next(file.records())[1])
    is_annotated = options.split is not None and _PRODIGYS in columns  # rows to be predicted are all kept
    records = file.accepted if is_annotated else file.records
    if columns == _PAIR and _begins_with_array(file):
        _refuse_reversed(file)

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(records(), wanted)

    return TableFile(path, name, file.unit, columns, read)


_SAMPLE = 100
_PRODIGYS = "_task_hash"
"""A key of every row of Prodigy, whose `answer` says whether its label is right. That of others may be anything."""


def _begins_with_array(file: JsonFile) -> bool:
    """Whether the first row may be an array, as its file's first characters tell: a second look at all of it takes time."""
    head = next(read_blocks(file.path, file.name, file.encoding), "")[:_HEAD]
    return re.search(r"^\s*\[" if file.layout == "jsonl" else r"\[\s*\[", head) is not None


_HEAD = 4096


def _refuse_reversed(file: JsonFile) -> None:
    """Raise DataError for arrays that seem to be `[label, text]`: the second values differ more than the first do."""
    numbered = _of_lines(file) if file.layout == "jsonl" else _of_array(file)
    rows = [value for _, value in islice(numbered, _SAMPLE) if _is_array_row(value) and len(value) == len(_PAIR)]
    texts, labels = ({repr(row[place]) for row in rows} for place in (0, 1))
    if len(labels) > len(texts) and _as_header(rows[0]) is None:
        raise DataError(
            f"{file.name}: its rows seem to be [label, text], since the second values differ more; give their positions, "
            "data.text_column=1 data.label_column=0 (or 0 and 1 if they are [text, label])"
        )
