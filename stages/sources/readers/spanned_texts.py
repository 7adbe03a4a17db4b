"""Read texts with labelled spans of characters, as several annotation tools export them, as words with IOB2 tags."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.sources.label_names import UNLABELLED
from stages.sources.readers.json_records import JsonFile, layout_of
from stages.sources.readers.offset_units import Interval, Span, advice_on
from stages.sources.readers.span_tags import SPAN_FITS, NotSpansError, iob2_tags, words_in
from stages.sources.readers.strict_json import JsonObject
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

log = logging.getLogger("stages.sources")

_SPAN_KEYS = ("spans", "entities", "ents", "labels", "label")
_STARTS = ("start", "start_offset")
_ENDS = ("end", "end_offset")
_LABELS = ("label", "labels", "type")


@dataclass(frozen=True)
class SpannedText:
    """A text with its spans, in the file's order."""

    text: str
    spans: tuple[Span, ...] | None
    """None: nobody has annotated it."""
    tokens: tuple[Interval, ...] | None
    """The words, if the tool has split the text already (Prodigy, spaCy)."""


def is_spanned(row: Mapping[str, object]) -> bool:
    """Whether a file's first row is a text with a list of spans, rather than a list of words with one of tags."""
    if "data" in row and "annotations" in row:
        return True
    has_list = any(isinstance(row.get(key), list) for key in _SPAN_KEYS)
    has_offsets = isinstance(tokens := row.get("tokens"), list) and any(isinstance(token, dict) for token in tokens)
    return isinstance(row.get("text"), str) and (has_list or has_offsets) and not has_words(row)


def has_words(row: Mapping[str, object]) -> bool:
    """Whether a row has its words as a list of texts."""
    words = row.get("tokens", row.get("words"))
    return isinstance(words, list) and all(isinstance(word, str) for word in words)


def spanned_text(row: Mapping[str, object], text_key: str | None, spans_key: str | None) -> SpannedText:
    """Bring a row of Prodigy, doccano, Label Studio or spaCy to one form. Raises NotSpansError."""
    if "data" in row and "annotations" in row:
        return _label_studio(row, text_key)
    plain = bare_text(row, text_key)
    return replace(plain, spans=tuple(_span(item) for item in _span_items(row, spans_key)))


def bare_text(row: Mapping[str, object], text_key: str | None) -> SpannedText:
    """Bring a row that nobody has annotated to the same form. Raises NotSpansError."""
    key, data = text_key or "text", row.get("data")
    if isinstance(data, dict) and key not in row:  # a task of Label Studio
        return SpannedText(_text(data, key), None, None)
    text = _text(row, key)
    tokens = _tokens(row["tokens"], text) if isinstance(row.get("tokens"), list) else None
    return SpannedText(text, None, tokens)


def _text(row: Mapping[str, object], key: str) -> str:
    text = row.get(key)
    if not isinstance(text, str) or not text.strip():
        raise NotSpansError(f"has no text under {key!r}; name its key as data.text_column, or leave the row out")
    return text


def _span_items(row: Mapping[str, object], key: str | None) -> Sequence[object]:
    keys = _SPAN_KEYS if key is None else (key,)
    found = next((candidate for candidate in keys if candidate in row), None)
    if found is None:
        if key is None and isinstance(row.get("tokens"), list):
            return []  # Prodigy may leave out the key if there is no span
        raise NotSpansError(f"has none of {', '.join(keys)}; name the key of the spans as data.label_column")
    items = row[found]
    if not isinstance(items, list):
        raise NotSpansError(f"{found!r} is not a list of spans; write [] where there is none")
    return items


def _span(item: object) -> Span:
    """Read a span, which is `[start, end, label]` or an object."""
    if isinstance(item, list) and len(item) == 3:
        start, end, label = item
        return _checked(start, end, label, covers=None)
    if not isinstance(item, dict):
        raise NotSpansError(f"span {item!r} is neither [start, end, label] nor an object with these keys")
    return _checked(_first(item, _STARTS), _first(item, _ENDS), _first(item, _LABELS), item.get("text"))


def _checked(start: object, end: object, label: object, covers: object) -> Span:
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    for what, offset in (("start", start), ("end", end)):
        if not isinstance(offset, int) or isinstance(offset, bool):
            raise NotSpansError(f"a span's {what} is {offset!r}; give the position of a character, counted from 0")
    if not isinstance(label, str) or not label.strip():
        raise NotSpansError(f"the span at {start} has the label {label!r}; give each span one label")
    assert isinstance(start, int) and isinstance(end, int)
    return Span(start, end, label.strip(), covers if isinstance(covers, str) else None)


def _first(item: Mapping[str, object], keys: Sequence[str]) -> object:
    return next((item[key] for key in keys if key in item), None)


def _tokens(items: object, text: str) -> tuple[Interval, ...] | None:
    """Return the words that a tool lists, in order, without tokens of white space, which spaCy has."""
    assert isinstance(items, list)
    found: list[Interval] = []
    before = 0
    for item in items:
        if not isinstance(item, dict):
            return None
        start, end = item.get("start"), item.get("end")
        if not isinstance(start, int) or not isinstance(end, int) or not before <= start < end <= len(text):
            raise _misplaced_token(f"{item!r} does not follow the one before it inside the text", items, text)
        if item.get("text", text[start:end]) != text[start:end]:
            raise _misplaced_token(f"{item['text']!r} stands where the text has {text[start:end]!r}", items, text)
        before = end
        if not text[start:end].isspace():
            found.append((start, end))
    return tuple(found)


