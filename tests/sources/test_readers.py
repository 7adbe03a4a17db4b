"""Files of every format as rows, and one line that names file and row for what can't be read."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import sys
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from stages.pipeline.errors import DataError
from stages.sources.readers import decoding, delimited, json_records, strict_json
from stages.sources.readers.formats import open_table
from stages.sources.readers.offset_units import SpanFit
from stages.sources.readers.span_tags import words_in
from stages.sources.readers.strict_json import NotJsonError
from stages.sources.readers.table_file import BATCH, ReadOptions
from stages.sources.readers.text_folders import natural_key
from tests.support.tables import batches, fault, rows, written
from tests.support.told import told

TEXT = ReadOptions("text")
TOKENS = ReadOptions("tokens")


# CSV and TSV

plain_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
cells = plain_text.map(lambda text: text.replace("\r", ""))


@given(st.lists(st.tuples(cells, cells), min_size=1), st.sampled_from([",", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_csv_gives_back_what_pythons_csv_wrote(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]], separator: str, newline: str
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows(
        [("text", "label"), *records]
    )
    name = "a.csv" if separator == "," else "a.tsv"
    path = written(tmp_path_factory.mktemp("csv"), name, file.getvalue())
    read = rows(path, TEXT)
    assert [read["text"], read["label"]] == [[text for text, _ in records], [label for _, label in records]]
    starts = [
        2 + sum(cell.count("\n") for earlier in records[:place] for cell in earlier) + place
        for place in range(len(records))
    ]
    assert read["#"] == starts


def test_nothing_in_a_csv_is_interpreted(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,label\nNA,007\nnull,1e5\n  x ,True\n,\n")
    assert rows(path, TEXT) == {
        "text": ["NA", "null", "  x ", ""],
        "label": ["007", "1e5", "True", ""],
        "#": [2, 3, 4, 5],
    }


def test_a_csv_with_semicolons_is_read_as_one(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text;label\na, b;0\n")
    assert rows(path, TEXT) == {"text": ["a, b"], "label": ["0"], "#": [2]}


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (['"Well," she said\t1', 'plain "x"\t0'], ['"Well," she said', 'plain "x"']),
        (['"begun\t1', 'ended"\t0'], ['"begun', 'ended"']),
        (['"quoted"\t1', '"say ""x"""\t0'], ["quoted", 'say "x"']),
        (['"two\nlines"\t1', "x\t0"], ["two\nlines", "x"]),
        (['"tab\there"\t1', "x\t0"], ["tab\there", "x"]),
    ],
)
def test_quotes_of_a_tsv_are_text_where_they_quote_nothing(lines: list[str], texts: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "\n".join(["text\tlabel", *lines]) + "\n")
    assert rows(path, TEXT, ["text"])["text"] == texts


def test_columns_given_by_place_mean_that_there_is_no_header(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "0\tgood\n\n1\tbad\n")
    read = rows(path, ReadOptions("text", text_column=1, label_column=0))
    assert read == {"0": ["0", "1"], "1": ["good", "bad"], "#": [1, 3]}


def test_only_the_wanted_columns_are_given(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,x,label\na,b,c\n")
    assert rows(path, TEXT, ["label"]) == {"label": ["c"], "#": [2]}


# JSON

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_text, inner, max_size=3),
    max_leaves=5,
)
objects = st.lists(st.fixed_dictionaries({"text": plain_text, "label": json_values}), min_size=1, max_size=5)


@given(objects, st.sampled_from(["jsonl", "array", "indented array", "data", "lines named .json"]))
def test_json_values_stay_pythons(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], layout: str
) -> None:
    lines = "\n".join(json.dumps(record) for record in records)
    content = {
        "jsonl": lines,
        "array": json.dumps(records),
        "indented array": json.dumps(records, indent=2, ensure_ascii=False),
        "data": json.dumps({"version": 1, "data": records}),
        "lines named .json": lines + "\n" + json.dumps(records[0]),
    }[layout]
    path = written(tmp_path_factory.mktemp("json"), "a.jsonl" if layout == "jsonl" else "a.json", content)
    expected = [*records, records[0]] if layout == "lines named .json" else records
    read = rows(path, TEXT)
    assert [read["text"], read["label"]] == [[row["text"] for row in expected], [row["label"] for row in expected]]
    assert read["#"] == list(range(1, len(expected) + 1))


def test_blank_lines_of_jsonl_count_and_missing_keys_are_none(tmp_path: Path) -> None:
    path = written(tmp_path, "a.ndjson", '\n{"text": "a", "label": 1}\n\n  \r\n{"text": "b", "more": 2}\r\n')
    assert rows(path, TEXT) == {"text": ["a", "b"], "label": [1, None], "#": [2, 5]}


def test_a_large_json_array_is_refused_in_favour_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.json", json.dumps([{"text": "a" * 100}]))
    monkeypatch.setattr(json_records, "LARGEST_ARRAY", 50)
    with pytest.raises(DataError) as error:
        open_table(path, "a.json", TEXT)
    assert "a.json: holds more than 50 characters" in told(error) and "JSON Lines" in told(error)


@pytest.mark.parametrize("innermost", ["1", r'"\ud83d\ude00"'])
def test_json_nested_to_any_depth_is_read_or_told(innermost: str) -> None:
    """Parsing and looking for half characters reach Python's limit at different depths."""
    told_as = set()
    for depth in range(1, sys.getrecursionlimit() + 1):
        try:
            strict_json.parse("[" * depth + innermost + "]" * depth)
        except NotJsonError as error:
            told_as.add(str(error))
    assert told_as == {"its values are nested too deeply"}


# Parquet and Arrow

FEATURES = Features(
    {"text": Value("string"), "label": ClassLabel(names=["neg", "pos"]), "tags": List(ClassLabel(names=["O"]))}
)
TABLE = pa.table(
    {"text": [f"text {row}" for row in range(2500)], "label": [row % 2 for row in range(2500)], "tags": [[0]] * 2500},
    schema=FEATURES.arrow_schema,
)


