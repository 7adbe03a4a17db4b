"""Read what is to be predicted, in every form that download reads and as plain text, a bounded number of rows at a time."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal, TypeAlias, get_args

import pyarrow as pa

from stages.columns.names import TOKENS
from stages.configuration.schema import Format, Kind
from stages.pipeline.digests import files_below
from stages.pipeline.errors import DataError
from stages.sources.column_names import (
    TEXTS,
    WORDS,
    AmbiguousColumnError,
    Ranks,
    named_column,
    usual_column,
    usual_pair,
)
from stages.sources.joined_words import words_between_spaces
from stages.sources.list_notations import parsed_list
from stages.sources.readers.compression import suffix_inside
from stages.sources.readers.conll import LINES, holds_tagged_words
from stages.sources.readers.decoding import read_blocks, read_lines
from stages.sources.readers.formats import open_table
from stages.sources.readers.json_records import JsonFile, layout_of
from stages.sources.readers.labelled_lines import begins_like_fasttext, open_fasttext
from stages.sources.readers.offset_units import Interval
from stages.sources.readers.span_tags import words_in
from stages.sources.readers.table_file import Column, ReadOptions, Rows, TableFile, in_batches
from stages.sources.readers.text_folders import natural_key

log = logging.getLogger("stages.predict")

InputFormat: TypeAlias = Literal["auto", "text", "csv", "tsv", "json", "jsonl", "parquet", "arrow", "conll", "folder"]
FORMATS = get_args(InputFormat)
STANDARD_INPUT = Path("-")

_TEXT_FILE = ".txt"
_JSON_FILES = frozenset({".json", ".jsonl", ".ndjson"})
_CONLLU_FILE = ".conllu"
_CONLL_FILES = frozenset({".conll", ".conll2003", ".iob", ".iob2", ".bio", _CONLLU_FILE})
_MAYBE_CONLL = frozenset({_TEXT_FILE, ".tsv", ".tab"})
"""What files of words are named too, as download reads them."""
_LIST_STARTS = ("['", '["')
"""How a list of words begins that stands in a cell as text."""
_LINE = "text"
"""The column of a file that has one text a line."""
_FILE = "file"
"""The column of a folder that names the file of each text."""


@dataclass(frozen=True)
class InputOptions:
    """How inputs are read."""

    kind: Kind
    of_words: bool
    """Whether the model labels words."""
    format: InputFormat = "auto"
    encoding: str = "utf-8"
    text_column: str | None = None
    """The column of texts or words; None: the usual names."""
    pair_column: str | None = None
    refuse: Callable[[DataError], None] | None = None
    """What is done with a row that can't be read; None: the error is raised."""
    pairs: bool | None = None
    """Whether the model takes pairs of texts. None is not known: pairs are taken where the file has the usual columns."""


@dataclass(frozen=True)
class Inputs:
    """Some consecutive rows. All fields have one entry a row."""

    own: Mapping[str, Column]
    """The input's own columns, in its order. Those of Parquet and Arrow keep their types."""
    places: Sequence[str]
    """The name of each row in messages."""
    texts: Sequence[str] | None = None
    pairs: Sequence[str] | None = None
    words: Sequence[Sequence[str]] | None = None
    """The words of each row, where words are labelled."""
    spans: Sequence[Sequence[Interval]] | None = None
    """Where each word begins and ends in its text; None where the input has words and no text."""
    lines: Sequence[Sequence[str]] | None = None
    """The line of each word in a CoNLL file."""


def read_inputs(path: Path, options: InputOptions, name: str | None = None) -> Iterator[Inputs]:
    """Yield the rows of a file, a folder of `.txt` files or (`-`) standard input. Raise DataError naming file and row.

    `name`: what messages call the file.
    """
    if path == STANDARD_INPUT:
        yield from _standard_input(options)
        return
    name = name or str(path)
    if not path.exists():
        raise DataError(f"{name}: there is no such file or folder; give one with texts, or - for standard input")
    chosen = _format_of(path, name, options)
    if chosen == "conll" and options.of_words:
        yield from _conll(path, name, options)
        return
    file = {"text": _text_file, "folder": _text_folder}.get(chosen, _table)(path, name, options)
    columns = _chosen_columns(file, options)
    if options.pairs and columns.pair is None:
        raise DataError(
            f"{name}: has no second texts, and the model was trained on pairs; name their column in --pair-column"
        )
    if columns.pair is not None:
        log.info("%s: pairs of %s and %s", name, columns.input, columns.pair)
    found = False
    for rows in file.read(file.columns):
        made = _inputs(rows, file, columns, options)
        found = found or bool(made.places)
        yield made
    if not found:
        raise DataError(f"{name}: holds no row that can be read; give a file with texts")


