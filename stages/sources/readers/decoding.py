"""Read text files as lines, a block of bytes at a time. Errors name the line."""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from charset_normalizer import from_bytes

from stages.pipeline.errors import DataError
from stages.sources.readers.compression import open_bytes

LONGEST_LINE = 1 << 26
"""The most characters of a line, which is held in memory whole. A file with a longer one is no file of lines."""

_BLOCK = 1 << 18
_WITHOUT_NEWLINE = 1 << 16
"""How many characters without a newline show that lines may end otherwise."""
_JUDGED = 1 << 24
"""How many bytes of a file that can't be decoded are looked at to tell why."""
_GUESSED = 1 << 16
"""How many bytes with characters beyond ASCII its encoding is guessed from."""
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
    line. In a file that begins without any newline they end at a carriage return, as on old Macs. Raises DataError for
    what is not text in this encoding.
    """
    number = 1
    started: list[str] = []
    length = 0
    blocks = read_blocks(path, name, encoding)
    head = ""
    for block in blocks:
        head += block
        if "\n" in head or len(head) > _WITHOUT_NEWLINE:
            break
    end = "\r" if "\r" in head[:-1] and "\n" not in head else "\n"
    for block in chain([head], blocks):
        first, *others = block.split(end)
        started.append(first)
        length += len(first)
        for line in others:
            yield number, "".join(started)
            number, started, length = number + 1, [line], len(line)
        if length > LONGEST_LINE:
            raise DataError(
                f"{name}, line {number}: is longer than {LONGEST_LINE:,} characters; check that it is a text file"
            )
    if length:
        yield number, "".join(started)


def read_blocks(path: Path, name: str, encoding: str) -> Iterator[str]:
    """Yield a file's text in blocks, without a byte order mark.

    Raises DataError naming the line for bytes that are not of the encoding and for NUL, which no text has.
    """
    with open_bytes(path, name) as file:
        yield from _Decoder(path, name, encoding).decode(file)


def advice(data: bytes, encoding: str) -> str:
    """Return what to do about bytes that are not of an encoding: mend a few lines, or name another encoding."""
    text = data.decode("utf-8", "surrogateescape")
    bad = len(_UNDECODED.findall(text))
    if not codecs.lookup(encoding).name.startswith("utf-8"):
        guess = guessed_encoding(data) if bad else "utf-8"
        if codecs.lookup(guess) == codecs.lookup(encoding):
            return "correct the line, or say how the file is encoded"
        return f"say how the file is encoded, for example data.encoding={guess}"
    if bad >= len(_BEYOND_ASCII.findall(text)):
        return f"say how the file is encoded, for example data.encoding={guessed_encoding(data)}, or correct the line"
    lines = sum(_UNDECODED.search(line) is not None for line in text.split("\n"))
    if lines > 1:
        return f"most of the file is UTF-8: correct this line and the other damaged ones ({lines:,} in all)"
    return "all the rest is UTF-8: correct this line"


_UNDECODED = re.compile("[\udc80-\udcff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")


def has_wide_characters(data: bytes) -> bool:
    """Whether bytes look like UTF-16 without a byte order mark: every second is NUL, or nearly."""
    return data.count(0) * 4 > len(data)


def guessed_encoding(data: bytes) -> str:
    """Return the encoding that bytes are most likely of.

    Latin letters look alike in a dozen encodings. For them it is cp1252 if there are bytes that latin-1 leaves undefined,
    such as curly quotes, else latin-1.
    """
    if has_wide_characters(data):
        zeros = [data[place::2].count(0) for place in (0, 1)]
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    lines = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:_GUESSED]
    best = from_bytes(lines).best()
    letters = [character for character in str(best or "") if ord(character) > 127 and character.isalpha()]
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    if best is not None and latin * 2 < len(letters):
        return best.encoding
    return "cp1252" if re.search(rb"[\x80-\x9f]", lines) else "latin-1"


class _Decoder:
    """Decodes one file, counting its lines for the messages."""

    def __init__(self, path: Path, name: str, encoding: str) -> None:
        self._path, self._name, self._encoding = path, name, encoding
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
            raise DataError(
                f"{self._name}, line {self._line(good)}: byte 0x{error.object[error.start]:02x} is not "
                f"{self._encoding} ({error.reason}); {advice(self._beginning(), self._encoding)}"
            ) from error
        if "\0" in text:
            start = self._beginning()
            what = f"set data.encoding={guessed_encoding(start)}" if has_wide_characters(start) else "remove it"
            raise DataError(
                f"{self._name}, line {self._line(text[: text.index(chr(0))])}: holds a NUL byte, which text does not; {what}"
            )
        return text

    def _beginning(self) -> bytes:
        with open_bytes(self._path, self._name) as file:
            data = file.read(_JUDGED)
        return data if len(data) < _JUDGED else data[: data.rfind(b"\n") + 1]

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
