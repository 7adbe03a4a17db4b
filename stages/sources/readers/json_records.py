"""Read objects from JSON Lines or from a JSON array, one at a time. Each is a row, and its keys are the columns.

JSON is parsed strictly: no NaN, no duplicate keys, no half of a surrogate pair.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Never, TypeAlias

from stages.pipeline.errors import DataError
from stages.sources.readers.compression import suffix_inside
from stages.sources.readers.decoding import read_blocks, read_lines
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

JsonObject: TypeAlias = dict[str, object]


class NotJsonError(ValueError):
    """The text is not strict JSON. `place`: the position of the fault in characters, from 0, if it is known."""

    def __init__(self, reason: str, place: int | None = None) -> None:
        super().__init__(reason)
        self.place = place


def parse(text: str) -> object:
    """Parse one JSON value. Raises NotJsonError."""
    value, end = parse_at(text, skip_space(text, 0))
    rest = skip_space(text, end)
    if rest < len(text):
        raise NotJsonError("something follows its end", rest)
    return value


def parse_at(text: str, start: int) -> tuple[object, int]:
    """Parse the JSON value that begins at `start`; return it and where it ends. Raises NotJsonError."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise NotJsonError(error.msg[0].lower() + error.msg[1:], error.pos) from error
    except RecursionError as error:
        raise NotJsonError("its values are nested too deeply", start) from error
    except NotJsonError:
        raise
    except ValueError as error:  # a number with more digits than Python converts
        raise NotJsonError(str(error), start) from error
    may_hold_surrogates = text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0
    if may_hold_surrogates and not _is_unicode(value):
        raise NotJsonError(r"an escape such as \ud83d is half a character", start)
    return value, end


def skip_space(text: str, start: int) -> int:
    """Return the position of the first character from `start` on that is not JSON's white space."""
    while start < len(text) and text[start] in " \t\r\n":
        start += 1
    return start


def _without_repeats(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise NotJsonError(f"key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return found


def _no_constant(literal: str) -> Never:
    raise NotJsonError(f"{literal} is no JSON; write null where there is no value")


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise NotJsonError(f"{literal} is too large a number")
    return number


def _is_unicode(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_no_constant, parse_float=_finite)


LARGEST_ARRAY = 200_000_000
"""The most characters of a JSON file. Unlike JSON Lines, it is held in memory whole."""

_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_ONE_OBJECT = "every row must be one object of columns"
_HOW_TO_CONVERT = "write JSON Lines (one object a line; `jq -c '.[]'` converts) and name it .jsonl"


@dataclass(frozen=True)
class JsonFile:
    """A file of objects, and its layout."""

    path: Path
    name: str
    encoding: str
    layout: Literal["json", "jsonl"]
    refuse: Callable[[DataError], None] | None = None
    """What is done with a line that can't be read; None: the error is raised."""

    @property
    def unit(self) -> Literal["line", "row"]:
        """The unit that the records' numbers count."""
        return "line" if self.layout == "jsonl" else "row"

    def records(self) -> Iterator[tuple[int, JsonObject]]:
        """Yield each object with its number; a pair `[text, object]` (spaCy 2) is an object with the key `text`.

        Raises DataError naming the line or row, and for a file without any.
        """
        numbered = _of_lines(self) if self.layout == "jsonl" else _of_array(self)
        found = False
        for number, element in numbered:
            value = _from_pair(element)
            if not isinstance(value, dict):
                is_array = self.layout == "jsonl" and isinstance(value, list)
                hint = "if the file is one array, set data.format=json" if is_array else _ONE_OBJECT
                fault = DataError(f"{self.name}, {self.unit} {number}: is {_kind(value)}, not an object; {hint}")
                if self.refuse is None or self.layout == "json":
                    raise fault
                self.refuse(fault)
                continue
            found = True
            yield number, value
        if not found:
            raise DataError(f"{self.name}: holds no object; give a file with rows, or leave it out")


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
    if not isinstance(value, dict):
        return "json"
    is_alone = next(lines, None) is None
    is_wrapper = len(_lists_in(value)) == 1 and not isinstance(value.get("text"), str)
    return "json" if is_alone and is_wrapper else "jsonl"


def _of_lines(file: JsonFile) -> Iterator[tuple[int, object]]:
    for number, line in read_lines(file.path, file.name, file.encoding):
        if line.strip():
            try:
                yield number, parse(line)
            except NotJsonError as error:
                place = "" if error.place is None else f" at character {error.place + 1}"
                fault = DataError(f"{file.name}, line {number}: is not JSON ({error}){place}")
                if file.refuse is None:
                    raise fault from error
                file.refuse(fault)


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
    lists = _lists_in(value)
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


def _lists_in(value: object) -> list[list[object]]:
    """Return the lists of objects among an object's values; one of pairs counts alone, whatever is beside it."""
    if not isinstance(value, dict):
        return []
    lists = [item for item in value.values() if isinstance(item, list)]
    of_pairs = [items for items in lists if items and all(map(_is_pair, items))]
    if len(of_pairs) == 1:
        return of_pairs
    return (
        [items for items in lists if items and all(isinstance(item, dict) for item in items)]
        if len(lists) == 1
        else lists
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
    """Open a file of objects. The first one's keys are the columns; what a later one lacks is None."""
    file = JsonFile(path, name, options.encoding, layout, options.refuse)
    _, first = next(file.records())

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(file.records(), wanted)

    return TableFile(path, name, file.unit, tuple(first), read)
