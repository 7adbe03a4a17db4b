"""Read spaCy's binary training data (`.spacy`, a DocBin) without spaCy: compressed MessagePack, which runs no code."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.sources.readers.compression import open_bytes
from stages.sources.readers.spacy_strings import ENT_IOB, ENT_TYPE, ORTH, strings_by_number
from stages.sources.readers.spacy_words import BEGIN, MISSING, Unannotated, tagged_words
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

LARGEST = 2_000_000_000
"""The most bytes that a file may unpack to. It is held in memory whole, as its form has it."""

_ZLIB_STARTS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_BLOCK = 1 << 20


def begins_like_docbin(head: bytes) -> bool:
    """Whether a file's first bytes are zlib data that begin with a MessagePack map whose first key is `version`."""
    if not head.startswith(_ZLIB_STARTS):
        return False
    try:
        return b"version" in zlib.decompressobj().decompress(head, 16)
    except zlib.error:
        return False


def open_docbin(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a DocBin, one row per document: columns `tokens` and `tags` (IOB2) for words, `text` and `label` for texts.

    Words of nothing but white space are left out, and so are documents in which a word has no annotation of entities; the
    log tells how many. `label` holds the document's `cats`, numbers by label. In the test split, a file in which no document has
    entities or `cats` has no column of them. Raises DataError naming file and document.
    """
    documents = _documents(path, name)
    is_bare = options.split == "test" and not documents.are_annotated(for_words=options.labels_words)
    if options.labels_words and not is_bare and (documents.iob is None or documents.types is None):
        raise DataError(f"{name}: was written without ENT_IOB or ENT_TYPE; write it again with DocBin(docs=...)")
    columns: tuple[str, ...] = ("tokens", "tags") if options.labels_words else ("text", "label")
    columns = columns[:1] if is_bare else columns
    rows = (documents.words_alone if is_bare else documents.sentences) if options.labels_words else documents.texts

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(rows(), wanted)

    return TableFile(path, name, "document", columns, read)


@dataclass(frozen=True)
class _Documents:
    """The documents of a file. Arrays have an entry for each word."""

    name: str
    orths: NDArray[np.uint64]
    """The number of each word's string."""
    spaces: NDArray[np.bool_]
    """Whether a space follows."""
    iob: NDArray[np.uint64] | None
    types: NDArray[np.uint64] | None
    ends: Sequence[int]
    """The place behind each document's last word."""
    cats: Sequence[Mapping[str, object]]
    strings: Mapping[int, str]

    def are_annotated(self, *, for_words: bool) -> bool:
        """Whether a document has annotations, of entities or of texts."""
        return (self.iob is not None and bool((self.iob != MISSING).any())) if for_words else any(self.cats)

    def words_alone(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yield the words of each document."""
        for number, words in self._words():
            yield (
                number,
                {"tokens": [token for token in self._strings(self.orths[words], number) if not token.isspace()]},
            )

    def sentences(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yield each document with annotated words."""
        assert self.iob is not None and self.types is not None
        unannotated = Unannotated(self.name, "document", "ENT_IOB is 0")
        for number, words in self._words():
            codes, types = self.iob[words], self._strings(self.types[words], number)
            if (codes > BEGIN).any():
                raise DataError(
                    f"{self.name}, document {number}: a word's ENT_IOB is above {BEGIN}; write the file again"
                )
            tokens = self._strings(self.orths[words], number)
            row = tagged_words(zip(tokens, codes.tolist(), types, strict=True))
            if row is None:
                unannotated.leave_out(number)
            else:
                unannotated.kept += 1
                yield number, row
        unannotated.report()

    def texts(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yield each document as a text."""
        for number, words in self._words():
            tokens, spaces = self._strings(self.orths[words], number), self.spaces[words].tolist()
            text = "".join(token + " " * space for token, space in zip(tokens, spaces, strict=True))
            yield number, {"text": text, "label": dict(self.cats[number - 1])}

    def _words(self) -> Iterator[tuple[int, slice]]:
        start = 0
        for number, end in enumerate(self.ends, start=1):
            yield number, slice(start, end)
            start = end

    def _strings(self, numbers: NDArray[np.uint64], document: int) -> list[str]:
        try:
            return [self.strings[number] for number in numbers.tolist()]
        except KeyError as error:
            raise DataError(
                f"{self.name}, document {document}: string {error} is missing; write the file again"
            ) from error


def _documents(path: Path, name: str) -> _Documents:
    """Read a file whole. Raises DataError if it is damaged, or no DocBin."""
    packed = _unpacked(path, name)
    try:
        return _parsed(msgpack.unpackb(packed, strict_map_key=False), name)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        msgpack.UnpackException,
    ) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise DataError(
            f"{name}: can't be read as a spaCy DocBin ({reason}); write it again with DocBin.to_disk"
        ) from error


def _parsed(content: Any, name: str) -> _Documents:
    attributes = list(content["attrs"])
    lengths = np.frombuffer(content["lengths"], np.int32).astype(np.int64)
    words = np.frombuffer(content["tokens"], np.uint64).reshape(-1, len(attributes))
    spaces = np.frombuffer(content["spaces"], np.bool_)
    cats = list(content.get("cats") or [{} for _ in lengths])
    if (lengths < 0).any() or not int(lengths.sum()) == len(words) == len(spaces) or len(cats) != len(lengths):
        raise ValueError(f"{len(lengths)} documents with {lengths.sum()} words, but {len(words)} words are there")
    if not len(lengths):
        raise DataError(f"{name}: holds no document; give a file with some, or leave it out")

    def column(attribute: int) -> NDArray[np.uint64] | None:
        return words[:, attributes.index(attribute)] if attribute in attributes else None

    orths = column(ORTH)
    if orths is None:
        raise ValueError("it has no words")
    return _Documents(
        name, orths, spaces, column(ENT_IOB), column(ENT_TYPE), np.cumsum(lengths).tolist(),
        [{str(label): _plain(value) for label, value in found.items()} for found in cats],
        strings_by_number(["", *content["strings"]]),
    )  # fmt: skip


def _plain(value: object) -> object:
    """Return a number that spaCy has written as NumPy's as a plain one."""
    if isinstance(value, dict) and b"type" in value and b"data" in value:
        kind = value[b"type"]
        return np.frombuffer(value[b"data"], kind.decode() if isinstance(kind, bytes) else str(kind))[0].item()
    return value


def _unpacked(path: Path, name: str) -> bytes:
    unpacker = zlib.decompressobj()
    pieces: list[bytes] = []
    left = LARGEST
    try:
        with open_bytes(path, name) as file:
            while left > 0 and (block := file.read(_BLOCK)):
                pieces.append(unpacker.decompress(block, left))
                left -= len(pieces[-1])
    except zlib.error as error:
        raise DataError(
            f"{name}: can't be read as a spaCy DocBin (it is not zlib data: {error}); fetch it again"
        ) from error
    if left <= 0:
        raise DataError(
            f"{name}: unpacks to more than {LARGEST:,} bytes, too many to hold in memory; write several files"
        )
    if not unpacker.eof:
        raise DataError(f"{name}: can't be read as a spaCy DocBin (its data end too early); fetch it again")
    return b"".join(pieces)
