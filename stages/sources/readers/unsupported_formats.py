"""Detect formats that are not supported, by a file's name or its first bytes, and say what to do instead."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.sources.readers.compression import open_seekable, suffix_inside

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How old Office files begin, and encrypted new ones."""
ZIP_MAGIC = b"PK\x03\x04"
WORKBOOK = "xl/workbook.xml"
"""The member that makes a ZIP archive an Excel workbook."""

_TO_CSV = "save its table as CSV or .xlsx"
_TO_TEXT = "extract its text into a table first, one row per text"
_TO_PARQUET = "write its table as Parquet where you can open it"
_RUNS_CODE = (
    "unpickling runs whatever code the file holds, so it is not read; convert it if you trust it, for example "
    "pandas.read_pickle(...).to_parquet(...)"
)
_SQL = "is a database; export its table as CSV"
_ARCHIVE = "is an archive of a kind that is not unpacked here; unpack it, or pack it as .zip or .tar.gz"
_ZSTANDARD = "is compressed with Zstandard; unpack it first with `unzstd`"
_MODEL = "holds a model's weights or arrays, not a table; name a table of texts and labels"

_OF_SUFFIX: Mapping[str, str] = {
    ".xml": "is XML, whose elements mean something else in every corpus; convert it to JSON Lines or CSV, one row per text",
    ".html": f"is a web page; {_TO_TEXT}",
    ".htm": f"is a web page; {_TO_TEXT}",
    ".docx": f"is a Word document; {_TO_TEXT}",
    ".doc": f"is a Word document; {_TO_TEXT}",
    ".rtf": f"is a Rich Text document; {_TO_TEXT}",
    ".odt": f"is an OpenDocument text; {_TO_TEXT}",
    ".pdf": f"is a PDF document; {_TO_TEXT}",
    ".xls": "is an old Excel workbook; open it in Excel or LibreOffice and save it as .xlsx or CSV",
    ".xlsb": "is a binary Excel workbook; open it in Excel or LibreOffice and save it as .xlsx or CSV",
    ".ods": "is an OpenDocument spreadsheet; open it in LibreOffice or Excel and save it as .xlsx or CSV",
    ".numbers": f"is a Numbers spreadsheet; {_TO_CSV}",
    ".pptx": f"is a presentation; {_TO_TEXT}",
    ".epub": f"is an e-book; {_TO_TEXT}",
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".dill"), _RUNS_CODE),
    **dict.fromkeys((".npy", ".npz"), f"holds NumPy arrays; {_TO_PARQUET}"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3", ".mdb", ".accdb", ".duckdb"), _SQL),
    ".sql": "holds SQL statements; load them into a database and export the table as CSV",
    **dict.fromkeys((".h5", ".hdf5", ".mat"), f"is HDF5 or MATLAB data; {_TO_PARQUET}"),
    **dict.fromkeys((".rds", ".rdata", ".rda"), "is R's own format; write the table in R with arrow::write_parquet(...)"),
    **dict.fromkeys((".sav", ".dta", ".sas7bdat", ".por"), f"is a statistics package's own format; {_TO_PARQUET}"),
    **dict.fromkeys((".avro", ".orc", ".tfrecord", ".lmdb"), f"is a format that is not read here; {_TO_PARQUET}"),
    **dict.fromkeys((".yaml", ".yml", ".toml"), "is a configuration format; write the rows as JSON Lines or CSV"),
    **dict.fromkeys((".7z", ".rar"), _ARCHIVE),
    **dict.fromkeys((".zst", ".zstd"), _ZSTANDARD),
    **dict.fromkeys((".lz4", ".br", ".z", ".sz", ".lzo"), "is compressed in a way that is not read here; unpack it first"),
    **dict.fromkeys((".pt", ".pth", ".safetensors", ".onnx"), _MODEL),
}  # fmt: skip