def _standard_input(options: InputOptions) -> Iterator[Inputs]:
    """Read standard input through a file: readers look at one more than once."""
    with NamedTemporaryFile(suffix=_TEXT_FILE if options.format in ("auto", "text") else f".{options.format}") as file:
        while block := sys.stdin.buffer.read(1 << 20):
            file.write(block)
        file.flush()
        yield from read_inputs(Path(file.name), options, "standard input")


def _format_of(path: Path, name: str, options: InputOptions) -> InputFormat:
    if options.format != "auto":
        return options.format
    if path.is_dir():
        return "auto" if (path / "state.json").exists() else "folder"
    suffix = suffix_inside(path.name)
    if suffix in _CONLL_FILES:
        return "conll"
    if options.of_words and suffix in _MAYBE_CONLL and holds_tagged_words(path, name, options.encoding):
        log.info("%s: is read as CoNLL, since its lines end with tags; --format text takes each line as a text", name)
        return "conll"
    return "text" if suffix == _TEXT_FILE else "auto"


def _table(path: Path, name: str, options: InputOptions) -> TableFile:
    """Open a table. Words are chosen among its columns like texts, so that the reader takes it as one of texts."""
    format: Format = options.format if options.format in get_args(Format) else "auto"  # type: ignore[assignment]
    file = open_table(path, name, ReadOptions("text", format, options.encoding, on_bad_row=options.refuse))
    if format not in ("json", "jsonl") and suffix_inside(path.name) not in _JSON_FILES:
        return file
    layout = format if format in ("json", "jsonl") else layout_of(path, name, options.encoding)
    rows = JsonFile(path, name, options.encoding, layout, options.refuse, takes_arrays=True).records()
    return replace(
        file, columns=tuple(dict.fromkeys(chain.from_iterable(row for _, row in rows)))
    )  # a later row may have more keys


def _text_file(path: Path, name: str, options: InputOptions) -> TableFile:
    """Open a file with one text a line. Blank lines are left out, and labels of fastText are no text."""
    if options.format == "auto" and not options.of_words and begins_like_fasttext(path, name, options.encoding):
        log.info("%s: is read as fastText, since it begins with a label; --format text takes each line as a text", name)
        return open_fasttext(path, name, ReadOptions("text", "fasttext", options.encoding, target="labels"))

    def rows() -> Iterator[tuple[int, Mapping[str, object]]]:
        for number, line in read_lines(path, name, options.encoding):
            text = line.removesuffix("\r")
            if text.strip():
                yield number, {_LINE: text}

    return TableFile(path, name, "line", (_LINE,), lambda wanted: in_batches(rows(), wanted))


def _text_folder(path: Path, name: str, options: InputOptions) -> TableFile:
    """Open a folder whose `.txt` files, at any depth, are a text each."""
    files = sorted(
        (file for file in files_below(path) if file.name.endswith(_TEXT_FILE)),
        key=lambda file: natural_key(file.relative_to(path).as_posix()),
    )
    if not files:
        raise DataError(f"{name}: holds no {_TEXT_FILE} file; name a file, or a folder of such")

    def rows() -> Iterator[tuple[int, Mapping[str, object]]]:
        for number, file in enumerate(files, 1):
            inside = file.relative_to(path).as_posix()
            yield number, {_FILE: inside, _LINE: "".join(read_blocks(file, f"{name}/{inside}", options.encoding))}

    return TableFile(path, name, "file", (_FILE, _LINE), lambda wanted: in_batches(rows(), wanted))


@dataclass(frozen=True)
class _Columns:
    input: str
    pair: str | None = None
    holds_words: bool = False


def _chosen_columns(file: TableFile, options: InputOptions) -> _Columns:
    """Choose the columns as download does. Where words are labelled, a column of words comes before one of texts."""
    text, pair = (
        None if name is None else _found(file, key, [[name]], named_column(file.columns, name))
        for name, key in ((options.text_column, "--text-column"), (options.pair_column, "--pair-column"))
    )
    if text is not None:
        return _Columns(text, pair, options.of_words and usual_column([text], WORDS) is not None)
    if options.of_words and (word := usual_column(file.columns, WORDS)) is not None:
        return _Columns(word, holds_words=True)
    if not options.of_words and options.pairs is not False and (found := usual_pair(file.columns, pair)) is not None:
        return _Columns(*found)
    others = [name for name in file.columns if name != pair]
    try:
        usual = usual_column(others, TEXTS)
    except AmbiguousColumnError as error:
        raise DataError(f"{file.name}: columns {error} are equally likely; set --text-column to one of them") from error
    return _Columns(_found(file, "--text-column", TEXTS, usual), pair)


