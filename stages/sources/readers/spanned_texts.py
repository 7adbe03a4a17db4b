"""Read texts with labelled spans of characters, as annotation tools export them, as words with IOB2 tags."""

import logging
import re
import sys
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.sources.readers.json_records import JsonFile, layout_of
from stages.sources.readers.json_values import JsonObject
from stages.sources.readers.span_layouts import Interval, NotSpansError, Span, is_rejected, spanned_text
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

log = logging.getLogger("stages.download")

_MADE_COLUMNS = ("tokens", "tags", "misaligned")


def open_spans(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open JSON or JSON Lines of Prodigy, doccano, Label Studio or spaCy.

    Columns: `tokens`; `tags` in IOB2; `misaligned`, the number of the row's spans that did not begin and end at words'
    edges and were widened to whole words; then the first row's other keys with a plain value, such as `id`. White space
    at a span's edge is ignored. Rows that the annotator rejected are left out. Raises DataError naming file and row.
    """
    text_key, spans_key = _key("text_column", options.text_column), _key("label_column", options.label_column)
    file = JsonFile(path, name, options.encoding, layout_of(path, name, options.encoding))
    rows = partial(_rows, file, text_key, spans_key)
    first = next(rows(), None)
    if first is None:
        raise DataError(f"{name}: the annotator rejected every row; give a file with accepted ones")

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(rows(), wanted)

    return TableFile(path, name, file.unit, tuple(first[1]), read)


def _key(option: str, column: str | int | None) -> str | None:
    if isinstance(column, int):
        raise DataError(f"data.{option}={column}: texts with spans have keys, not places; give the key's name")
    return column


def _rows(file: JsonFile, text_key: str | None, spans_key: str | None) -> Iterator[tuple[int, JsonObject]]:
    rejected = 0
    for number, row in file.records():
        if is_rejected(row):
            rejected += 1
            continue
        try:
            yield number, _tagged(row, text_key, spans_key)
        except NotSpansError as error:
            raise DataError(f"{file.name}, {file.unit} {number}: {error}") from error
    if rejected:
        log.info("%s: left out %d rows that the annotator rejected or ignored", file.name, rejected)


def _tagged(row: JsonObject, text_key: str | None, spans_key: str | None) -> JsonObject:
    found = spanned_text(row, text_key, spans_key)
    words = words_in(found.text) if found.tokens is None else list(found.tokens)
    if not words:
        raise NotSpansError("its text has no word; leave the row out")
    tags, misaligned = _tags(found.text, words, found.spans)
    tokens = [found.text[start:end] for start, end in words]
    return {"tokens": tokens, "tags": tags, "misaligned": misaligned, **_plain_values(row)}


def _tags(text: str, words: Sequence[Interval], spans: Sequence[Span]) -> tuple[list[str], int]:
    starts, ends = [start for start, _ in words], [end for _, end in words]
    tags = ["O"] * len(words)
    misaligned = 0
    before: Span | None = None
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if before is not None and span.start < before.end:
            raise NotSpansError(f"{_shown(before)} and {_shown(span)} overlap; keep one of them")
        before = span
        start, end = _trimmed(text, span)
        first, last = bisect_right(ends, start), bisect_left(starts, end) - 1
        if first > last:
            raise NotSpansError(f"{_shown(span)} covers no word; mend its start and end")
        if any(tag != "O" for tag in tags[first : last + 1]):
            raise NotSpansError(
                f"{_shown(span)} and the span before it share the word {text[starts[first] : ends[first]]!r}"
            )
        tags[first : last + 1] = [f"B-{span.label}"] + [f"I-{span.label}"] * (last - first)
        misaligned += (starts[first], ends[last]) != (start, end)
    return tags, misaligned


def _trimmed(text: str, span: Span) -> Interval:
    """Return where a span begins and ends, without white space at its edges."""
    if not 0 <= span.start < span.end <= len(text):
        raise NotSpansError(
            f"{_shown(span)} is empty or leaves the text, which has {len(text)} characters (Unicode code points, from 0)"
        )
    covered = text[span.start : span.end]
    if span.covers is not None and span.covers.split() != covered.split():
        raise NotSpansError(
            f"{_shown(span)} covers {covered!r}, and the file says {span.covers!r}; offsets must count Unicode code points"
        )
    start = span.start + len(covered) - len(covered.lstrip())
    return start, max(start, span.end - len(covered) + len(covered.rstrip()))


def _shown(span: Span) -> str:
    return f"span {span.start}-{span.end} {span.label}"


def _plain_values(row: JsonObject) -> JsonObject:
    """Return the row's keys with plain values, and those of a Label Studio task's data, such as the text's source."""
    data = row.get("data")
    values = {**(data if isinstance(data, dict) else {}), **row}
    return {
        key: value
        for key, value in values.items()
        if key not in _MADE_COLUMNS and (value is None or isinstance(value, str | int | float))
    }


_JOINERS = "\u200c\u200d"


def words_in(text: str) -> list[Interval]:
    """Find the words: runs of letters, digits and underscores, and every other character except white space.

    Combining marks, and the joiners of Persian, Indic scripts and emoji, stay with the character before them.
    """
    return [match.span() for match in _word_pattern().finditer(text)]


@cache
def _word_pattern() -> re.Pattern[str]:
    """Return the pattern of words. The ranges of combining marks are listed, since `re` has no class for them."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith("M"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    attached = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + _JOINERS
    return re.compile(rf"\w[\w{attached}]*|\S[{attached}]*")