def arrow_bytes(table: pa.Table, stream: bool) -> bytes:
    sink = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize("form", ["parquet", "file", "stream", "feather", "parquet.gz", "nameless"])
def test_arrows_formats_are_read_in_batches_with_their_label_names(form: str, tmp_path: Path) -> None:
    content = {
        "parquet": parquet_bytes(TABLE),
        "file": arrow_bytes(TABLE, stream=False),
        "stream": arrow_bytes(TABLE, stream=True),
        "feather": arrow_bytes(TABLE, stream=False),
        "parquet.gz": gzip.compress(parquet_bytes(TABLE)),
        "nameless": parquet_bytes(TABLE),
    }[form]
    name = {"file": "a.arrow", "stream": "b.arrow", "nameless": "a"}.get(form, f"a.{form}")
    path = written(tmp_path, name, content)
    table = open_table(path, name, TEXT)
    assert table.label_names == {"label": ("neg", "pos"), "tags": ("O",)} and table.unit == "row"
    assert rows(path, TEXT) == {**TABLE.to_pydict(), "#": list(range(1, 2501))}
    assert rows(path, TEXT, ["label"]) == {"label": TABLE["label"].to_pylist(), "#": list(range(1, 2501))}


def test_pandas_categories_are_read_as_their_values(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["a", "b"], "label": pd.Categorical(["x", "y"])}).to_parquet(path)
    assert rows(path, TEXT)["label"] == ["x", "y"]


def test_a_folder_of_save_to_disk_is_read_in_its_order(tmp_path: Path) -> None:
    data = Dataset(TABLE)
    data.save_to_disk(tmp_path / "saved", num_shards=11)
    assert rows(tmp_path / "saved", TEXT) == {**TABLE.to_pydict(), "#": list(range(1, 2501))}
    DatasetDict({"train": data, "test": data}).save_to_disk(tmp_path / "dict")
    with pytest.raises(DataError) as error:
        open_table(tmp_path / "dict", "dict", TEXT)
    assert told(error) == "dict: holds several splits; name the folder of one, for example dict/train"


# CoNLL


def sentences(path: Path, options: ReadOptions = TOKENS) -> list[list[tuple[str, str]]]:
    read = rows(path, options)
    return [list(zip(*row, strict=True)) for row in zip(read["tokens"], read["tags"], strict=True)]


@pytest.mark.parametrize(
    "content",
    [
        "Paris\tB-loc\nis\tO\n\nBig\tO\n",
        "Paris B-loc\nis O\n\nBig O",
        "Paris  NNP  B-loc\n is VBZ O \n\nBig JJ O\n",
        "Paris\tB-loc\r\nis\tO\r\n\r\nBig\tO\r\n",
        "\ufeffParis\tB-loc\nis\tO\n\nBig\tO\n",
        "Paris\tB-loc\nis\tO\n\t\nBig\tO\n\t\n",
        "\n\nParis\tB-loc\nis\tO\n \t \n\n\nBig\tO\n\n\n",
        "-DOCSTART-\tO\n\nParis\tB-loc\nis\tO\n-DOCSTART- -X- -X- O\nBig\tO\n",
        "# sent_id = 1\nParis B-loc\n# text = x\nis O\n\n# sent_id = 2\n\nBig O\n",
    ],
    ids=["tabs", "spaces", "columns", "crlf", "bom", "lone tabs", "blank lines", "docstart", "comments"],
)
def test_conll_is_read_however_it_is_laid_out(content: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.conll", content)
    assert sentences(path) == [[("Paris", "B-loc"), ("is", "O")], [("Big", "O")]]


@pytest.mark.parametrize(
    "word", ["New\u00a0York", "a b", "\u200b", "\u2028", "\u00a0", "NA", "007", '"', "#", "#Cup", "["]
)
def test_conll_words_are_kept_as_they_are(word: str, tmp_path: Path) -> None:
    assert sentences(written(tmp_path, "data", f"{word}\tB-loc\n")) == [[(word, "B-loc")]]


def test_a_no_break_space_does_not_part_columns(tmp_path: Path) -> None:
    assert sentences(written(tmp_path, "a.iob", "New\u00a0York B-loc\n")) == [[("New\u00a0York", "B-loc")]]


def test_documents_are_numbered_where_the_file_parts_them(tmp_path: Path) -> None:
    path = written(tmp_path, "a.conll", "-DOCSTART- O\n\na O\n\nb O\n\n-DOCSTART- O\n\nc O\n")
    assert rows(path, TOKENS)["document"] == ["1", "1", "2"]
    assert rows(path, TOKENS)["#"] == [3, 5, 9]
    assert "document" not in open_table(written(tmp_path, "b.conll", "a O\n"), "b", TOKENS).columns


@pytest.mark.parametrize(
    ("lines", "tokens", "tags"),
    [
        (
            ["#\thttp://a [2009]", "1\tAnna\tB-PER\tO", "2\tlebt\tO\tO", "", "1\tBonn\tB-LOC\tO"],
            [["Anna", "lebt"], ["Bonn"]],
            [["B-PER", "O"], ["B-LOC"]],
        ),
        (["0 Anna NNP B-PER", "1 lives VBZ O"], [["Anna", "lives"]], [["B-PER", "O"]]),
        (["1 Anna B-PER", "2 lives O"], [["Anna", "lives"]], [["B-PER", "O"]]),
        (["1 CD O", "2 CD O", "", "7 CD O"], [["1", "2"], ["7"]], [["O", "O"], ["O"]]),
        (["1 CD O", "", "1 CD O"], [["1"], ["1"]], [["O"], ["O"]]),
        (["1 O", "2 O"], [["1", "2"]], [["O", "O"]]),
    ],
)  # fmt: skip
def test_numbers_that_count_words_are_no_words(
    lines: list[str], tokens: list[list[str]], tags: list[list[str]], tmp_path: Path
) -> None:
    read = rows(written(tmp_path, "a.conll", "\n".join(lines) + "\n"), TOKENS)
    assert (read["tokens"], read["tags"]) == (tokens, tags)


@pytest.mark.parametrize(
    ("content", "places", "tokens"),
    [
        ("#a\nb\n\nc\n", {}, [["#a", "b"], ["c"]]),
        ("# id = 1\na\nb\n\nc\n", {"text_column": 0, "label_column": 1}, [["a", "b"], ["c"]]),
        ("a\nb\n\nc", {"label_column": -1}, [["a", "b"], ["c"]]),
        ("a NN\n\n# x y\nb NN\n", {"text_column": 0, "label_column": 2}, [["a"], ["b"]]),
    ],
)
def test_words_of_test_may_have_no_tags(
    content: str, places: dict[str, Any], tokens: list[list[str]], tmp_path: Path
) -> None:
    path = written(tmp_path, "a.conll", f"-DOCSTART-\n\n{content}")
    file = open_table(path, "a.conll", ReadOptions("tokens", split="test", **places))
    assert file.columns == ("tokens", "document")
    assert [found for batch in file.read(["tokens"]) for found in batch.columns["tokens"]] == tokens
    with pytest.raises(DataError):
        rows(path, ReadOptions("tokens", split="train", **places))
    with pytest.raises(DataError):  # tags of some words are no test without tags
        rows(written(tmp_path, "b.conll", f"{content}\n\nd NN O"), ReadOptions("tokens", split="test", **places))


def test_columns_of_conll_are_chosen_by_place(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "1 Paris NNP B-loc\n2 is VBZ O\n")
    options = ReadOptions("tokens", text_column=1, label_column=-2)
    assert sentences(path, options) == [[("Paris", "NNP"), ("is", "VBZ")]]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["# O", "a O"], ["#", "a"]),
        (["a O", "# O", "1 O"], ["a", "#", "1"]),
        (["#hashtag\tO", "a\tO"], ["#hashtag", "a"]),
        (["#WorldCup\tB-event", "a\tO"], ["#WorldCup", "a"]),
        (["#WorldCup B-event", "a O"], ["#WorldCup", "a"]),
        (["#a\tO", "#b\tO"], ["#a", "#b"]),
        (["# id abc\tdomain=en", "a\tO"], ["a"]),
        (["# id abc\tdomain=en", "a _ _ O"], ["a"]),
        (["# sent_id = 1", "a\tO"], ["a"]),
        (["# sent_id = 1", "a DT x O"], ["a"]),
        (["# text = to be O", "a O"], ["a"]),
        (["#\thttp://x.de/1 [2005-02-26]", "1\ta\tO\tO"], ["1"]),
        (["#\thttp://x.de/1 [2005-02-26]", "a\tO"], ["a"]),
        (["#", "a O"], ["a"]),
        (["# # I-NP", "a DT I-NP"], ["#", "a"]),
    ],
)
def test_a_comment_is_told_from_a_word_that_begins_alike(lines: list[str], words: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, "a.conll", "\n".join(lines) + "\n")
    assert rows(path, TOKENS)["tokens"] == [words]


