"""Read brat's standoff: a text (`.txt`) and, in a file beside it (`.ann`), the spans that are annotated in it."""

import logging
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from stages.pipeline.digests import files_below
from stages.pipeline.errors import DataError
from stages.sources.label_names import UNLABELLED
from stages.sources.readers.decoding import read_blocks, read_lines
from stages.sources.readers.offset_units import Span, advice_on
from stages.sources.readers.span_tags import SPAN_FITS, NotSpansError, iob2_tags, outside, words_in
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches
from stages.sources.readers.text_folders import natural_key

log = logging.getLogger("stages.sources")

TEXT_SUFFIX, ANNOTATION_SUFFIX = ".txt", ".ann"
_COLUMNS = ("tokens", "tags", SPAN_FITS, "document")
_SPAN = re.compile(r"(\S+) ([0-9]+ [0-9]+(?:;[0-9]+ [0-9]+)*)")


def is_brat_file(path: Path) -> bool:
    """Whether a file is a text with annotations beside it, or such annotations."""
    return path.suffix == ANNOTATION_SUFFIX or (
        path.suffix == TEXT_SUFFIX and path.with_suffix(ANNOTATION_SUFFIX).is_file()
    )


def is_brat_folder(folder: Path) -> bool:
    """Whether a folder, or one below it, holds annotations."""
    return any(file.name.endswith(ANNOTATION_SUFFIX) for file in files_below(folder))


def without_partners(paths: Sequence[Path]) -> list[Path]:
    """Return files without the annotations of texts that are among them: a text is read with its annotations."""
    texts = {path for path in paths if path.suffix == TEXT_SUFFIX}
    return [path for path in paths if path.suffix != ANNOTATION_SUFFIX or path.with_suffix(TEXT_SUFFIX) not in texts]


def with_partners(paths: Sequence[Path]) -> list[Path]:
    """Return files, each followed by its partner: a text by its annotations, annotations by their text. Each file once."""
    found: dict[Path, None] = {}
    for path in paths:
        found[path] = None
        other = path.with_suffix(TEXT_SUFFIX if path.suffix == ANNOTATION_SUFFIX else ANNOTATION_SUFFIX)
        if path.suffix in (TEXT_SUFFIX, ANNOTATION_SUFFIX) and other not in paths and other.is_file():
            found[other] = None
    return list(found)


