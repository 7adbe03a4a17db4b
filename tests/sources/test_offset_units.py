"""Spans whose offsets count UTF-16 code units or bytes are refused or told, with the unit named, and never read in silence."""

import json
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.configuration.schema import FilesData
from stages.pipeline.errors import DataError
from stages.sources.readers.offset_units import UNITS, Span
from stages.sources.readers.table_file import ReadOptions
from tests.support.canonical_data import Made, made_of
from tests.support.tables import fault, written
from tests.support.told import told

TOKENS = ReadOptions("tokens")
ENCODINGS = {"utf16": ("utf-16-le", 2), "utf8": ("utf-8", 1)}
NAMES = {"utf16": "UTF-16 code units", "utf8": "bytes of UTF-8"}
unit_codes = st.sampled_from(list(ENCODINGS))
units = pytest.mark.parametrize("code", ENCODINGS)


def counted(text: str, end: int, code: str) -> int:
    """The offset of a character in a unit, as Python's codecs have it."""
    encoding, size = ENCODINGS[code]
    return len(text[:end].encode(encoding)) // size


def decoded(text: str, offset: int, code: str) -> int | None:
    """The character at an offset in a unit, as Python's codecs have it."""
    encoding, size = ENCODINGS[code]
    encoded = text.encode(encoding)
    try:
        return len(encoded[: offset * size].decode(encoding)) if 0 <= offset * size <= len(encoded) else None
    except UnicodeDecodeError:
        return None


texts = st.text(st.sampled_from("a é\u0301日😀𐌰"), max_size=12)


@given(texts, st.lists(st.tuples(st.integers(-2, 60), st.integers(-2, 60) | st.just(10**30)), max_size=5), unit_codes)
def test_offsets_are_converted_as_the_codecs_do(text: str, offsets: list[tuple[int, int]], code: str) -> None:
    def reference(start: int, end: int) -> tuple[int, int] | None:
        first, last = decoded(text, start, code), decoded(text, end, code)
        return (first, last) if first is not None and last is not None and first < last else None

    spans = [Span(start, end, "x") for start, end in offsets]
    assert UNITS[code].in_characters(text, spans) == [reference(*pair) for pair in offsets]


Example = tuple[list[str], list[tuple[int, int]]]
"""Words, and entities as the first word and the one behind the last."""


@st.composite
def examples(draw: st.DrawFn) -> Example:
    words = draw(st.lists(st.sampled_from(["a", "bb", "ccc", "é", "łódź", "😀", "𐌰y"]), min_size=1, max_size=8))
    edges = sorted(draw(st.sets(st.integers(0, len(words)), max_size=4)))
    return words, list(zip(edges[::2], edges[1::2], strict=False))


def row(example: Example, count: Callable[[str, int], int], *, with_text: bool = False) -> dict[str, Any]:
    words, entities = example
    text = " ".join(words)
    edges = [0, *accumulate(len(word) + 1 for word in words)]
    spans = [
        {"start": count(text, edges[first]), "end": count(text, edges[end] - 1), "label": "x"}
        | ({"text": text[edges[first] : edges[end] - 1]} if with_text else {})
        for first, end in entities
    ]
    return {"text": text, "spans": spans}


