"""Read text files as lines, a block of bytes at a time. Errors name the line."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from stages.pipeline.errors import DataError
from stages.sources.readers.compression import open_bytes

LONGEST_LINE = 1 << 26
"""The most characters of a line, which is held in memory whole. A file with a longer one is no file of lines."""

_BLOCK = 1 << 18
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_lines(path: Path, name: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield each line's number, from 1, and its text without the newline.

    Lines end at a newline alone, so that words may hold other separators; a carriage return before it stays with the
    line. Raises DataError for what is not text in this encoding.
    """
    number = 1
    started: list[str] = []
    length = 0
    for block in read_blocks(path, name, encoding):
        first, *others = block.split("\n")
        started.append(first)
        length += len(first)
        for line in others:
            yield number, "".join(started)
            number, started, length = number + 1, [line], len(line)
        if length > LONGEST_LINE:
            raise DataError(
                f"{name}, line {number}: is longer than {LONGEST_LINE:,} characters; is this a file of lines?"
            )
    if length:
        yield number, "".join(started)


def read_blocks(path: Path, name: str, encoding: str) -> Iterator[str]:
    """Yield a file's text in blocks, without a byte order mark.

    Raises DataError naming the line for bytes that are not of the encoding and for NUL, which no text has.
    """
    with open_bytes(path, name) as file:
        yield from _Decoder(name, encoding).decode(file)


class _Decoder:
    """Decodes one file, counting its lines for the messages."""

    def __init__(self, name: str, encoding: str) -> None:
        self._name, self._encoding = name, encoding
        self._lines_before = 0
        try:
            "a".encode(encoding)  # a lookup alone would accept codecs from bytes to bytes, such as hex
            self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        except (LookupError, ValueError) as error:
            raise DataError(
                f"data.encoding={encoding}: Python knows no such encoding; use utf-8, utf-16, latin-1, cp1252, shift_jis …"
            ) from error

    def decode(self, file: IO[bytes]) -> Iterator[str]:
        data = file.read(_BLOCK)
        self._refuse_foreign_mark(data)
        text = self._decoded(data, final=not data).removeprefix("\ufeff")
        while data:
            yield text
            self._lines_before += text.count("\n")
            data = file.read(_BLOCK)
            text = self._decoded(data, final=not data)
        if text:
            yield text

    def _decoded(self, data: bytes, final: bool) -> str:
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            pending = len(error.object) - len(data)
            self._decoder.setstate(state)
            good = self._decoder.decode(data[: max(0, error.start - pending)])
            other = "latin-1" if codecs.lookup(self._encoding).name == "utf-8" else "utf-8"
            raise DataError(
                f"{self._name}, line {self._line(good)}: byte 0x{error.object[error.start]:02x} is not "
                f"{self._encoding} ({error.reason}); say how the file is encoded, for example data.encoding={other}"
            ) from error
        if "\0" in text:
            raise DataError(
                f"{self._name}, line {self._line(text[: text.index(chr(0))])}: holds a NUL byte, which text does not; if "
                "this is UTF-16, set data.encoding=utf-16"
            )
        return text

    def _line(self, text_before: str) -> int:
        return self._lines_before + text_before.count("\n") + 1

    def _refuse_foreign_mark(self, head: bytes) -> None:
        """Raise DataError for the byte order mark of another encoding. Latin-1 would decode any, to wrong characters."""
        marked = next((encoding for mark, encoding in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
        if marked is not None and not codecs.lookup(self._encoding).name.startswith(marked):
            raise DataError(
                f"{self._name}: begins with the byte order mark of {marked}, and data.encoding={self._encoding}; "
                f"set data.encoding={marked}"
            )
