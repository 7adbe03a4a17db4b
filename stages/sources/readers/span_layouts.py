"""Bring texts with labelled spans to one form, as several annotation tools write them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Interval: TypeAlias = tuple[int, int]
"""Where something begins and ends in a text: code points from 0, the end exclusive."""

_SPAN_KEYS = ("spans", "entities", "ents", "labels", "label")
_STARTS = ("start", "start_offset")
_ENDS = ("end", "end_offset")
_LABELS = ("label", "labels", "type")


class NotSpansError(ValueError):
    """A row is not a text with spans. The message says why and what to do."""


@dataclass(frozen=True)
class Span:
    """A labelled part of a text."""

    start: int
    end: int
    label: str
    covers: str | None = None
    """The text that it covers, as the file states it."""


@dataclass(frozen=True)
class SpannedText:
    """A text with its spans, in the file's order."""

    text: str
    spans: tuple[Span, ...]
    tokens: tuple[Interval, ...] | None
    """The words, if the tool has split the text already (Prodigy, spaCy)."""


def is_spanned(row: Mapping[str, object]) -> bool:
    """Whether a file's first row is a text with a list of spans, rather than a list of words with one of tags."""
    if "data" in row and "annotations" in row:
        return True
    has_list = any(isinstance(row.get(key), list) for key in _SPAN_KEYS)
    words = row.get("tokens", row.get("words"))
    are_words = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return isinstance(row.get("text"), str) and has_list and not are_words


def is_rejected(row: Mapping[str, object]) -> bool:
    """Whether the annotator rejected or skipped the row (Prodigy's `answer`)."""
    return row.get("answer") in ("reject", "ignore")


def spanned_text(row: Mapping[str, object], text_key: str | None, spans_key: str | None) -> SpannedText:
    """Bring a row of Prodigy, doccano, Label Studio or spaCy to one form. Raises NotSpansError."""
    if "data" in row and "annotations" in row:
        return _label_studio(row, text_key)
    text = _text(row, text_key or "text")
    tokens = _tokens(row["tokens"], text) if isinstance(row.get("tokens"), list) else None
    return SpannedText(text, tuple(_span(item) for item in _span_items(row, spans_key)), tokens)


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
            raise NotSpansError(f"a span's {what} is {offset!r}; give the place of a character, counted from 0")
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
            raise NotSpansError(
                f"token {item!r} does not follow the one before it inside the text; mend its start and end"
            )
        if item.get("text", text[start:end]) != text[start:end]:
            raise NotSpansError(
                f"token {item['text']!r} stands where the text has {text[start:end]!r}; mend its start and end"
            )
        before = end
        if not text[start:end].isspace():
            found.append((start, end))
    return tuple(found)


def _label_studio(row: Mapping[str, object], text_key: str | None) -> SpannedText:
    data, annotations = row["data"], row["annotations"]
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise NotSpansError("is not a task as Label Studio exports it (data: an object, annotations: a list)")
    kept = [item for item in annotations if isinstance(item, dict) and not item.get("was_cancelled")]
    if not kept:
        raise NotSpansError("has no annotation; export annotated tasks only")
    results = kept[0].get("result")
    if not isinstance(results, list):
        raise NotSpansError("its first annotation has no list 'result'; export as JSON from Label Studio")
    values = [item.get("value") for item in results if isinstance(item, dict)]
    spans = tuple(_span(value) for value in values if isinstance(value, dict) and "labels" in value)
    return SpannedText(_text(data, text_key or "text"), spans, None)