def _found(file: TableFile, key: str, ranks: Ranks, column: str | None) -> str:
    if column is not None:
        return column
    wanted = " or ".join(names[0] for names in ranks)
    raise DataError(f"{file.name}: has no column {wanted}; set {key} to one of {', '.join(file.columns)}")


def _inputs(rows: Rows, file: TableFile, columns: _Columns, options: InputOptions) -> Inputs:
    lists = {name: listed(column) for name, column in rows.columns.items()}
    places = _places(rows, file)
    wanted = [columns.input, *([columns.pair] if columns.pair else [])]
    is_right = _are_words if columns.holds_words else _is_text
    kept = list(range(len(places)))
    for name in wanted:
        kept = [row for row in kept if _accepted(lists[name][row], is_right, places[row], name, options)]
    lists = {name: [column[row] for row in kept] for name, column in lists.items()}
    own: dict[str, Column] = {
        name: lists[name] if isinstance(column, list) else column.take(pa.array(kept, pa.int64()))
        for name, column in rows.columns.items()
    }
    places = [places[row] for row in kept]
    if columns.holds_words:
        return Inputs(own, places, words=[_words_of(value) or () for value in lists[columns.input]])
    texts: list[str] = lists[columns.input]  # type: ignore[assignment]
    if not options.of_words:
        return Inputs(own, places, texts, lists[columns.pair] if columns.pair else None)  # type: ignore[arg-type]
    return replace(split_into_words(texts), own=own, places=places)


def split_into_words(texts: Sequence[str]) -> Inputs:
    """Split texts into the words that a model labels."""
    spans = [words_in(text) for text in texts]
    words = [[text[start:end] for start, end in of_text] for text, of_text in zip(texts, spans, strict=True)]
    return Inputs({}, [], texts, words=words, spans=spans)


def _places(rows: Rows, file: TableFile) -> list[str]:
    if file.unit == _FILE:
        return [f"{file.name}/{inside}" for inside in listed(rows.columns[_FILE])]
    return [f"{file.name}, {file.unit} {number}" for number in rows.numbers]


def listed(column: Column) -> list[object]:
    """Return a column as a list of Python's values."""
    return column if isinstance(column, list) else column.to_pylist()


def _accepted(value: object, is_right: Callable[[object], bool], place: str, name: str, options: InputOptions) -> bool:
    if is_right(value):
        return True
    shown = "nothing" if value is None or value == "" else repr(value)[:40]
    error = DataError(f"{place}: {name} holds {shown}, not {'words' if is_right is _are_words else 'text'}; correct it")
    if options.refuse is None:
        raise error
    options.refuse(error)
    return False


def _is_text(value: object) -> bool:
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _are_words(value: object) -> bool:
    return _words_of(value) is not None


def _words_of(value: object) -> Sequence[str] | None:
    """Return a list of words; None if it is none. A cell of CSV has a list as text, or words joined by spaces."""
    if isinstance(value, str):
        found = parsed_list(value) if value.lstrip().startswith("[") else None
        if found is None:
            return None if value.lstrip().startswith(_LIST_STARTS) else words_between_spaces(value)
        value = found
    return value if isinstance(value, list) and all(isinstance(word, str) for word in value) else None


def _conll(path: Path, name: str, options: InputOptions) -> Iterator[Inputs]:
    """Read sentences of one word a line as download reads those of a test split, whose words may have no tags."""
    column = options.text_column
    place = int(column) if column is not None and column.removeprefix("-").isdecimal() else column
    format: Format = "conllu" if suffix_inside(path.name) == _CONLLU_FILE else "conll"
    beside = None  # tags are not asked for, and must not be the words
    if isinstance(place, int) and place != 0:
        beside = -1 if place < -1 else 0
    reading = ReadOptions(options.kind, format, options.encoding, place, beside, split="test")
    file = open_table(path, name, reading)
    for rows in file.read((TOKENS, LINES)):
        words, lines = (listed(rows.columns[column]) for column in (TOKENS, LINES))
        yield Inputs({}, _places(rows, file), words=words, lines=lines)  # type: ignore[arg-type]