def test_a_pounds_tag_of_its_own_is_kept_where_another_column_tells(tmp_path: Path) -> None:
    path = written(tmp_path, "a.conll", "# # I-NP\n5 CD I-NP\n")
    assert sentences(path, ReadOptions("tokens", label_column=1)) == [[("#", "#"), ("5", "CD")]]


WORD = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda word: not word.startswith(("#", "-DOCSTART-"))
)


@given(
    st.lists(st.lists(st.tuples(WORD, st.sampled_from(["O", "B-a", "I-a"])), min_size=1), min_size=1),
    st.sampled_from(["\t", " ", "   "]),
)
def test_conll_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, written_sentences: list[list[tuple[str, str]]], separator: str
) -> None:
    text = "\n\n".join("\n".join(separator.join(pair) for pair in sentence) for sentence in written_sentences)
    path = written(tmp_path_factory.mktemp("conll"), "a.conll", text)
    assert sentences(path) == written_sentences


@pytest.mark.parametrize(
    ("file", "sentence_count", "word_count", "entity_count"),
    [
        ("wnut17train.conll", 3394, 62730, 1975),
        ("emerging.dev.conll", 1009, 15733, 836),
        ("emerging.test.annotated", 1287, 23394, 1079),
    ],
)
def test_wnut17_is_read_whole(wnut17: Path, file: str, sentence_count: int, word_count: int, entity_count: int) -> None:
    read = rows(wnut17 / file, TOKENS)
    assert (len(read["tokens"]), sum(map(len, read["tokens"]))) == (sentence_count, word_count)
    assert len(get_entities([tag for tags in read["tags"] for tag in [*tags, "O"]])) == entity_count


CONLLU = (
    "# newdoc id = d\n# text = Vámonos al mar\n"
    "1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tVamos\tir\tVERB\tV\t_\t0\troot\t_\t_\n"
    "2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_\n"
    "2.1\tgo\tgo\tVERB\t_\t_\t_\t_\t_\t_\n"
    "3\t#\t#\tSYM\tS\t_\t1\tdep\t_\t_\n\n"
)


def test_conllu_gives_syntactic_words(tmp_path: Path) -> None:
    path = written(tmp_path, "a.conllu", CONLLU)
    assert rows(path, TOKENS) == {"tokens": [["Vamos", "nos", "#"]], "tags": [["VERB", "PRON", "SYM"]], "#": [4]}
    assert rows(path, ReadOptions("tokens", label_column=4))["tags"] == [["V", "P", "S"]]


# Spans


