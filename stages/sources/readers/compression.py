"""Read files as plain bytes, through gzip, bzip2 or xz where they are compressed."""

import bz2
import gzip
import io
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, TypeAlias

from stages.pipeline.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Buffer

COMPRESSION_SUFFIXES = frozenset({".gz", ".bz2", ".xz"})

_MAGIC = {
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_Packed: TypeAlias = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile
_OPENERS: Mapping[str, Callable[[Path], _Packed]] = {"gzip": gzip.GzipFile, "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")
"""How the first block of a bzip2 file begins, or the end of an empty one. Text may begin with "BZh" too."""
_HEAD = 16


@contextmanager
def open_bytes(path: Path, name: str) -> Iterator[IO[bytes]]:
    """Open a file for reading as if it were not compressed.

    Raises DataError naming the file if it can't be opened, and, while it is read, if it is truncated or corrupt.
    """
    try:
        compression = compression_of(path)
        if compression is None:
            with path.open("rb") as plain:
                yield plain
            return
        with _OPENERS[compression](path) as packed:
            yield io.BufferedReader(_CheckedStream(packed, name, compression), 1 << 18)
    except OSError as error:
        raise DataError(f"{name}: can't be read ({error.strerror or error})") from error


@contextmanager
def open_seekable(path: Path, name: str) -> Iterator[IO[bytes]]:
    """Open a file as `open_bytes` does, but seekable. A compressed file is unpacked to disk first."""
    with open_bytes(path, name) as file:
        if compression_of(path) is None:
            yield file
            return
        with tempfile.TemporaryFile() as unpacked:
            shutil.copyfileobj(file, unpacked, 1 << 20)
            unpacked.seek(0)
            yield unpacked


def compression_of(path: Path) -> str | None:
    """Return how a file is compressed, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for magic, compression in _MAGIC.items():
        if head.startswith(magic) and (compression != "bzip2" or head[4:10] in _BZIP2_BLOCKS):
            return compression
    return None


def suffix_inside(file_name: str) -> str:
    """Return the suffix of a file's content, in lower case: `.csv` for both `part.csv` and `part.CSV.gz`."""
    path = PurePath(file_name.lower())
    return PurePath(path.stem).suffix if path.suffix in COMPRESSION_SUFFIXES else path.suffix


class _CheckedStream(io.RawIOBase):
    """A compressed stream whose errors are raised as DataError."""

    def __init__(self, packed: _Packed, name: str, compression: str) -> None:
        self._packed, self._name, self._compression = packed, name, compression

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        view = memoryview(buffer)
        try:
            piece = self._packed.read(len(view))
        except EOFError as error:
            raise DataError(
                f"{self._name}: its {self._compression} data end too early; fetch the file again"
            ) from error
        except (OSError, zlib.error, lzma.LZMAError) as error:
            raise DataError(
                f"{self._name}: its {self._compression} data are corrupt ({error}); fetch the file again"
            ) from error
        view[: len(piece)] = piece
        return len(piece)
