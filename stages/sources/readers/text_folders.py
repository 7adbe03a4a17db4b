"""Read folders of texts: one file per document, one folder per label."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stages.pipeline.digests import files_below
from stages.pipeline.errors import DataError
from stages.sources.readers.decoding import read_blocks
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

log = logging.getLogger("stages.sources")

_TEXT_SUFFIX = ".txt"
_DISPLAY_NAMES = {"text": "the files", "label": "the folders' names"}


@dataclass(frozen=True)
class _Document:
    path: Path
    label: str
    inner: str
    """Its path below the folder."""

    @property
    def id(self) -> str:
        """Its path below the folder, without the suffix of texts."""
        return self.inner[: -len(_TEXT_SUFFIX)] if _is_text(self.inner) else self.inner


def open_folder(folder: Path, name: str, options: ReadOptions) -> TableFile:
    """Open `folder/LABEL/**/*.txt`: columns `text`, `label` and `id`, sorted by label and name in natural order.

    Where no file ends with `.txt`, those without a suffix are the texts, as in 20 Newsgroups (`sci.med/58043`), and so are
    those with a digit in it (SpamAssassin's `0001.ea7e79`). The log tells of what is left out. Only the labels of
    `label_names` are read, where these are given. Files beside the label folders and hidden ones are ignored. Raises DataError
    for a folder without such texts.
    """
    labels = _labels(folder, name, options.label_names)
    found = [document for label in labels for document in _documents(folder, label)]
    is_text = _is_text if any(_is_text(document.inner) for document in found) else _is_nameless_text
    documents = [document for document in found if is_text(document.inner)]
    others = [document.inner for document in found if not is_text(document.inner)]
    if documents and others:
        log.warning(
            "%s: left out %d files whose names are not those of texts, the first %s", name, len(others), others[0]
        )
    if not documents:
        raise DataError(
            f"{name}: holds no texts in folders (LABEL/*{_TEXT_SUFFIX}); if it holds tables, name them, for example {name}/*.csv"
        )

    def rows() -> Iterator[tuple[int, dict[str, object]]]:
        for number, document in enumerate(documents, start=1):
            text = "".join(read_blocks(document.path, f"{name}/{document.inner}", options.encoding))
            yield number, {"text": text, "label": document.label, "id": document.id}

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(rows(), wanted)

    return TableFile(folder, name, "file", ("text", "label", "id"), read, display_names=_DISPLAY_NAMES)


def _labels(folder: Path, name: str, wanted: tuple[str, ...] | None) -> list[str]:
    found = sorted(
        (entry.name for entry in folder.iterdir() if entry.is_dir() and not _hidden(entry.name)), key=natural_key
    )
    if wanted is None:
        return found
    missing = [label for label in wanted if label not in found]
    if missing:
        raise DataError(
            f"{name}: has no folder {missing[0]!r}, which data.label_names lists; it has {', '.join(found) or 'none'}"
        )
    left_out = [label for label in found if label not in wanted]
    if left_out:
        log.info("%s: left out %s, which data.label_names does not list", name, ", ".join(left_out))
    return [label for label in found if label in wanted]


def _documents(folder: Path, label: str) -> list[_Document]:
    found = files_below(folder / label)
    paths = [path for path in found if not any(map(_hidden, path.relative_to(folder).parts))]
    documents = [_Document(path, label, path.relative_to(folder).as_posix()) for path in paths]
    return sorted(documents, key=lambda document: natural_key(document.id))


def _is_text(inner: str) -> bool:
    return inner.lower().endswith(_TEXT_SUFFIX)


def _is_nameless_text(inner: str) -> bool:
    suffix = PurePosixPath(inner).suffix
    return not suffix or any(map(str.isdecimal, suffix))


def _hidden(name: str) -> bool:
    return name.startswith(".")


_NUMBER = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key in which runs of digits are numbers. The name itself tells `1.txt` from `01.txt`."""
    parts = _NUMBER.split(name)
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), name
