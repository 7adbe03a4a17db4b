"""Files of any format, told by the configuration, by name or by content, opened as tables."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from stages.configuration.schema import Format
from stages.pipeline.errors import DataError
from stages.sources.readers.arrow_tables import (
    is_saved_dataset,
    open_arrow,
    open_parquet,
    open_saved_dataset,
)
from stages.sources.readers.base import ReadOptions, TableFile
from stages.sources.readers.compression import COMPRESSION_SUFFIXES, compression_of, open_bytes, suffix_inside
from stages.sources.readers.conll import open_conll
from stages.sources.readers.conllu import open_conllu
from stages.sources.readers.delimited import open_csv, open_tsv
from stages.sources.readers.json_records import JsonFile, layout_of
from stages.sources.readers.json_tables import open_json
from stages.sources.readers.signatures import HEAD, binary_format, why_unreadable
from stages.sources.readers.span_layouts import is_spanned
from stages.sources.readers.spans import open_spans
from stages.sources.readers.text_folders import open_folder

FORMAT_OF_SUFFIX: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".conll": "conll",
    ".conll2003": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bio": "conll",
    ".conllu": "conllu",
}
"""The formats that `auto` tells by name."""

_OPENERS: Mapping[Format, Callable[[Path, str, ReadOptions], TableFile]] = {
    "csv": open_csv,
    "tsv": open_tsv,
    "json": partial(open_json, layout="json"),
    "jsonl": partial(open_json, layout="jsonl"),
    "parquet": open_parquet,
    "arrow": open_arrow,
    "conll": open_conll,
    "conllu": open_conllu,
    "spans": open_spans,
}
_PICKLES = frozenset({".pkl", ".pickle"})
_CONLL_FOR_TOKENS = frozenset({".tsv", ".tab", ".txt"})
_BINARY: tuple[Format, ...] = ("parquet", "arrow")
_JSON_START = re.compile(rb"\s*(\{\s*[\"}]|\[\s*[{\]])")


def open_table(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a file or folder as the options say; `name` is what messages call it.

    Raises DataError, in one line, for what is missing, empty, broken, of another format than its name or the options
    say, or of no format that the kind of task reads.
    """
    try:
        if path.is_dir():
            return _open_folder(path, name, options)
        head = _head(path, name)
        chosen = _told_format(path, name, options, head) if options.format == "auto" else options.format
        _refuse_foreign(name, chosen, head)
        return _open(path, name, options, chosen)
    except OSError as error:
        raise DataError(f"{name}: can't be read ({error.strerror or error})") from error


def _open(path: Path, name: str, options: ReadOptions, chosen: Format) -> TableFile:
    if options.kind == "text" and chosen in ("conll", "conllu", "spans"):
        raise DataError(f"{name}: is {chosen}, which labels words, and a text task labels texts; choose task=tokens")
    opener = _OPENERS.get(chosen)
    if opener is None:
        raise DataError(
            f"{name}: data.format={chosen} takes a folder of label folders, and this is a file; name the folder"
        )
    return opener(path, name, options)


def _open_folder(folder: Path, name: str, options: ReadOptions) -> TableFile:
    if options.format in ("auto", "arrow") and is_saved_dataset(folder):
        return open_saved_dataset(folder, name, options)
    if options.format not in ("auto", "folder"):
        raise DataError(
            f"{name}: is a folder, and data.format={options.format} takes files; name them, for example {name}/*"
        )
    if options.kind == "tokens":
        raise DataError(
            f"{name}: is a folder, which holds texts by label; for task=tokens name the files, for example {name}/*"
        )
    return open_folder(folder, name, options)


def _told_format(path: Path, name: str, options: ReadOptions, head: bytes) -> Format:
    """What `auto` means for this file."""
    suffix = suffix_inside(path.name)
    if suffix in _PICKLES:
        raise DataError(
            f"{name}: unpickling runs whatever code the file holds, so it is not read; convert it where you trust it, for "
            "example pandas.read_pickle(...).to_parquet(...)"
        )
    _refuse_other_compression(path, name, suffix)
    if suffix in _CONLL_FOR_TOKENS and options.kind == "tokens":
        return "conll"
    by_name = FORMAT_OF_SUFFIX.get(suffix)
    found = by_name if by_name is not None else _by_content(name, options, head)
    return _json_variant(path, name, options, found) if found in ("json", "jsonl") else found


def _by_content(name: str, options: ReadOptions, head: bytes) -> Format:
    binary = binary_format(head)
    if binary is not None:
        return binary
    if _JSON_START.match(head.removeprefix(b"\xef\xbb\xbf")):
        return "json"
    if options.kind == "tokens":
        return "conll"
    raise DataError(
        f"{name}: neither its name nor its content tells its format; set data.format to csv, tsv, json, jsonl, parquet or "
        "arrow, or name a folder of label folders"
    )


def _json_variant(path: Path, name: str, options: ReadOptions, by_name: Format) -> Format:
    """Which JSON it is: a `.json` file may hold JSON Lines, and either may hold texts with spans."""
    layout = layout_of(path, name, options.encoding) if by_name == "json" else "jsonl"
    if options.kind == "tokens":
        _, first = next(JsonFile(path, name, options.encoding, layout).records())
        if is_spanned(first):
            return "spans"
    return layout


def _refuse_foreign(name: str, chosen: Format, head: bytes) -> None:
    """Tell, rather than fail on, content that contradicts what name or options say."""
    if len(head) < HEAD and not head.strip():
        raise DataError(f"{name}: is empty; give a file with rows, or leave it out")
    reason = why_unreadable(head)
    if reason is not None:
        raise DataError(f"{name}: {reason}")
    binary = binary_format(head)
    if binary is not None and binary != chosen:
        raise DataError(
            f"{name}: is read as {chosen} and holds {binary.capitalize()}; set data.format={binary}, or rename it"
        )
    if chosen in _BINARY and binary is None:
        raise DataError(
            f"{name}: is not readable as {chosen.capitalize()}: it does not begin like it; check data.format"
        )


def _refuse_other_compression(path: Path, name: str, suffix: str) -> None:
    """A `.csv` of gzip, or a `.csv.gz` of plain text, was named or fetched wrongly: which of the two is not ours to guess."""
    compression = compression_of(path)
    named = path.suffix.lower() in COMPRESSION_SUFFIXES
    if compression is not None and not named and suffix in FORMAT_OF_SUFFIX:
        raise DataError(f"{name}: is named {suffix} and holds {compression} data; rename it, for example to {name}.gz")
    if compression is None and named and path.stat().st_size > 0:
        raise DataError(f"{name}: is named {path.suffix} and is not compressed; rename it or fetch it again")


def _head(path: Path, name: str) -> bytes:
    with open_bytes(path, name) as file:
        return file.read(HEAD)
