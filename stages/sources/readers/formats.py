"""Open files of any format as tables. The configuration, the name or the content says which format it is."""

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from stages.configuration.schema import Format
from stages.pipeline.errors import DataError
from stages.sources.readers.arrow_tables import (
    ARROW_FILE_MAGIC,
    is_saved_dataset,
    open_arrow,
    open_parquet,
    open_saved_dataset,
)
from stages.sources.readers.compression import COMPRESSION_SUFFIXES, compression_of, open_bytes, suffix_inside
from stages.sources.readers.conll import open_conll, open_conllu
from stages.sources.readers.delimited import open_csv, open_tsv
from stages.sources.readers.json_records import JsonFile, layout_of, open_json
from stages.sources.readers.spanned_texts import is_spanned, open_spans
from stages.sources.readers.table_file import ReadOptions, TableFile
from stages.sources.readers.text_folders import open_folder

HEAD = 4096
"""How many bytes from a file's start are looked at."""

_STREAM_START = b"\xff\xff\xff\xff"
"""The bytes that begin each message of an Arrow stream, before its length."""

_UNREADABLE: Mapping[bytes, str] = {
    b"version https://git-lfs.github.com/spec/": "is a Git LFS pointer, not the file itself; run `git lfs pull`",
    b"PK\x03\x04": "is a ZIP archive (as Excel files are); save its table as CSV, or name the archive .zip",
    b"PK\x05\x06": "is a ZIP archive without files; fetch it again",
    b"FEA1": "is Feather's first version; write it again with pandas.DataFrame.to_feather",
    b"\x28\xb5\x2f\xfd": "is compressed with Zstandard; unpack it first with `unzstd`",
    b"SQLite format 3\0": "is an SQLite database; export its table as CSV",
    b"%PDF-": "is a PDF document; extract its text first",
}
_WEB_PAGE = (b"<!doctype html", b"<html")


def binary_format(head: bytes) -> Literal["parquet", "arrow"] | None:
    """Return the binary format that a file's first bytes are of. Text may begin with "PAR1", but not go on as Parquet does."""
    if head.startswith((b"PAR1", b"PARE")) and not head[4:5].isspace():
        return "parquet"
    is_arrow_stream = head.startswith(_STREAM_START) and len(head) >= 8
    return "arrow" if head.startswith(ARROW_FILE_MAGIC + b"\0") or is_arrow_stream else None


def why_unreadable(head: bytes) -> str | None:
    """Return what a file is and what to do, if it is of a format that is not read here."""
    if head.lstrip()[:20].lower().startswith(_WEB_PAGE):
        return "holds a web page, not data; check its address, or log in and fetch it again"
    return next((reason for magic, reason in _UNREADABLE.items() if head.startswith(magic)), None)


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
"""The formats that `auto` recognises by name."""

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
    """Open a file or folder as the options say; `name` is its name in messages.

    Raises DataError, in one line, for what is missing, empty, broken, of another format than its name or the options
    say, or of no format that the kind of task reads.
    """
    try:
        if path.is_dir():
            return _open_folder(path, name, options)
        with open_bytes(path, name) as file:
            head = file.read(HEAD)
        chosen = _recognised(path, name, options, head) if options.format == "auto" else options.format
        _refuse_foreign(name, chosen, head)
        return _open(path, name, options, chosen)
    except OSError as error:
        raise DataError(f"{name}: can't be read ({error.strerror or error})") from error


def _open(path: Path, name: str, options: ReadOptions, chosen: Format) -> TableFile:
    if not options.labels_words and chosen in ("conll", "conllu", "spans"):
        raise DataError(f"{name}: is {chosen}, which labels words, and a text task labels texts; choose task=tokens")
    opener = _OPENERS.get(chosen)
    if opener is None:
        raise DataError(
            f"{name}: data.format={chosen} takes a folder of label folders, and this is a file; name the folder"
        )
    return replace(opener(path, name, options), format=chosen)


def _open_folder(folder: Path, name: str, options: ReadOptions) -> TableFile:
    if options.format in ("auto", "arrow") and is_saved_dataset(folder):
        return replace(open_saved_dataset(folder, name, options), format="arrow")
    if options.format not in ("auto", "folder"):
        raise DataError(
            f"{name}: is a folder, and data.format={options.format} takes files; name them, for example {name}/*"
        )
    if options.labels_words:
        raise DataError(
            f"{name}: is a folder, which holds texts by label; for task=tokens name the files, for example {name}/*"
        )
    return replace(open_folder(folder, name, options), format="folder")


def _recognised(path: Path, name: str, options: ReadOptions, head: bytes) -> Format:
    """Return the format that `auto` means for this file."""
    suffix = suffix_inside(path.name)
    if suffix in _PICKLES:
        raise DataError(
            f"{name}: unpickling runs whatever code the file holds, so it is not read; convert it where you trust it, for "
            "example pandas.read_pickle(...).to_parquet(...)"
        )
    _refuse_other_compression(path, name, suffix)
    if suffix in _CONLL_FOR_TOKENS and options.labels_words:
        return "conll"
    found = FORMAT_OF_SUFFIX.get(suffix) or binary_format(head)
    if found is None and _JSON_START.match(head.removeprefix(codecs.BOM_UTF8)):
        found = "json"
    if found in ("json", "jsonl"):
        return _json_variant(path, name, options, found)
    if found is not None:
        return found
    if options.labels_words:
        return "conll"
    raise DataError(
        f"{name}: neither its name nor its content tells its format; set data.format to csv, tsv, json, jsonl, parquet or "
        "arrow, or name a folder of label folders"
    )


def _json_variant(path: Path, name: str, options: ReadOptions, by_name: Format) -> Format:
    """Return the variant of JSON: a `.json` file may hold JSON Lines, and either may hold texts with spans."""
    layout = layout_of(path, name, options.encoding) if by_name == "json" else "jsonl"
    if options.labels_words:
        _, first = next(JsonFile(path, name, options.encoding, layout).records())
        if is_spanned(first):
            return "spans"
    return layout


def _refuse_foreign(name: str, chosen: Format, head: bytes) -> None:
    """Raise DataError for content that contradicts the name or the options."""
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
    """Raise DataError for compressed data in a `.csv`, and for plain text in a `.csv.gz`: name or content is wrong."""
    compression = compression_of(path)
    named = path.suffix.lower() in COMPRESSION_SUFFIXES
    if compression is not None and not named and suffix in FORMAT_OF_SUFFIX:
        raise DataError(f"{name}: is named {suffix} and holds {compression} data; rename it, for example to {name}.gz")
    if compression is None and named and path.stat().st_size > 0:
        raise DataError(f"{name}: is named {path.suffix} and is not compressed; rename it or fetch it again")
