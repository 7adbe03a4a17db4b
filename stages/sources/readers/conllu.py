"""CoNLL-U, the format of Universal Dependencies: ten columns a word, separated by tabs."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.sources.readers.base import ReadOptions, Rows, TableFile
from stages.sources.readers.batches import in_batches
from stages.sources.readers.conll import Places, places_of
from stages.sources.readers.decoding import read_lines

_WIDTH = 10
_FORM, _UPOS = 1, 3
_WORD_ID = re.compile(r"[1-9][0-9]*")
_RANGE_OR_EMPTY_NODE = re.compile(r"[0-9]+[-.][0-9]+")


def open_conllu(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a CoNLL-U file: columns `tokens` (FORM) and `tags` (UPOS), unless the options give other places.

    Multiword ranges (`1-2`), empty nodes (`1.1`) and comments are skipped, so that words are the syntactic ones
    (https://universaldependencies.org/format.html). Raises DataError naming file and line.
    """
    places = places_of(options, default=Places(word=_FORM, tag=_UPOS))
    if not places.fit(_WIDTH) or not places.differ(_WIDTH):
        raise DataError(
            f"{name}: data.text_column={places.word}, data.label_column={places.tag}: choose two of CoNLL-U's ten columns, "
            "counted from 0"
        )
    sentences = partial(_sentences, path, name, options.encoding, places)
    if next(sentences(), None) is None:
        raise DataError(f"{name}: holds no sentence; expected ten columns a word, separated by tabs")

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(sentences(), wanted)

    return TableFile(path, name, "line", ("tokens", "tags"), read)


def _sentences(path: Path, name: str, encoding: str, places: Places) -> Iterator[tuple[int, dict[str, object]]]:
    tokens: list[object] = []
    tags: list[object] = []
    first = 0
    for number, raw in read_lines(path, name, encoding):
        line = raw.removesuffix("\r")
        if not line.strip():
            if tokens:
                yield first, {"tokens": tokens, "tags": tags}
            tokens, tags = [], []
        elif columns := _word_columns(line, f"{name}, line {number}"):
            first = first if tokens else number
            tokens.append(columns[places.word])
            tags.append(columns[places.tag])
    if tokens:
        yield first, {"tokens": tokens, "tags": tags}


def _word_columns(line: str, where: str) -> list[str] | None:
    """The columns of a line that is a word's."""
    if line.startswith("#"):
        return None
    columns = line.split("\t")
    if len(columns) != _WIDTH:
        raise DataError(
            f"{where}: has {len(columns)} columns separated by tabs, and CoNLL-U has {_WIDTH}; mend the line"
        )
    if _RANGE_OR_EMPTY_NODE.fullmatch(columns[0]):
        return None
    if not _WORD_ID.fullmatch(columns[0]):
        raise DataError(f"{where}: begins with {columns[0]!r}, not with the word's number; mend the line")
    if not all(columns):
        raise DataError(f"{where}: column {columns.index('') + 1} is empty; CoNLL-U writes _ where there is nothing")
    return columns