@given(plain_text)
def test_words_cover_everything_but_white_space_once(text: str) -> None:
    words = words_in(text)
    assert all(start < end for start, end in words) and words == sorted(words)
    covered = [place for start, end in words for place in range(start, end)]
    assert len(covered) == len(set(covered))
    assert covered == [place for place, character in enumerate(text) if not character.isspace()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Dr. Who-is_it?", ["Dr", ".", "Who", "-", "is_it", "?"]),
        ("cafe\u0301 हिन्दी", ["cafe\u0301", "हिन्दी"]),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647 👩\u200d💻",
            ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647", "👩\u200d", "💻"],
        ),
        ("$5 ❤\ufe0f!", ["$", "5", "❤\ufe0f", "!"]),
    ],
)
def test_combining_marks_stay_with_their_letter(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in words_in(text)] == words


SPANNED = "😀 Ana visits New York."
LAYOUTS: dict[str, Any] = {
    "prodigy": {
        "text": SPANNED,
        "spans": [{"start": 2, "end": 5, "label": "PER"}, {"start": 13, "end": 21, "label": "LOC"}],
    },
    "doccano": {"id": 1, "text": SPANNED, "label": [[13, 21, "LOC"], [2, 5, "PER"]]},
    "doccano entities": {
        "id": 1,
        "text": SPANNED,
        "entities": [
            {"id": 7, "label": "PER", "start_offset": 2, "end_offset": 5},
            {"id": 8, "label": "LOC", "start_offset": 13, "end_offset": 21},
        ],
        "relations": [],
    },
    "spacy": {
        "text": SPANNED,
        "ents": [{"start": 2, "end": 5, "label": "PER"}, {"start": 13, "end": 21, "label": "LOC"}],
    },
    "label studio": {
        "id": 1,
        "data": {"text": SPANNED},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "result": [
                    {"type": "labels", "value": {"start": 2, "end": 5, "text": "Ana", "labels": ["PER"]}},
                    {"type": "labels", "value": {"start": 13, "end": 21, "text": "New York", "labels": ["LOC"]}},
                    {"type": "choices", "value": {"choices": ["good"]}},
                ]
            },
        ],
    },
    "label studio min": {
        "text": SPANNED,
        "label": [{"start": 2, "end": 5, "labels": ["PER"]}, {"start": 13, "end": 21, "labels": ["LOC"]}],
    },
}