def made(folder: Path, rows: Sequence[dict[str, Any]], **options: Any) -> Made:
    rows = [*rows, {"text": "z z", "spans": [{"start": 0, "end": 1, "label": "x"}]}, {"text": "q", "spans": []}]
    path = str(written(folder, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    options = {"validation_fraction": 0.4, "format": "spans", "fail_on": "never", **options}
    return made_of(FilesData(name="a", kind="tokens", source="files", train=path, test=path, **options))


def tags_of(example: Example) -> list[str]:
    words, entities = example
    tags = ["O"] * len(words)
    for first, end in entities:
        tags[first:end] = ["B-x", *["I-x"] * (end - first - 1)]
    return tags


def read_tags(found: Made) -> list[list[str]]:
    test = found.splits["test"]
    names = test.features["tags"].feature.names
    return [[names[tag] for tag in row] for row in test["tags"]][:-2]


TOLD = {"utf16_spans", "utf8_spans", "ambiguous_spans", "misaligned_spans"}


def moved(example: Example, code: str) -> list[bool]:
    """For each span that is elsewhere if its offsets are taken for characters: whether it has words' edges there too."""
    found = []
    for span in row(example, lambda text, end: counted(text, end, code))["spans"]:
        text, place = " ".join(example[0]), (span["start"], span["end"])
        if place != tuple(decoded(text, offset, code) for offset in place):
            covered = text[slice(*place)]
            start = place[0] + len(covered) - len(covered.lstrip())
            end = start + len(covered.strip())
            around = {text[start - 1 : start] or " ", text[end : end + 1] or " "}
            found.append(around == {" "})
    return found


@settings(max_examples=50)
@given(st.lists(examples(), min_size=1, max_size=4), unit_codes)
def test_spans_in_another_unit_are_told_or_too_few_to_tell(
    tmp_path_factory: pytest.TempPathFactory, found: list[Example], code: str
) -> None:
    """Silence is right where the offsets are the same as characters, or where at most two fit words by chance, and no other."""
    rows = [row(example, lambda text, end: counted(text, end, code)) for example in found]
    elsewhere = [fits for example in found for fits in moved(example, code)]
    try:
        read = made(tmp_path_factory.mktemp("spans"), rows)
    except DataError as error:
        assert elsewhere and any(f"the offsets fit as {name}" in str(error) for name in NAMES.values())
        return
    if not elsewhere:
        assert read_tags(read) == [tags_of(example) for example in found]
    if not TOLD & read.findings().keys():
        assert all(elsewhere) and len(elsewhere) < 3
    if not all(elsewhere):
        assert {"utf16_spans", "utf8_spans"} & read.findings().keys()


@settings(max_examples=50)
@given(st.lists(examples(), min_size=1, max_size=4))
def test_spans_of_characters_are_never_taken_for_another_unit(
    tmp_path_factory: pytest.TempPathFactory, found: list[Example]
) -> None:
    read = made(tmp_path_factory.mktemp("spans"), [row(example, lambda _, end: end) for example in found])
    assert read_tags(read) == [tags_of(example) for example in found]
    assert not {"utf16_spans", "utf8_spans", "misaligned_spans"} & read.findings().keys()


@settings(max_examples=50)
@given(st.lists(examples(), min_size=1, max_size=4), unit_codes)
def test_spans_that_state_their_text_are_read_right_or_refused(
    tmp_path_factory: pytest.TempPathFactory, found: list[Example], code: str
) -> None:
    rows = [row(example, lambda text, end: counted(text, end, code), with_text=True) for example in found]
    try:
        read = made(tmp_path_factory.mktemp("spans"), rows)
    except DataError as error:
        assert any(f"the offsets fit as {name}" in str(error) for name in NAMES.values())
    else:
        words = [[example[0][first:end] for first, end in example[1]] for example in found]
        tagged = zip(read.splits["test"]["tokens"], read_tags(read), strict=False)
        assert [entities(tokens, tags) for tokens, tags in tagged] == words
        assert not TOLD & read.findings().keys()


def entities(tokens: Sequence[str], tags: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = []
    for token, tag in zip(tokens, tags, strict=True):
        if tag == "B-x":
            found.append([token])
        elif tag == "I-x":
            found[-1].append(token)
    return found


BEFORE = {"utf16": "😀😀😀😀", "utf8": "éééé"}
"""Four characters that make a word's offset four greater in the unit: that of the next word of three letters."""


def shifted(code: str, text: str, word: str) -> dict[str, Any]:
    """A row with a span on a word, behind characters that are wider than one in the unit."""
    whole = f"{BEFORE[code]} {text}"
    start = whole.index(word)
    edges = (counted(whole, place, code) for place in (start, start + len(word)))
    return {"text": whole, "spans": [[*edges, "x"]]}


@units
def test_spans_on_other_words_in_silence_are_told_where_a_file_has_several(code: str, tmp_path: Path) -> None:
    rows = [shifted(code, f"Ana Bob {word}", "Ana") for word in ("ran", "sat", "won")]
    two, three = (made(tmp_path, rows[:count]) for count in (2, 3))
    if code == "utf8":  # éééé is one word, and 😀 each one
        assert read_tags(two)[0] == ["O", "O", "B-x", "O"]
    assert not TOLD & two.findings().keys()
    assert three.findings()["ambiguous_spans"] == {"train": 3, "test": 3}
    assert "misaligned_spans" not in three.findings()


@units
def test_a_file_of_another_unit_is_refused_for_all_its_spans(code: str, tmp_path: Path) -> None:
    rows = [shifted(code, f"Ana Bob {word}", "Ana") for word in ("ran", "sat")] + [
        shifted(code, "Eve Alexander", "Eve")
    ]
    with pytest.raises(DataError) as error:
        made(tmp_path, rows, fail_on="error")
    assert f"spans fit words as {NAMES[code]}" in told(error)
    assert "3 in train, 3 in test (first: " in told(error) and "a.jsonl, line 1" in told(error)
    assert made(tmp_path, rows).findings()["misaligned_spans"] == {"train": 1, "test": 1}


def test_files_of_one_split_are_judged_each_by_itself(tmp_path: Path) -> None:
    """One file in UTF-16 is told of, however many have characters."""
    wrong = [shifted("utf16", f"Ana Bob {word}", "Ana") for word in ("ran", "sat")] + [
        shifted("utf16", "Eve Alexander", "Eve")
    ]
    right = [{"text": f"😀 Ana {number}", "spans": [[2, 5, "x"]]} for number in range(20)]
    for name, rows in (("a", right), ("b", wrong)):
        written(tmp_path, f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    pattern = str(tmp_path / "*.jsonl")
    config = FilesData(name="a", kind="tokens", source="files", train=pattern, fail_on="never", test_fraction=0.3)
    assert made_of(config).findings()["utf16_spans"] == {"train": 3}


@units
@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("ran Ana", "Ana", "has 12 characters; the offsets"),
        ("Ana      Bob", "Ana", "covers no word; the offsets"),
    ],
)
def test_the_message_on_one_span_names_the_unit(code: str, text: str, word: str, expected: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", json.dumps(shifted(code, text, word)))
    message = fault(path, TOKENS)
    assert message.startswith("a.jsonl, line 1: span") and f"{expected} fit as {NAMES[code]}" in message


def test_offsets_that_fit_in_no_unit_are_not_explained(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", json.dumps({"text": "😀 Ana met", "spans": [[0, 40, "x"]]}))
    assert "has 9 characters; correct its start and end, which count characters" in fault(path, TOKENS)


@units
def test_a_tools_own_tokens_in_another_unit_are_refused(code: str, tmp_path: Path) -> None:
    text = f"{BEFORE[code]} Ana met"
    tokens = [
        {"text": word, "start": counted(text, start, code), "end": counted(text, start + len(word), code)}
        for word, start in ((BEFORE[code], 0), ("Ana", 5), ("met", 9))
    ]
    message = fault(written(tmp_path, "a.jsonl", json.dumps({"text": text, "tokens": tokens, "spans": []})), TOKENS)
    assert f"the offsets fit as {NAMES[code]}" in message


def brat(folder: Path, text: str, *annotations: str) -> Path:
    lines = [f"T{number}\t{annotation}\n" for number, annotation in enumerate(annotations, start=1)]
    written(folder, "a.ann", "".join(lines))
    return written(folder, "a.txt", text)


@units
def test_brats_annotations_in_another_unit_are_refused(code: str, tmp_path: Path) -> None:
    text = f"{BEFORE[code]} first.\nThen Ana met Bob.\n"
    start, end = (counted(text, place, code) for place in (text.index("Ana"), text.index("Ana") + 3))
    message = fault(brat(tmp_path, text, f"x {start} {end}\tAna"), TOKENS)
    assert message.startswith("a.ann, line 1: span") and f"the offsets fit as {NAMES[code]}" in message
    size = counted(text, len(text), code)
    message = fault(brat(tmp_path, text, f"x {size - 5} {size - 1}\tBob."), TOKENS)
    assert message.startswith("a.ann, line 1: T1") and f"the offsets fit as {NAMES[code]}" in message


def test_brats_annotation_of_a_blank_line_is_not_left_out_in_silence(tmp_path: Path) -> None:
    message = fault(brat(tmp_path, "One.\n  \nTwo.\n", "x 5 7\tTwo"), TOKENS)
    assert message.startswith(
        "a.ann, line 1: span 5-7 x covers '  ', and the file says 'Two'; correct its start and end"
    )


def test_a_table_may_have_columns_that_are_called_as_ours(tmp_path: Path) -> None:
    content = "text,label,misaligned,span_fits\n" + "".join(f"t{row},{row % 2},yes,no\n" for row in range(9))
    path = str(written(tmp_path, "a.csv", content))
    found = made_of(FilesData(name="a", kind="text", source="files", train=path, fail_on="never", test_fraction=0.3))
    assert found.findings() == {}
