"""Open files of any format as tables. The configuration, the name or the content says which format it is."""

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from stages.configuration.schema import Format
from stages.pipeline.errors import DataError
from stages.sources.column_names import TAGS, TEXTS, WORDS, AmbiguousColumnError, usual_column
from stages.sources.readers.arrow_tables import (
    ARROW_FILE_MAGIC,
    is_saved_dataset,
    open_arrow,
    open_parquet,
    open_saved_dataset,
)
from stages.sources.readers.brat import TEXT_SUFFIX, is_brat_file, is_brat_folder, open_brat
from stages.sources.readers.compression import COMPRESSION_SUFFIXES, compression_of, open_bytes, suffix_inside
from stages.sources.readers.conll import open_conll, open_conllu
from stages.sources.readers.delimited import open_csv, open_tsv
from stages.sources.readers.docbin import begins_like_docbin, open_docbin
from stages.sources.readers.excel import open_excel
from stages.sources.readers.json_records import JsonFile, layout_of, open_json
from stages.sources.readers.label_studio import is_label_studio, open_label_studio, refuse_spans, with_plain_choices
from stages.sources.readers.labelled_lines import FASTTEXT_LABEL, open_fasttext, open_trec
from stages.sources.readers.spacy_json import is_spacy_json, open_spacy_json
from stages.sources.readers.spanned_texts import has_words, is_spanned, open_spans
from stages.sources.readers.table_file import ReadOptions, TableFile
from stages.sources.readers.text_folders import open_folder
from stages.sources.readers.unsupported_formats import ZIP_MAGIC, is_workbook, refuse_by_name, why_unreadable
from stages.sources.readers.word_rows import as_sentences, holds_word_rows

HEAD = 4096
"""How many bytes from a file's start are looked at."""

_STREAM_START = b"\xff\xff\xff\xff"
"""The bytes that begin each message of an Arrow stream, before its length."""


def binary_format(head: bytes) -> Literal["parquet", "arrow"] | None:
    """Return the binary format that a file's first bytes are of. Text may begin with "PAR1", but not go on as Parquet does."""
    if head.startswith((b"PAR1", b"PARE")) and not head[4:5].isspace():
        return "parquet"
    is_arrow_stream = head.startswith(_STREAM_START) and len(head) >= 8
    return "arrow" if head.startswith(ARROW_FILE_MAGIC + b"\0") or is_arrow_stream else None


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
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".spacy": "spacy",
    ".ann": "brat",
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
    "xlsx": open_excel,
    "spacy": open_docbin,
    "spacy_json": open_spacy_json,
    "brat": open_brat,
    "label_studio": open_label_studio,
    "fasttext": open_fasttext,
    "trec": open_trec,
}
_OF_TABLES = frozenset({"csv", "tsv", "xlsx", "json", "jsonl", "parquet", "arrow"})
_OF_WORDS = frozenset({"conll", "conllu", "spans", "brat"})
_OF_TEXTS = frozenset({"label_studio", "fasttext", "trec"})
_CONLL_FOR_TOKENS = frozenset({".tsv", ".tab", ".txt"})
_BINARY: Mapping[Format, str] = {
    "parquet": "Parquet",
    "arrow": "Arrow",
    "xlsx": "an Excel workbook",
    "spacy": "a spaCy DocBin",
}
"""The binary formats, as messages name them."""
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
        _refuse_foreign(path, name, chosen, head)
        return _open(path, name, options, chosen)
    except OSError as error:
        raise DataError(f"{name}: can't be read ({error.strerror or error})") from error


def _open(path: Path, name: str, options: ReadOptions, chosen: Format) -> TableFile:
    if not options.labels_words and chosen in _OF_WORDS:
        raise DataError(f"{name}: is {chosen}, which labels words, and a text task labels texts; choose task=tokens")
    if options.labels_words and chosen in _OF_TEXTS:
        raise DataError(f"{name}: is {chosen}, which labels texts, and task=tokens labels words; choose task=text")
    if options.sheet is not None and chosen != "xlsx":
        raise DataError(f"{name}: is {chosen}, and data.sheet={options.sheet!r} is for Excel workbooks; set null")
    opener = _OPENERS.get(chosen)
    if opener is None:
        raise DataError(
            f"{name}: data.format={chosen} takes a folder of label folders, and this is a file; name the folder"
        )
    table = replace(opener(path, name, options), format=chosen)
    if not options.labels_words:
        return with_plain_choices(table, options)
    if chosen in _OF_TABLES:
        refuse_spans(table)
        return as_sentences(table, options)
    if options.sentence_column is not None:
        raise DataError(f"{name}: is {chosen}, which has sentences, and data.sentence_column is for tables; set null")
    return table


