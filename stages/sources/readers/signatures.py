"""What a file holds, by its first bytes."""

from collections.abc import Mapping
from typing import Literal

HEAD = 4096
"""Bytes from a file's start that are enough to tell."""

ARROW_FILE_MAGIC = b"ARROW1"

_STREAM_START = b"\xff\xff\xff\xff"
"""What begins each message of an Arrow stream, before its length."""

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
    """Which of the binary formats a file begins like. Text may begin with "PAR1", but not go on as Parquet does."""
    if head.startswith((b"PAR1", b"PARE")) and not head[4:5].isspace():
        return "parquet"
    is_arrow_stream = head.startswith(_STREAM_START) and len(head) >= 8
    return "arrow" if head.startswith(ARROW_FILE_MAGIC + b"\0") or is_arrow_stream else None


def why_unreadable(head: bytes) -> str | None:
    """What a file is and what to do, if it is of a kind that nothing here reads."""
    if head.lstrip()[:20].lower().startswith(_WEB_PAGE):
        return "holds a web page, not data; check its address, or log in and fetch it again"
    return next((reason for magic, reason in _UNREADABLE.items() if head.startswith(magic)), None)