def _misplaced_token(what: str, items: Sequence[object], text: str) -> NotSpansError:
    tokens = [
        Span(item["start"], item["end"], "", item.get("text"))
        for item in items
        if isinstance(item, dict) and isinstance(item.get("start"), int) and isinstance(item.get("end"), int)
    ]
    return NotSpansError(f"token {what}; {advice_on(text, [], tokens)}")


def _label_studio(row: Mapping[str, object], text_key: str | None) -> SpannedText:
    data, annotations = row["data"], row["annotations"]
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise NotSpansError("is not a task as Label Studio exports it (data: an object, annotations: a list)")
    kept = _not_skipped(annotations)
    if not kept:
        return bare_text(row, text_key)
    if not isinstance(kept[0].get("result"), list):
        raise NotSpansError("its first annotation has no list 'result'; export as JSON from Label Studio")
    return SpannedText(_text(data, text_key or "text"), tuple(map(_span, _span_values(kept[0]))), None)


def _not_skipped(annotations: object) -> list[JsonObject]:
    """Return the annotations of a Label Studio task that the annotator did not skip."""
    items = annotations if isinstance(annotations, list) else []
    return [item for item in items if isinstance(item, dict) and not item.get("was_cancelled")]


def _span_values(annotation: JsonObject) -> list[JsonObject]:
    """Return the values of a Label Studio annotation that are spans."""
    results = annotation.get("result")
    values = [item.get("value") for item in results if isinstance(item, dict)] if isinstance(results, list) else []
    return [value for value in values if isinstance(value, dict) and "labels" in value]


def _annotations_differ(row: JsonObject) -> bool:
    """Whether a Label Studio task has annotations with different spans, in whatever order these are listed."""
    spans = [sorted(map(repr, _span_values(annotation))) for annotation in _not_skipped(row.get("annotations"))]
    return any(found != spans[0] for found in spans)


_MADE_COLUMNS = ("tokens", "tags", SPAN_FITS)


@dataclass(frozen=True)
class _Keys:
    """The keys of a row that the configuration names, which the made columns of words and tags then have as names."""

    text: str | None
    spans: str | None
    are_without_spans: bool = False
    """Whether no row of the file has spans."""
    may_lack_spans: bool = False
    """Whether a row may have none because nobody has annotated it."""

    @property
    def made(self) -> tuple[str, str]:
        """The names of the columns of words and of tags."""
        return self.text or "tokens", self.spans or "tags"


def open_spans(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open JSON or JSON Lines of Prodigy, doccano, Label Studio or spaCy.

    Columns: `tokens`; `tags` in IOB2; `span_fits`, how each of the row's spans fits its words; then the first row's other
    keys with a plain value, such as `id`. Where the configuration names the keys of text and spans, words and tags have
    these names. Rows that the annotator rejected are left out. Of several annotations of a task, the first that was not
    skipped is taken, and the log tells how many tasks have annotations that differ. In a file of the test split, a task that
    nobody has annotated has the tag of no label, and so has each row if none has a key of spans. Raises DataError naming file
    and row.
    """
    keys = _Keys(_key("text_column", options.text_column), _key("label_column", options.label_column))
    file = JsonFile(path, name, options.encoding, layout_of(path, name, options.encoding))
    if options.split == "test":
        are_without = not any(_holds_spans(row, keys) for _, row in file.accepted())
        keys = replace(keys, are_without_spans=are_without, may_lack_spans=True)
    rows = partial(_rows, file, keys)
    first = next(rows(), None)
    if first is None:
        raise DataError(f"{name}: the annotator rejected every row; give a file with accepted ones")

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(rows(), wanted)

    return TableFile(path, name, file.unit, tuple(first[1]), read, span_fits=SPAN_FITS)


def _holds_spans(row: JsonObject, keys: _Keys) -> bool:
    """Whether a row has spans, or an annotator has said that it has none."""
    where = _SPAN_KEYS if keys.spans is None else (keys.spans,)
    return "annotations" in row or "answer" in row or any(row.get(key) is not None for key in where)


def _key(option: str, column: str | int | None) -> str | None:
    if isinstance(column, int):
        raise DataError(f"data.{option}={column}: texts with spans have keys, not positions; give the key's name")
    return column


def _rows(file: JsonFile, keys: _Keys) -> Iterator[tuple[int, JsonObject]]:
    differing = 0
    for number, row in file.accepted():
        try:
            yield number, _tagged(row, keys)
        except NotSpansError as error:
            raise DataError(f"{file.name}, {file.unit} {number}: {error}") from error
        differing += _annotations_differ(row)
    if differing:
        log.warning("%s: %d tasks have annotations that differ; the first of each was taken", file.name, differing)


def _tagged(row: JsonObject, keys: _Keys) -> JsonObject:
    found = bare_text(row, keys.text) if keys.are_without_spans else spanned_text(row, keys.text, keys.spans)
    if found.spans is None and not keys.may_lack_spans:
        raise NotSpansError("has no annotation; export annotated tasks only")
    words = words_in(found.text) if found.tokens is None else list(found.tokens)
    if not words:
        raise NotSpansError("its text has no word; leave the row out")
    tags, fits = ([UNLABELLED] * len(words), []) if found.spans is None else iob2_tags(found.text, words, found.spans)
    tokens = [found.text[start:end] for start, end in words]
    in_words, in_tags = keys.made
    return {in_words: tokens, in_tags: tags, SPAN_FITS: fits, **_plain_values(row, keys)}


def _plain_values(row: JsonObject, keys: _Keys) -> JsonObject:
    """Return the row's keys with plain values, and those of a Label Studio task's data, such as the text's source."""
    data = row.get("data")
    values = {**(data if isinstance(data, dict) else {}), **row}
    return {
        key: value
        for key, value in values.items()
        if key not in (*_MADE_COLUMNS, *keys.made) and (value is None or isinstance(value, str | int | float))
    }