def _open_folder(folder: Path, name: str, options: ReadOptions) -> TableFile:
    if options.format in ("auto", "arrow") and is_saved_dataset(folder):
        return replace(open_saved_dataset(folder, name, options), format="arrow")
    is_brat = options.labels_words and (options.train_format == "brat" or is_brat_folder(folder))
    if options.format == "brat" or (options.format == "auto" and is_brat):
        return _open(folder, name, options, "brat")
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
    refuse_by_name(name, path.name)
    _refuse_other_compression(path, name, suffix)
    if is_brat_file(path) or (options.train_format == "brat" and suffix == TEXT_SUFFIX):
        return "brat"
    if suffix in _CONLL_FOR_TOKENS and options.labels_words:
        return "tsv" if _names_word_rows(head, options) or _names_sentences(head, options) else "conll"
    found = FORMAT_OF_SUFFIX.get(suffix) or _binary_form(path, head)
    text = head.removeprefix(codecs.BOM_UTF8)
    if found is None and _JSON_START.match(text):
        found = "json"
    if found is None and text.lstrip().startswith(FASTTEXT_LABEL.encode()):
        found = "fasttext"
    if found in ("json", "jsonl") and _binary_form(path, head) is None:
        return _json_variant(path, name, options, found)
    if found is not None:
        return found
    if options.labels_words:
        return "conll"
    raise DataError(
        f"{name}: neither its name nor its content tells its format; set data.format to csv, tsv, json, jsonl, parquet, "
        "arrow, xlsx or trec, or name a folder of label folders"
    )


def _names_word_rows(head: bytes, options: ReadOptions) -> bool:
    """Whether a file is a table with one word per row: the configuration says so, or the first line names such columns."""
    if options.sentence_column is not None:
        return True
    return holds_word_rows(next(_cells(head)), options)


def _names_sentences(head: bytes, options: ReadOptions) -> bool:
    """Whether a file is a table with a sentence a row: the first line names words and tags, and a cell holds several tags.

    A file of the test split may lack the tags, if train's files are such tables.
    """
    columns, *rows = _cells(head)
    try:
        word, tag = usual_column(columns, (*WORDS, *TEXTS)), usual_column(columns, TAGS)
    except AmbiguousColumnError:
        return False
    if word is None or tag is None:
        return word is not None and options.train_format == "tsv"
    tags = (row[columns.index(tag)] for row in rows if len(row) == len(columns))
    return any(cell.startswith("[") or " " in cell for cell in tags)


def _cells(head: bytes) -> Iterator[list[str]]:
    """Yield the cells of each line that the head holds whole, or of its only one."""
    text = head.removeprefix(codecs.BOM_UTF8).decode("latin-1").lstrip()
    for line in text.split("\n")[: max(1, text.count("\n"))]:
        yield [cell.strip().strip('"') for cell in line.split("\t")]


def _json_variant(path: Path, name: str, options: ReadOptions, by_name: Format) -> Format:
    """Return the variant of JSON: a `.json` file may hold JSON Lines, and either may be of a tool that nests its labels."""
    layout = layout_of(path, name, options.encoding) if by_name == "json" else "jsonl"
    skip = options.on_bad_row and (lambda _: None)
    file = JsonFile(
        path,
        name,
        options.encoding,
        layout,
        on_bad_row=skip,
        split=options.split,
        takes_arrays=not options.labels_words,
    )
    _, first = next(file.records())
    if is_spacy_json(first):
        return "spacy_json"
    if options.labels_words:
        is_text_alone = options.train_format in ("spans", "brat") and not has_words(first)
        return "spans" if is_spanned(first) or is_text_alone else layout
    is_task = options.train_format == "label_studio" and isinstance(first.get("data"), dict)
    return "label_studio" if is_label_studio(first) or is_task else layout


def _refuse_foreign(path: Path, name: str, chosen: Format, head: bytes) -> None:
    """Raise DataError for content that contradicts the name or the options."""
    if len(head) < HEAD and not head.strip():
        if chosen == "brat":  # a text in which nothing is annotated
            return
        raise DataError(f"{name}: is empty; give a file with rows, or leave it out")
    reason = why_unreadable(path, head)
    if reason is not None:
        raise DataError(f"{name}: {reason}")
    binary = _binary_form(path, head)
    if binary is not None and binary != chosen:
        raise DataError(
            f"{name}: is read as {chosen} and holds {_BINARY[binary]}; set data.format={binary}, or rename it"
        )
    if chosen in _BINARY and binary is None:
        raise DataError(
            f"{name}: can't be read as {_BINARY[chosen]}: its first bytes are not those of the format; check data.format"
        )


def _binary_form(path: Path, head: bytes) -> Format | None:
    if head.startswith(ZIP_MAGIC):
        return "xlsx" if is_workbook(path) else None
    return "spacy" if begins_like_docbin(head) else binary_format(head)


def _refuse_other_compression(path: Path, name: str, suffix: str) -> None:
    """Raise DataError for compressed data in a `.csv`, and for plain text in a `.csv.gz`: name or content is wrong."""
    compression = compression_of(path)
    named = path.suffix.lower() in COMPRESSION_SUFFIXES
    if compression is not None and not named and suffix in FORMAT_OF_SUFFIX:
        raise DataError(f"{name}: is named {suffix} and holds {compression} data; rename it, for example to {name}.gz")
    if compression is None and named and path.stat().st_size > 0:
        raise DataError(f"{name}: is named {path.suffix} and is not compressed; rename it or fetch it again")