@pytest.mark.parametrize("lines", [True, False], ids=["lines", "array"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tools_spans_become_iob2_tags(layout: str, lines: bool, tmp_path: Path) -> None:
    row = LAYOUTS[layout]
    content = json.dumps(row) + "\n" + json.dumps(row) if lines else json.dumps([row, row])
    read = rows(written(tmp_path, "a.jsonl" if lines else "a.json", content), TOKENS)
    assert read["tokens"] == [["😀", "Ana", "visits", "New", "York", "."]] * 2
    assert read["tags"] == [["O", "B-PER", "O", "B-LOC", "I-LOC", "O"]] * 2
    assert not any(fit & SpanFit.CUTS_WORD for fits in read["span_fits"] for fit in fits)
    assert read["#"] == [1, 2]
    if "id" in row:
        assert read["id"] == [1, 1]


def test_annotators_of_spans_who_disagree_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task: dict[str, Any] = LAYOUTS["label studio"]
    annotation = task["annotations"][1]
    reordered, shorter = ({"result": annotation["result"][::-1]}, {"result": annotation["result"][:1]})
    alike, different = ({**task, "annotations": [annotation, other]} for other in (reordered, shorter))
    rows(written(tmp_path, "a.json", json.dumps([task, alike])), TOKENS)
    assert not caplog.records
    read = rows(written(tmp_path, "b.json", json.dumps([different, alike, different])), TOKENS)
    assert read["tags"] == [["O", "B-PER", "O", "B-LOC", "I-LOC", "O"]] * 3
    assert "b.json: 2 tasks have annotations that differ; the first of each was taken" in caplog.text


def test_a_tools_own_words_are_taken(tmp_path: Path) -> None:
    tokens = [{"text": "e-mail", "start": 0, "end": 6, "id": 0}, {"text": "me", "start": 7, "end": 9, "id": 1}]
    row = {"text": "e-mail me", "tokens": tokens, "spans": [{"start": 0, "end": 6, "label": "X"}], "answer": "accept"}
    rejected = {"text": "nothing", "answer": "reject"}
    path = written(tmp_path, "a.jsonl", f"{json.dumps(row)}\n{json.dumps(rejected)}\n")
    read = rows(path, TOKENS, ["tokens", "tags"])
    assert read == {"tokens": [["e-mail", "me"]], "tags": [["B-X", "O"]], "#": [1]}


def test_spans_that_cut_words_are_widened_and_counted(tmp_path: Path) -> None:
    row = {"text": "Newcastle won  twice", "spans": [[0, 3, "LOC"], [10, 15, "ACT"]]}
    read = rows(written(tmp_path, "a.jsonl", json.dumps(row)), TOKENS, ["tags", "span_fits"])
    assert read == {"tags": [["B-LOC", "B-ACT", "O"]], "span_fits": [[SpanFit.CUTS_WORD, SpanFit(0)]], "#": [1]}


@given(st.data())
def test_spans_on_word_edges_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Written as characters, read as tags, decoded by seqeval: the same entities."""
    words = data.draw(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=12))
    edges = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=6)))
    entities = [("X", first, last - 1) for first, last in zip(edges[::2], edges[1::2], strict=False)]
    starts = [sum(len(word) + 1 for word in words[:place]) for place in range(len(words))]
    spans = [[starts[first], starts[last] + len(words[last]), label] for label, first, last in entities]
    path = written(tmp_path_factory.mktemp("spans"), "a.jsonl", json.dumps({"text": " ".join(words), "spans": spans}))
    read = rows(path, TOKENS)
    assert read["tokens"] == [words] and not any(read["span_fits"][0])
    assert get_entities(read["tags"]) == entities


# Folders


def review_folder(folder: Path) -> Path:
    for name in ("pos/10.txt", "pos/2.txt", "neg/deeper/1.txt", "unsup/1.txt", "neg/.hidden.txt", ".cache/1.txt"):
        written(folder, name, f"text of {name}\n")
    written(folder, "urls_pos.txt", "not a review")
    return folder


def test_a_folder_of_label_folders_is_read_in_natural_order(tmp_path: Path) -> None:
    read = rows(review_folder(tmp_path / "train"), TEXT)
    assert read["id"] == ["neg/deeper/1", "pos/2", "pos/10", "unsup/1"]
    assert read["label"] == ["neg", "pos", "pos", "unsup"]
    assert read["text"][1] == "text of pos/2.txt\n"


@pytest.mark.parametrize(
    ("names", "texts", "left_out"),
    [
        (["med/58043", "med/9", "space/1/2"], ["med/9", "med/58043", "space/1/2"], None),
        (["ham/0001.ea7e79", "spam/0001.bfc8d6", "spam/cmds.sh"], ["ham/0001.ea7e79", "spam/0001.bfc8d6"], "spam/cmds.sh"),
        (["ham/1.txt", "spam/2.TXT", "spam/README"], ["ham/1.txt", "spam/2.TXT"], "spam/README"),
    ],
)  # fmt: skip
def test_texts_may_lack_a_suffix_and_what_is_left_out_is_told(
    names: list[str], texts: list[str], left_out: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in names:
        written(tmp_path, f"train/{name}", name)
    read = rows(tmp_path / "train", TEXT)
    assert read["text"] == texts and read["label"] == [name.partition("/")[0] for name in texts]
    assert len(set(read["id"])) == len(texts)
    told_of = f"left out 1 files whose names are not those of texts, the first {left_out}"
    assert (told_of in caplog.text) == (left_out is not None)


def test_only_the_named_label_folders_are_read_and_the_others_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = review_folder(tmp_path / "train")
    with caplog.at_level("INFO"):
        read = rows(folder, ReadOptions("text", label_names=("neg", "pos")))
    assert read["label"] == ["neg", "pos", "pos"]
    assert "left out unsup" in caplog.text
    with pytest.raises(DataError) as error:
        open_table(folder, "train", ReadOptions("text", label_names=("neg", "good")))
    assert "train: has no folder 'good'" in told(error)


@given(st.lists(st.text("ab0129.", max_size=6)), st.randoms())
def test_natural_order_does_not_depend_on_the_order_found(names: list[str], random: Random) -> None:
    ordered = sorted(names, key=natural_key)
    random.shuffle(names)
    assert sorted(names, key=natural_key) == ordered


@given(st.lists(st.integers(0, 10**12)))
def test_numbers_in_names_count_as_numbers(numbers: list[int]) -> None:
    names = sorted((f"part-{number}.txt" for number in numbers), key=natural_key)
    assert names == [f"part-{number}.txt" for number in sorted(numbers)]


# Text files in general

COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("named", [True, False])
def test_compressed_files_are_read_through(suffix: str, named: bool, tmp_path: Path) -> None:
    name = f"a.jsonl{suffix}" if named else "a"
    path = written(tmp_path, name, COMPRESS[suffix]('{"text": "ä", "label": 1}\n'.encode()))
    assert rows(path, TEXT) == {"text": ["ä"], "label": [1], "#": [1]}


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis"]
)
def test_texts_are_decoded_as_the_configuration_says(encoding: str, tmp_path: Path) -> None:
    word = "語" if encoding == "shift_jis" else "é"
    path = written(tmp_path, "a.csv", f"text,label\r\n{word},1\r\n".encode(encoding))
    read = rows(path, ReadOptions("text", encoding=encoding.removesuffix("-sig")))
    assert read == {"text": [word], "label": ["1"], "#": [2]}


CHARACTERS = st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])


@given(st.one_of(st.text(CHARACTERS), st.text("ab\r"), st.text("a\r\n")), st.integers(1, 7))
def test_lines_do_not_depend_on_where_blocks_end(
    tmp_path_factory: pytest.TempPathFactory, text: str, block: int
) -> None:
    path = written(tmp_path_factory.mktemp("lines"), "a", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", block)
        lines = list(decoding.read_lines(path, "a", "utf-8"))
    end = "\r" if "\r" in text[:-1] and "\n" not in text else "\n"
    expected = text.split(end)[: -1 if text.endswith(end) or not text else None]
    assert lines == list(enumerate(expected, start=1))


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis", "utf-16-le"])
def test_the_bad_bytes_line_is_found_wherever_blocks_end(encoding: str, tmp_path: Path) -> None:
    bad = {"utf-8": b"\xff", "shift_jis": b"\xff\xff", "utf-16-le": b"\x00\xdc"}[encoding]
    content = "語語\n語\n語".encode(encoding) + bad + "\n語\n".encode(encoding)
    path = written(tmp_path, "a", content)
    for block in range(1, len(content) + 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoding, "_BLOCK", block)
            with pytest.raises(DataError) as error:
                list(decoding.read_lines(path, "a", encoding))
        assert told(error).startswith("a, line 3: byte 0x")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system(end: str, tmp_path: Path) -> None:
    table = written(tmp_path, "a.csv", end.join(["text,label", "a,1", "b,2", ""]))
    assert rows(table, TEXT) == {"text": ["a", "b"], "label": ["1", "2"], "#": [2, 3]}
    words = written(tmp_path, "a.conll", end.join(["a O", "b B-x", "", "c O", ""]))
    assert rows(words, TOKENS) == {"tokens": [["a", "b"], ["c"]], "tags": [["O", "B-x"], ["O"]], "#": [1, 4]}


PROSE = {
    "latin-1": "L'été dernier à Genève : déjà vu. Le café était fermé.",
    "cp1252": "Die Straße ist schön, „sehr“ schön und grün.",
    "utf-16-le": "Die Straße ist schön",
    "utf-16-be": "Die Straße ist schön",
    "gb18030": "今天天气很好。我们去公园散步。这部电影太差了。不推荐。",
    "cp1251": "Сегодня хорошая погода, мы пошли в парк.",
}


@pytest.mark.parametrize("encoding", PROSE)
def test_the_encoding_that_a_file_has_is_advised(encoding: str, tmp_path: Path) -> None:
    content = "text;label\n" + f"plain;1\n{PROSE[encoding]};2\n" * 3
    path = written(tmp_path, "a.csv", content.encode(encoding))
    with pytest.raises(DataError) as error:
        rows(path, TEXT)
    assert re.search(r"data\.encoding=([\w-]+)", told(error))[1] == encoding  # type: ignore[index]
    assert rows(path, ReadOptions("text", encoding=encoding))["text"][1] == PROSE[encoding]


def test_an_encoding_that_is_set_already_is_not_advised(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,label\nso „schön“,1\n".encode("cp1252") + b"a\x81,2\n")
    with pytest.raises(DataError) as error:
        rows(path, ReadOptions("text", encoding="cp1252"))
    assert told(error).startswith("a.csv, line 3: byte 0x81 is not cp1252")
    assert "correct the line" in told(error) and "data.encoding" not in told(error)


@pytest.mark.parametrize(
    ("bad_rows", "told_as"),
    [
        ([1200], "all the rest is UTF-8: correct this line"),
        ([1200, 1500], "correct this line and the other damaged ones (2 in all)"),
    ],
)
def test_a_damaged_line_of_a_utf8_file_is_told_as_damaged(bad_rows: list[int], told_as: str, tmp_path: Path) -> None:
    lines = [f"Genève était fermée {row},1\n".encode() for row in range(2000)]
    for row in bad_rows:
        lines[row] = lines[row].replace("ée".encode(), b"\xe9e")
    path = written(tmp_path, "a.csv", b"text,label\n" + b"".join(lines))
    with pytest.raises(DataError) as error:
        rows(path, TEXT)
    assert told(error).startswith("a.csv, line 1202: byte 0xe9 is not utf-8 (invalid continuation byte); ")
    assert told_as in told(error) and "data.encoding" not in told(error)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    line = json.dumps({"text": "x" * 500, "label": 0})

    def peak(count: int) -> int:
        path = written(tmp_path, f"{count}.jsonl", f"{line}\n" * count)
        tracemalloc.start()
        for _ in batches(path, TEXT):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(20 * BATCH) < 1.5 * peak(4 * BATCH)


# Broken inputs: name, content, options, and the words that the message must have

PARQUET = parquet_bytes(TABLE)
ARROW = arrow_bytes(TABLE, stream=False)
STREAM = arrow_bytes(TABLE, stream=True)
CSV_GZ = gzip.compress(b"text,label\n" + b"some text,1\n" * 1000)


def span_row(**changes: Any) -> str:
    return json.dumps({"text": "Ana visits York", "spans": [], **changes})


BROKEN: list[tuple[str, str | bytes, ReadOptions, list[str]]] = [
    ("empty.csv", "", TEXT, ["empty.csv: is empty"]),
    ("blank.csv", " \n\t\n", TEXT, ["blank.csv: is empty"]),
    ("long_blank.csv", "\n" * 5000, TEXT, ["long_blank.csv: is empty"]),
    ("short.csv", "text,label\na,1\nb\n", TEXT, ["short.csv, line 3: has 1 fields where the first line has 2"]),
    ("long.csv", "text,label\na,1,2\n", TEXT, ["long.csv, line 2: has 3 fields"]),
    ("open.csv", 'text,label\na,1\n"b,1\nc,2\n', TEXT, ["open.csv, line 3: a quote opens here and does not close"]),
    ("open.tsv", 'text\tlabel\n"b\t1\nc\n', TEXT, ["open.tsv, line 2: a quote opens here and does not close"]),
    ("after.csv", 'text,label\n"a" b,1\n', TEXT, ["after.csv, line 2: a quoted field continues"]),
    ("cr.csv", "text,label\na,1\rb,2\n", TEXT, ["cr.csv, line 2: holds a carriage return"]),
    ("twice.csv", "text,text\na,1\n", TEXT, ["twice.csv, line 1: column 'text' occurs twice"]),
    ("nameless.csv", "text,label,\na,1,\nb,0,c\n", TEXT, ["nameless.csv, line 3: column 3 holds 'c' and has no name"]),
    (
        "mixed.csv",
        "a,1\n",
        ReadOptions("text", text_column=0, label_column="b"),
        ["mixed.csv: columns", "name (b)", "position (0)"],
    ),
    (
        "latin.csv",
        "text,label\na,1\ncaf\u00e9,1\n".encode("latin-1"),
        TEXT,
        ["latin.csv, line 3: byte 0xe9", "data.encoding="],
    ),
    ("nul.csv", "text,label\na\0b,1\n", TEXT, ["nul.csv, line 2: holds a NUL byte"]),
    ("utf16.csv", "text,label\n".encode("utf-16"), TEXT, ["utf16.csv", "data.encoding=utf-16"]),
    (
        "bom.csv",
        b"\xef\xbb\xbftext,label\na,1\n",
        ReadOptions("text", encoding="latin-1"),
        ["bom.csv", "data.encoding=utf-8"],
    ),
    ("codec.csv", "text,label\n", ReadOptions("text", encoding="klingon"), ["data.encoding=klingon"]),
    ("hex.csv", "text,label\n", ReadOptions("text", encoding="hex"), ["data.encoding=hex"]),
    ("gzip.csv", CSV_GZ, TEXT, ["gzip.csv: is named .csv and holds gzip data"]),
    ("plain.csv.gz", "text,label\na,1\n", TEXT, ["plain.csv.gz: is named .gz and is not compressed"]),
    ("cut.csv.gz", CSV_GZ[:-20], TEXT, ["cut.csv.gz: its gzip data end too early"]),
    ("corrupt.csv.gz", CSV_GZ[:20] + b"\xff" * 20 + CSV_GZ[40:], TEXT, ["corrupt.csv.gz: its gzip data"]),
    ("cut.csv.xz", lzma.compress(b"a" * 9999)[:-9], TEXT, ["cut.csv.xz: its xz data end too early"]),
    ("cut.csv.bz2", bz2.compress(b"a" * 9999)[:-9], TEXT, ["cut.csv.bz2: its bzip2 data end too early"]),
    ("parquet.csv", PARQUET, TEXT, ["parquet.csv: is read as csv and holds Parquet", "data.format=parquet"]),
    ("page.csv", "<!DOCTYPE html><html></html>", TEXT, ["page.csv: holds a web page"]),
    ("lfs.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n", TEXT, ["lfs.csv: is a Git LFS pointer"]),
    ("book.csv", b"PK\x03\x04" + bytes(50), TEXT, ["book.csv: is a damaged ZIP archive"]),
    ("a.pkl", b"\x80\x04.", TEXT, ["a.pkl: unpickling runs whatever code", "to_parquet"]),
    ("a.txt", "just text\n", TEXT, ["a.txt: neither its name nor its content", "data.format"]),
    ("a.conll", "a O\n", TEXT, ["a.conll: is conll", "task=tokens"]),
    ("file.csv", "text,label\n", ReadOptions("text", format="folder"), ["file.csv: data.format=folder takes a folder"]),
    ("half.jsonl", '{"text": "a"}\n{"text": \n', TEXT, ["half.jsonl, line 2: is not JSON"]),
    ("list.jsonl", '{"text": "a"}\n["a"]\n', TEXT, ["list.jsonl, line 2: is an array, not an object"]),
    ("nan.jsonl", '{"text": "a", "label": NaN}\n', TEXT, ["nan.jsonl, line 1", "NaN"]),
    ("infinite.jsonl", '{"text": "a"}\n{"label": -Infinity}\n', TEXT, ["infinite.jsonl, line 2", "-Infinity"]),
    ("huge.jsonl", '{"label": 1e999}\n', TEXT, ["huge.jsonl, line 1", "1e999 is too large"]),
    ("digits.jsonl", '{"label": ' + "9" * 5000 + "}\n", TEXT, ["digits.jsonl, line 1: is not JSON"]),
    ("keys.jsonl", '{"text": "a", "text": "b"}\n', TEXT, ["keys.jsonl, line 1", "key 'text' occurs twice"]),
    ("deep.jsonl", '{"a": ' + "[" * 200_000 + "\n", TEXT, ["deep.jsonl, line 1: is not JSON"]),
    ("surrogate.jsonl", r'{"text": "\ud83d"}', TEXT, ["surrogate.jsonl, line 1", "half a character"]),
    (
        "after.jsonl",
        '{"text": "a"} {"text": "b"}\n',
        TEXT,
        ["after.jsonl, line 1: is not JSON (something follows its end)"],
    ),
    (
        "open.json",
        '[{"text": "a"},\n{"text": "b"}\n',
        TEXT,
        ["open.json, row 2, line 3: is not JSON", "does not end with ]"],
    ),
    ("keys.json", '[{"text": "a"},\n{"text": "a", "text": "b"}]', TEXT, ["keys.json, row 2, line 2", "occurs twice"]),
    ("texts.json", '["a"]', TEXT, ["texts.json, row 1: is a text, not an object"]),
    ("none.json", "[]", TEXT, ["none.json: holds no object"]),
    ("columns.json", '{\n"text": {"0": "a"}}', TEXT, ["columns.json: expected an array of objects"]),
    ("lists.json", '{\n"a": [{}], "b": [{}]}', TEXT, ["lists.json: expected an array of objects"]),
    ("lines.json", '{"a": 1}\n{"a": 2}', ReadOptions("text", format="json"), ["lines.json", "data.format=jsonl"]),
    ("cut.parquet", PARQUET[:-100], TEXT, ["cut.parquet: can't be read as Parquet"]),
    ("hole.parquet", PARQUET[:200] + bytes(500) + PARQUET[700:], TEXT, ["hole.parquet: can't be read as Parquet"]),
    ("words.parquet", "not parquet", TEXT, ["words.parquet: can't be read as Parquet"]),
    ("cut.arrow", ARROW[:-100], TEXT, ["cut.arrow: can't be read as Arrow"]),
    ("cut_stream.arrow", STREAM[: len(STREAM) // 2], TEXT, ["cut_stream.arrow: can't be read as Arrow"]),
    ("old.feather", b"FEA1" + bytes(50), TEXT, ["old.feather: is Feather version 1"]),
    ("no_tag.conll", "a O\n\nb\n", TOKENS, ["no_tag.conll, line 3: expected a word and its tag"]),
    ("empty_tag.conll", "a\tO\nb\t\n", TOKENS, ["empty_tag.conll, line 2: expected a word and its tag"]),
    (
        "no_word.conll",
        "a\tO\n\tO\n",
        TOKENS,
        ["no_word.conll, line 2: expected a word and its tag, and the word is empty"],
    ),
    ("ragged.conll", "a DT O\nb O\n", TOKENS, ["ragged.conll, line 2: has 2 columns where line 1"]),
    (
        "place.conll",
        "a O\n",
        ReadOptions("tokens", label_column=3),
        ["place.conll, line 1: has 2 columns", "data.label_column=3"],
    ),
    ("same.conll", "a O\n", ReadOptions("tokens", label_column=0), ["same.conll, line 1", "the same column"]),
    ("named.conll", "a O\n", ReadOptions("tokens", label_column="ner"), ["data.label_column=ner", "no names"]),
    ("comments.conll", "# a\n# b\n\n", TOKENS, ["comments.conll: holds no sentence"]),
    ("starts.conll", "-DOCSTART- O\n", TOKENS, ["starts.conll: holds no sentence"]),
    ("latin.conll", "a\tO\ncaf\u00e9\tO\n".encode("latin-1"), TOKENS, ["latin.conll, line 2: byte 0xe9 is not utf-8"]),
    ("nine.conllu", "1\ta\ta\tX\t_\t_\t0\troot\t_\n", TOKENS, ["nine.conllu, line 1: has 9 columns"]),
    ("id.conllu", "a\ta\ta\tX\t_\t_\t0\troot\t_\t_\n", TOKENS, ["id.conllu, line 1: begins with 'a'"]),
    ("empty.conllu", "1\t\ta\tX\t_\t_\t0\troot\t_\t_\n", TOKENS, ["empty.conllu, line 1: column 2 is empty"]),
    ("none.conllu", "# text\n\n", TOKENS, ["none.conllu: holds no sentence"]),
    ("a.jsonl", span_row(spans=[[3, 3, "X"]]), TOKENS, ["a.jsonl, line 1: span 3-3 X is empty"]),
    ("b.jsonl", span_row(spans=[[5, 99, "X"]]), TOKENS, ["b.jsonl, line 1: span 5-99 X", "15 characters"]),
    ("c.jsonl", span_row(spans=[[-1, 3, "X"]]), TOKENS, ["c.jsonl, line 1: span -1-3 X"]),
    ("d.jsonl", span_row(spans=[[0, 5, "X"], [4, 9, "Y"]]), TOKENS, ["span 0-5 X and span 4-9 Y overlap"]),
    ("e.jsonl", span_row(spans=[[3, 4, "X"]]), TOKENS, ["e.jsonl, line 1: span 3-4 X covers no word"]),
    (
        "f.jsonl",
        span_row(spans=[[0, 1, "X"], [1, 3, "Y"]]),
        TOKENS,
        ["span 1-3 Y and the span before it share the word 'Ana'"],
    ),
    ("g.json", f"[{span_row()}, {span_row(text=' ')}]", TOKENS, ["g.json, row 2: has no text under 'text'"]),
    ("h.jsonl", span_row(spans=[[0, 3, ""]]), TOKENS, ["h.jsonl, line 1", "one label"]),
    (
        "i.jsonl",
        span_row(spans=[{"start": "0", "end": 3, "label": "X"}]),
        TOKENS,
        ["i.jsonl, line 1: a span's start is '0'"],
    ),
    (
        "j.jsonl",
        span_row(spans=[{"start": 0, "end": 3, "label": "X", "text": "na "}]),
        TOKENS,
        ["covers 'Ana'", "code points"],
    ),
    (
        "k.jsonl",
        '{"id": 1, "text": "a"}',
        ReadOptions("tokens", format="spans"),
        ["k.jsonl, line 1: has none of spans"],
    ),
    ("l.jsonl", '{"data": {"text": "a"}, "annotations": []}', TOKENS, ["l.jsonl, line 1: has no annotation"]),
    ("m.jsonl", span_row(answer="reject"), TOKENS, ["m.jsonl: the annotator rejected every row"]),
    ("n.jsonl", span_row(tokens=[{"start": 0, "end": 3, "text": "Bob"}]), TOKENS, ["n.jsonl, line 1: token 'Bob'"]),
]


@pytest.mark.parametrize(("name", "content", "options", "expected"), BROKEN, ids=[case[0] for case in BROKEN])
def test_what_is_broken_is_told_in_one_line(
    name: str, content: str | bytes, options: ReadOptions, expected: list[str], tmp_path: Path
) -> None:
    told_of = fault(written(tmp_path, name, content), options)
    assert [words for words in expected if words not in told_of] == [], told_of


def test_a_quote_left_open_does_not_draw_in_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "LONGEST_FIELD", 100)
    path = written(tmp_path, "a.csv", 'text,label\n"a,1\n' + "b,1\n" * 100)
    with pytest.raises(DataError) as error:
        rows(path, TEXT)
    assert told(error).startswith("a.csv, line 2: a quote opens here and does not close")


def test_parquet_strings_that_are_not_utf8_are_told_with_their_rows(tmp_path: Path) -> None:
    texts = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")])
    path = written(tmp_path, "a.parquet", parquet_bytes(pa.table({"text": texts})))
    with pytest.raises(DataError) as error:
        rows(path, TEXT)
    assert told(error).startswith("a.parquet, rows 1 to 1: can't be read as Arrow's types")


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        ({"a.csv": "text,label\n"}, TEXT, "folder: holds no texts in folders"),
        ({"pos/a.txt": "a"}, TOKENS, "folder: is a folder"),
        ({"pos/a.txt": "a"}, ReadOptions("text", format="csv"), "folder: is a folder, and data.format=csv"),
        ({"pos/a.txt": b"a\n\xff"}, TEXT, "folder/pos/a.txt, line 2: byte 0xff"),
        ({"state.json": "{}"}, TEXT, "folder/state.json: is damaged"),
        ({"state.json": '{"_data_files": [{"filename": "../x"}]}'}, TEXT, "folder: lacks ../x"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(
    files: dict[str, str | bytes], options: ReadOptions, expected: str, tmp_path: Path
) -> None:
    for name, content in files.items():
        written(tmp_path / "folder", name, content)
    with pytest.raises(DataError) as error:
        list(open_table(tmp_path / "folder", "folder", options).read(["text"]))
    assert told(error).startswith(expected)


@given(
    st.binary(max_size=300),
    st.sampled_from(["a", "a.csv", "a.json", "a.jsonl", "a.parquet", "a.arrow", "a.conllu", "a.gz"]),
)
def test_any_bytes_are_read_or_told(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    path = written(tmp_path_factory.mktemp("any"), name, content)
    for options in (TEXT, TOKENS):
        try:
            rows(path, options)
        except DataError as error:
            assert "\n" not in str(error) and name in str(error)