def open_brat(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a document by its text or its annotations, or a folder of them, sorted by name in natural order.

    Columns: `tokens`, `tags` in IOB2, `span_fits` (how each span fits its words) and `document`. A row is a line
    of the text, since brat shows each as a sentence, or several where a span goes on behind a line's end. Relations, events,
    attributes and notes are ignored. In the test split, a document may have no annotations, and a folder none at all: its words
    have the tag of no label. Raises DataError naming file and line, also for spans that overlap or have gaps, which tags
    can't express.
    """
    may_lack = options.split == "test"
    documents = (
        _documents_in(path, name, may_lack_annotations=may_lack)
        if path.is_dir()
        else [_document(path, name, path.stem, may_lack_annotations=may_lack)]
    )

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        for document in documents:
            for rows in in_batches(_rows(document, options.encoding), wanted):
                yield replace(rows, file=document.text_name)

    return TableFile(path, name, "line", _COLUMNS, read, span_fits=SPAN_FITS)


@dataclass(frozen=True)
class _Document:
    text: Path
    annotations: Path | None
    """None: nobody has annotated it."""
    text_name: str
    """The text's name in messages."""
    annotations_name: str
    id: str


def _document(path: Path, name: str, identifier: str, *, may_lack_annotations: bool) -> _Document:
    if path.suffix not in (TEXT_SUFFIX, ANNOTATION_SUFFIX):
        raise DataError(
            f"{name}: brat's files end with {TEXT_SUFFIX} and {ANNOTATION_SUFFIX}; rename it, or set data.format"
        )
    stem = name.removesuffix(path.suffix)
    text, annotations = path.with_suffix(TEXT_SUFFIX), path.with_suffix(ANNOTATION_SUFFIX)
    if may_lack_annotations and path == text and not annotations.is_file():
        return _Document(text, None, name, f"{stem}{ANNOTATION_SUFFIX}", identifier)
    for half, suffix in ((text, TEXT_SUFFIX), (annotations, ANNOTATION_SUFFIX)):
        if not half.is_file():
            raise DataError(
                f"{name}: there is no {stem}{suffix} beside it; put a text and its annotations in one folder"
            )
    return _Document(text, annotations, f"{stem}{TEXT_SUFFIX}", f"{stem}{ANNOTATION_SUFFIX}", identifier)


def _documents_in(folder: Path, name: str, *, may_lack_annotations: bool) -> list[_Document]:
    files = [
        file for file in files_below(folder) if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    annotations = sorted(
        (file for file in files if file.suffix == ANNOTATION_SUFFIX), key=lambda file: natural_key(str(file))
    )
    without = sorted(
        file for file in files if file.suffix == TEXT_SUFFIX and not file.with_suffix(ANNOTATION_SUFFIX).is_file()
    )
    if may_lack_annotations and not annotations and without:
        annotations, without = sorted(without, key=lambda file: natural_key(str(file))), []
    if not annotations:
        raise DataError(f"{name}: holds no annotations of brat ({ANNOTATION_SUFFIX}); name a folder that does")
    if without:
        log.warning(
            "%s: left out %d texts without annotations (%s), the first %s",
            name,
            len(without),
            ANNOTATION_SUFFIX,
            without[0].name,
        )
    names = [file.relative_to(folder).as_posix() for file in annotations]
    return [
        _document(file, f"{name}/{inner}", inner.removesuffix(file.suffix), may_lack_annotations=may_lack_annotations)
        for file, inner in zip(annotations, names, strict=True)
    ]


@dataclass(frozen=True)
class _Annotation:
    """A span of an annotation file."""

    line: int
    id: str
    span: Span
    is_discontinuous: bool

    def __str__(self) -> str:
        return f"{self.id} ({self.span.label} {self.span.start} {self.span.end})"


def _rows(document: _Document, encoding: str) -> Iterator[tuple[int, dict[str, object]]]:
    text = "".join(read_blocks(document.text, document.text_name, encoding))
    annotations = _annotations(document, text, encoding)
    starts = [0, *(place + 1 for place, character in enumerate(text) if character == "\n")]
    ends = [*(start - 1 for start in starts[1:]), len(text)]
    place = line = 0
    while line < len(starts):
        last = line
        inside: list[_Annotation] = []
        while place < len(annotations) and annotations[place].span.start <= ends[last]:
            inside.append(annotations[place])
            last = max(last, bisect_right(starts, annotations[place].span.end - 1) - 1)
            place += 1
        if inside or text[starts[line] : ends[last]].strip():
            yield line + 1, _row(document, text, starts[line], ends[last], inside)
        line = last + 1


def _row(document: _Document, text: str, start: int, end: int, annotations: Sequence[_Annotation]) -> dict[str, object]:
    """Return the lines between two places as a row."""
    words = [(start + first, start + last) for first, last in words_in(text[start:end])]
    tokens = [text[first:last] for first, last in words]
    if document.annotations is None:
        return {"tokens": tokens, "tags": [UNLABELLED] * len(words), SPAN_FITS: [], "document": document.id}
    try:
        tags, fits = iob2_tags(text, words, [annotation.span for annotation in annotations])
    except NotSpansError as error:
        line = next((annotation.line for annotation in annotations if annotation.span == error.span), 0)
        raise DataError(f"{document.annotations_name}, line {line}: {error}") from error
    return {"tokens": tokens, "tags": tags, SPAN_FITS: fits, "document": document.id}


def _annotations(document: _Document, text: str, encoding: str) -> list[_Annotation]:
    """Return a document's spans in the text's order. Raises DataError naming the line, also for what tags can't express."""
    found: list[_Annotation] = []
    if document.annotations is None:
        return found
    for number, raw in read_lines(document.annotations, document.annotations_name, encoding):
        line = raw.removesuffix("\r")
        if line.startswith("T"):
            try:
                found.append(_annotation(number, line, text))
            except NotSpansError as error:
                raise DataError(f"{document.annotations_name}, line {number}: {error}") from error
    found.sort(key=lambda annotation: (annotation.span.start, -annotation.span.end))
    _refuse(document, [(broken, f"{broken} is discontinuous") for broken in found if broken.is_discontinuous])
    _refuse(document, _overlaps(found))
    return found


def _annotation(number: int, line: str, text: str) -> _Annotation:
    identifier, _, rest = line.partition("\t")
    where, _, covers = rest.partition("\t")
    match = _SPAN.fullmatch(where.strip())
    if match is None:
        raise NotSpansError(
            f"expected {identifier}, a tab, a type, its start and end, a tab and its text; got {line[:80]!r}"
        )
    parts = [tuple(map(int, part.split(" "))) for part in match[2].split(";")]
    start, end = parts[0][0], parts[-1][1]
    in_order = [place for part in parts for place in part]
    span = Span(start, end, match[1], covers or None)
    if in_order != sorted(in_order) or start == end or end > len(text):
        raise NotSpansError(f"{identifier} ({where}) {outside(text)}; {advice_on(text, words_in(text), [span])}")
    gaps = [text[before[1] : after[0]] for before, after in pairwise(parts)]
    return _Annotation(number, identifier, span, any(gap.strip() for gap in gaps))


def _overlaps(annotations: Sequence[_Annotation]) -> list[tuple[_Annotation, str]]:
    """Return each annotation that begins before the end of one before it."""
    found: list[tuple[_Annotation, str]] = []
    outer: _Annotation | None = None
    for annotation in annotations:
        if outer is not None and annotation.span.start < outer.span.end:
            is_nested = annotation.span.end <= outer.span.end
            found.append((annotation, f"{annotation} {'is nested in' if is_nested else 'overlaps'} {outer}"))
        if outer is None or annotation.span.end > outer.span.end:
            outer = annotation
    return found


def _refuse(document: _Document, problems: Sequence[tuple[_Annotation, str]]) -> None:
    if problems:
        first, what = min(problems, key=lambda problem: problem[0].line)
        more = f" (and {len(problems) - 1} more such spans of the file)" if len(problems) > 1 else ""
        raise DataError(
            f"{document.annotations_name}, line {first.line}: {what}{more}, which tags can't express; remove or split it"
        )
