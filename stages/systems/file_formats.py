"""Detect the format of a file with gold or predictions by its name and its content."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias

from stages.pipeline.errors import DataError
from stages.sources.readers.compression import open_bytes, suffix_inside
from stages.sources.readers.decoding import read_lines
from stages.sources.readers.formats import HEAD, binary_format
from stages.sources.readers.strict_json import NotJsonError
from stages.sources.readers.strict_json import parse as parse_json
from stages.sources.readers.unsupported_formats import ZIP_MAGIC, is_workbook, why_unreadable
from stages.systems.system_file import TOKEN_LISTS, Request, SystemFile, tag_counts
from stages.tags.schemes import OUTSIDE, parse

FileFormat: TypeAlias = Literal[
    "parquet", "arrow", "csv", "tsv", "json", "jsonl", "conll", "conllu", "tags_per_line", "label_per_line"
]

GOLD_COLUMNS = ("gold", "label", "labels", "tags")
"""Names of columns with gold labels, the one to prefer first."""
PREDICTED_COLUMNS = ("predicted", "prediction", "predictions")
"""Names of columns with nothing but predictions."""

_KNOWN_COLUMNS = frozenset({*GOLD_COLUMNS, *PREDICTED_COLUMNS})
_OF_SUFFIX: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".conllu": "conllu",
}
_TAB_SUFFIXES = frozenset({".tsv", ".tab"})
_PICKLES = frozenset({".pkl", ".pickle"})
_JSON_OBJECT = re.compile(r"\s*\{\s*[\"}]")
_JSON_ARRAY = re.compile(r"\s*\[\s*[{\]]")
_CONLLU_ID = re.compile(r"[0-9]+([-.][0-9]+)?")
_CONLLU_WIDTH = 10


@contextmanager
def read_as_utf8() -> Iterator[None]:
    """Add to a reader's message that names a setting of the pipeline what to do instead."""
    try:
        yield
    except DataError as error:
        if "data." not in str(error):
            raise
        raise DataError(
            f"{error} (data.… are settings of the pipeline; here files are UTF-8, of the format that their names say)"
        ) from error


def format_of(request: Request, gold: SystemFile | None) -> FileFormat:
    """Return the format of a file. `gold`: the file that its predictions are of; None if they are in the same file.

    Raises DataError for what is no file, and for what holds no labels of a kind that is read here.
    """
    if not request.path.exists():
        raise DataError(f"{request.name}: there is no such file; give one that has gold or predictions")
    if request.path.is_dir():
        return "arrow"
    suffix = suffix_inside(request.path.name)
    if suffix in _PICKLES:
        raise DataError(f"{request.name}: unpickling runs whatever code the file holds; save its table as Parquet")
    with open_bytes(request.path, request.name) as file:
        head = file.read(HEAD)
    if reason := why_unreadable(request.path, head):
        raise DataError(f"{request.name}: {reason}")
    if head.startswith(ZIP_MAGIC) and is_workbook(request.path):
        raise DataError(f"{request.name}: is an Excel workbook; save its table as CSV")
    by_content = binary_format(head)
    if by_content or suffix in _OF_SUFFIX:
        return by_content or _OF_SUFFIX[suffix]
    return _of_text(request, suffix, gold)


def _of_text(request: Request, suffix: str, gold: SystemFile | None) -> FileFormat:
    with read_as_utf8():
        lines = [line.removesuffix("\r") for _, line in read_lines(request.path, request.name, "utf-8")]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise DataError(f"{request.name}: is empty; give a file with gold or predictions")
    head = "\n".join(filled[:2])
    if suffix == ".json" or _JSON_ARRAY.match(head) or _JSON_OBJECT.match(head):
        _refuse_columns(request, filled)
        return "json"
    if _is_conllu(filled):
        return "conllu"
    has_blank_lines = any(not line.strip() for line in lines[lines.index(filled[0]) : -1])
    if has_blank_lines:
        _refuse_header(request, filled)
        return _without_header(filled, gold)
    return _with_header(filled, suffix, request.columns or ()) or _without_header(filled, gold)


def _refuse_columns(request: Request, filled: Sequence[str]) -> None:
    """Refuse one object of whole columns, as pandas writes them: it would be one row, whose labels are lists.

    With a list of tokens it is one sentence.
    """
    if not filled[0].lstrip().startswith("{"):
        return
    try:
        value = parse_json("\n".join(filled))
    except NotJsonError:
        return
    if not isinstance(value, dict) or not value or value.keys() & set(TOKEN_LISTS):
        return
    is_wrapper = len(value) == 1 and all(isinstance(row, dict) for rows in value.values() for row in _items(rows))
    if not is_wrapper and all(isinstance(column, (list, dict)) for column in value.values()):
        raise DataError(
            f"{request.name}: is one object of columns; write a list of objects, one per row, or name it .jsonl with one object "
            "per line"
        )


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [None]


def _refuse_header(request: Request, filled: Sequence[str]) -> None:
    """Refuse columns' names above sentences: the names would be a word and its tags."""
    last = [line.split()[-1] for line in filled]
    if last[0] in _KNOWN_COLUMNS and last[0] not in last[1:]:
        raise DataError(
            f"{request.name}, line 1: names columns, and blank lines part sentences below; remove the line, or the blank lines"
        )


def _without_header(filled: Sequence[str], gold: SystemFile | None) -> FileFormat:
    """Return CoNLL, one label per line, or the tags of one sentence per line, as `run_ner.py` writes its predictions."""
    fields = [line.split() for line in filled]
    widths = [len(line) for line in fields]
    has_tabs = any("\t" in line for line in filled)
    if gold is not None and not has_tabs:
        counts = tag_counts(gold, "gold")
        if counts is None:
            return "label_per_line"
        if counts == widths or (len(counts) == len(widths) and len(set(widths)) > 1):
            return "tags_per_line"
    if max(widths) == 1:
        return "label_per_line"
    return "tags_per_line" if not has_tabs and _are_tags(tag for line in fields for tag in line) else "conll"


def _is_conllu(filled: Sequence[str]) -> bool:
    first = next((line for line in filled if not line.startswith("#")), "").split("\t")
    return len(first) == _CONLLU_WIDTH and _CONLLU_ID.fullmatch(first[0]) is not None


def _with_header(filled: Sequence[str], suffix: str, chosen: Collection[str | int]) -> FileFormat | None:
    """Return CSV or TSV if the first line holds names of columns, one of them known or chosen, or if the suffix says TSV."""
    known = {*_KNOWN_COLUMNS, *(name for name in chosen if isinstance(name, str))}
    separator = next((each for each in "\t,;" if each in filled[0]), None)
    names = [name.strip().strip('"') for name in filled[0].split(separator)]
    if separator is None:
        return "csv" if names[0] in known and len(names) == 1 and filled[0] not in filled[1:] else None
    is_header = known & set(names) and len(set(names)) == len(names) and all(names) and not _are_tags(names[-1:])
    if is_header or (suffix in _TAB_SUFFIXES and not _are_tags(line.split("\t")[-1] for line in filled[1:])):
        return "tsv" if separator == "\t" else "csv"
    return None


def _are_tags(fields: Iterable[str]) -> bool:
    """Whether all are entity tags, and so none a word."""
    return all(tag == OUTSIDE or parse(tag) is not None for tag in fields)