_OF_MAGIC: Mapping[bytes, str] = {
    b"version https://git-lfs.github.com/spec/": "is a Git LFS pointer, not the file itself; run `git lfs pull`",
    b"PK\x05\x06": "is a ZIP archive without files; fetch it again",
    b"FEA1": "is Feather version 1; write it again with pandas.DataFrame.to_feather",
    b"\x28\xb5\x2f\xfd": _ZSTANDARD,
    b"SQLite format 3\0": "is an SQLite database; export its table as CSV",
    b"%PDF-": "is a PDF document; extract its text first",
    b"{\\rtf": f"is a Rich Text document; {_TO_TEXT}",
    b"<?xml": _OF_SUFFIX[".xml"],
    b"\x89HDF\r\n\x1a\n": _OF_SUFFIX[".h5"],
    b"\x93NUMPY": _OF_SUFFIX[".npy"],
    b"Obj\x01": _OF_SUFFIX[".avro"],
    b"7z\xbc\xaf\x27\x1c": _ARCHIVE,
    b"Rar!\x1a\x07": _ARCHIVE,
}
_WEB_PAGE = (b"<!doctype html", b"<html")

_OF_MEMBER: Mapping[str, str] = {
    "word/document.xml": _OF_SUFFIX[".docx"],
    "ppt/presentation.xml": _OF_SUFFIX[".pptx"],
    "xl/workbook.bin": _OF_SUFFIX[".xlsb"],
    "META-INF/container.xml": _OF_SUFFIX[".epub"],
}
"""What a ZIP archive is that has this member."""
_OF_MIMETYPE: Mapping[bytes, str] = {
    b"application/vnd.oasis.opendocument.spreadsheet": _OF_SUFFIX[".ods"],
    b"application/vnd.oasis.opendocument.text": _OF_SUFFIX[".odt"],
}
"""What a ZIP archive is whose member `mimetype`, which comes first and uncompressed, holds this."""
_OLE_STREAMS: Mapping[str, str] = {
    "EncryptedPackage": "is protected by a password; open it in Excel, remove the password and save it again",
    "Workbook": _OF_SUFFIX[".xls"],
    "WordDocument": _OF_SUFFIX[".doc"],
}
"""What an OLE file is that has a stream of this name."""


def refuse_by_name(name: str, file_name: str) -> None:
    """Raise DataError for a file whose name says that its format is not supported. `name`: its name in messages."""
    reason = _OF_SUFFIX.get(suffix_inside(file_name))
    if reason is not None:
        raise DataError(f"{name}: {reason}")


def why_unreadable(path: Path, head: bytes) -> str | None:
    """Return what a file is and what to do, if the format of its content is not supported.

    An Excel workbook is a ZIP archive too, and is not among them.
    """
    if head.lstrip()[:20].lower().startswith(_WEB_PAGE):
        return "holds a web page, not data; check its address, or log in and fetch it again"
    if head.startswith(OLE_MAGIC):
        return _what_ole(path)
    if head.startswith(ZIP_MAGIC):
        return None if is_workbook(path) else _what_zip(path, head)
    plain = head.removeprefix(b"\xef\xbb\xbf")
    return next((reason for magic, reason in _OF_MAGIC.items() if plain.startswith(magic)), None)


def is_workbook(path: Path) -> bool:
    """Whether a file is a ZIP archive that holds an Excel workbook."""
    return WORKBOOK in _members(path)


def _what_zip(path: Path, head: bytes) -> str:
    for mimetype, reason in _OF_MIMETYPE.items():
        if mimetype in head[:200]:
            return reason
    members = _members(path)
    if not members:
        return "is a damaged ZIP archive (Excel workbooks are ZIP archives); fetch it or save it again"
    for member, reason in _OF_MEMBER.items():
        if member in members:
            return reason
    if all(member.endswith(".npy") for member in members):
        return _OF_SUFFIX[".npz"]
    return "is a ZIP archive; name the archive .zip if it holds tables"


def _members(path: Path) -> list[str]:
    try:
        with open_seekable(path, path.name) as file, zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _what_ole(path: Path) -> str:
    """Tell old Office files apart by the names in their directory, which are UTF-16."""
    with open_seekable(path, path.name) as file:
        content = file.read(_LARGEST_OLE)
    for stream, reason in _OLE_STREAMS.items():
        if stream.encode("utf-16-le") in content:
            return reason
    return f"is an old Office file; {_TO_CSV}"


_LARGEST_OLE = 1 << 28
"""How many bytes of an old Office file are searched for its directory, which may be anywhere."""
