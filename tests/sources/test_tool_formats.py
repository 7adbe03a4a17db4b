"""Files in the forms of other tools: each read as that tool means it, or told in one line."""

import datetime as dt
import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.configuration.schema import FilesData
from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import DataError
from stages.sources.readers.formats import open_table
from stages.sources.readers.table_file import ReadOptions
from tests.support.canonical_data import Made, made_of
from tests.support.damage import DAMAGES, delete
from tests.support.docbin import BY_SPACY, changed, packed
from tests.support.tables import fault, rows, written
from tests.support.told import told
from tests.support.workbooks import by_hand, text_row, workbook

TEXT = ReadOptions("text")
TOKENS = ReadOptions("tokens")


def lines(*found: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in found)


def made(path: Path, kind: str, **settings: Any) -> Made:
    """What `download` makes of a file that is train and test."""
    options = {"validation_fraction": 0.4, "fail_on": "never", **settings}
    return made_of(FilesData(name="a", kind=kind, source="files", train=str(path), test=str(path), **options))


def labels_of(path: Path, **settings: Any) -> list[Any]:
    """The labels of a file's texts, by name."""
    test = made(path, "text", **settings).splits["test"]
    if settings.get("target") == "number":
        return list(test["label"])
    if settings.get("target") == "labels":
        names = test.features["label"].feature.names
        return [[names[code] for code in row] for row in test["label"]]
    return [test.features["label"].names[code] for code in test["label"]]


def sentences_of(path: Path, **settings: Any) -> list[list[tuple[str, str]]]:
    """The words of a file with their tags."""
    test = made(path, "tokens", **settings).splits["test"]
    names = test.features["tags"].feature.names
    return [
        [(word, names[tag]) for word, tag in zip(row["tokens"], row["tags"], strict=True)] for row in test.to_list()
    ]


# Excel


def test_a_sheets_values_are_text(tmp_path: Path) -> None:
    content = workbook(
        ["text", "label", "when", "yes"],
        ["007", 7, dt.date(2024, 1, 5), True],
        ["NA", 7.0, dt.datetime(2024, 1, 5, 16, 30), False],
        [None, None, None, None],
        ["x_x000D_y", 0.1, dt.time(9, 5), None],
    )
    assert rows(written(tmp_path, "a.xlsx", content), TEXT) == {
        "text": ["007", "NA", "x\ry"],
        "label": ["7", "7", "0.1"],
        "when": ["2024-01-05", "2024-01-05T16:30:00", "09:05:00"],
        "yes": ["TRUE", "FALSE", ""],
        "#": [2, 3, 5],
    }


cells = st.text(st.characters(exclude_categories=["C"]), max_size=20) | st.integers(-(10**9), 10**9) | st.booleans()


@settings(max_examples=30)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_a_sheet_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[Any, Any]]
) -> None:
    def as_text(value: Any) -> str:
        return str(value).upper() if isinstance(value, bool) else str(value)

    safe = [[value.lstrip("=_") if isinstance(value, str) else value for value in record] for record in records]
    path = written(tmp_path_factory.mktemp("excel"), "a.xlsx", workbook(["a", "b"], *safe, ["last", "row"]))
    expected = [list(map(as_text, record)) for record in safe]
    expected = [record for record in expected if any(cell.strip() for cell in record)] + [["last", "row"]]
    read = rows(path, TEXT)
    assert [list(record) for record in zip(read["a"], read["b"], strict=True)] == expected


def test_the_first_sheet_is_read_or_the_one_that_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = written(tmp_path, "a.xlsm", workbook(["text"], ["one"], Second=[["text"], ["two"]]))
    assert rows(path, TEXT)["text"] == ["one"]
    assert "a.xlsm: sheet 'Sheet', the first of 2 (Sheet, Second)" in caplog.text
    assert rows(path, ReadOptions("text", sheet="Second"))["text"] == ["two"]


def test_a_sheet_is_recognised_by_content_and_may_lack_a_header(tmp_path: Path) -> None:
    path = written(tmp_path, "data", workbook(["good", 1], ["bad", 0]))
    assert rows(path, ReadOptions("text", text_column=0, label_column=1)) == {
        "0": ["good", "bad"],
        "1": ["1", "0"],
        "#": [1, 2],
    }


def test_pandas_index_is_no_column(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).to_excel(tmp_path / "a.xlsx")
    assert rows(tmp_path / "a.xlsx", TEXT) == {"text": ["a", "b"], "label": ["x", "y"], "#": [2, 3]}


def test_a_formula_is_the_value_that_excel_has_stored(tmp_path: Path) -> None:
    stored = '<row r="2"><c><f>1+1</f><v>2</v></c><c t="str"><f>"a"&amp;"b"</f><v>ab</v></c><c t="str"><f>""</f><v></v></c></row>'
    path = written(tmp_path, "a.xlsx", by_hand(text_row(1, "text", "label", "more"), stored))
    assert rows(path, TEXT) == {"text": ["2"], "label": ["ab"], "more": [""], "#": [2]}


# spaCy

WORDS = [
    [("Zoë", "B-PERSON"), ("Brandt", "I-PERSON"),
     *((word, "O") for word in ("marks", "the", "case", "in")), ("Łódź", "B-GPE"), (".", "O")],
    [("Blue", "B-event name"), ("Harbour", "I-event name"), ("opened", "O"), (".", "O")],
    [("ORG", "O"), ("neg", "O"), ("日本", "B-LOC")],
]  # fmt: skip
"""The documents of `BY_SPACY` in which every word is annotated: the first, the second and the fifth."""


def test_docbin_gives_the_words_and_entities_that_spacy_wrote(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "a.spacy", BY_SPACY)
    read = rows(path, TOKENS)
    assert [list(zip(*row, strict=True)) for row in zip(read["tokens"], read["tags"], strict=True)] == WORDS
    assert read["#"] == [1, 2, 5]
    assert "a.spacy: left out 2 of 5 documents" in caplog.text and "the first in document 3" in caplog.text
    assert sentences_of(written(tmp_path, "nameless", BY_SPACY)) == WORDS


def test_docbin_gives_texts_and_their_categories(tmp_path: Path) -> None:
    path = written(tmp_path, "a.spacy", BY_SPACY)
    assert rows(path, TEXT, ["text"])["text"] == [
        "Zoë Brandt marks the case in Łódź.", "\n\nBlue Harbour  opened.", "Nobody looked.", "Kim or Lee", "ORG neg 日本",
    ]  # fmt: skip
    assert labels_of(path, target="labels") == [["travel"], ["sport"], [], ["travel", "sport"], ["travel"]] or (
        labels_of(path, target="labels") == [["travel"], ["sport"], [], ["sport", "travel"], ["travel"]]
    )
    with pytest.raises(DataError) as error:
        made(path, "text")
    assert "a.spacy, document 3: has no label" in told(error)


def paragraph(*tokens: tuple[str, str | None], **more: Any) -> dict[str, Any]:
    found = [{"orth": word} if tag is None else {"orth": word, "ner": tag} for word, tag in tokens]
    return {"sentences": [{"tokens": found[:2]}, {"tokens": found[2:], "brackets": []}], **more}


SPORT = {"label": "sport", "value": 1}
V2 = [
    {"id": 0, "paragraphs": [
        paragraph(("Ana", "B-PER"), ("\n", "I-PER"), ("Lo", "L-PER"), ("is", "O"), ("in", "O"), ("York", "U-LOC"),
                  raw="Ana\nLo is in York", cats=[{"label": "travel", "value": 1}, {"label": "sport", "value": 0.0}]),
        paragraph(("she", "O"), ("ran", "-"), raw="she ran", cats=[{"label": "travel", "value": 0}, SPORT]),
    ]},
    {"id": 1, "paragraphs": [paragraph(("so", "O"), ("what", "O"), cats=[SPORT])]},
]  # fmt: skip


def test_spacys_json_is_read_a_paragraph_a_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "a.json", json.dumps(V2))
    assert rows(path, TOKENS) == {
        "tokens": [["Ana", "Lo", "is", "in", "York"], ["so", "what"]],
        "tags": [["B-PER", "I-PER", "O", "O", "B-LOC"], ["O", "O"]],
        "document": ["1", "2"],
        "#": [1, 2],
    }
    assert "left out 1 of 3 documents" in caplog.text
    assert rows(path, TEXT, ["text"])["text"] == ["Ana\nLo is in York", "she ran", "so what"]
    assert labels_of(path) == ["travel", "sport", "sport"]


@pytest.mark.parametrize("form", ["jsonl", "json", "wrapped"])
def test_pairs_of_a_text_and_its_annotations_are_read(form: str, tmp_path: Path) -> None:
    of_words = [["Ana is in York", {"entities": [[0, 3, "PER"], [10, 14, "LOC"]]}], ["no", {"entities": []}]]
    of_texts = [["fine", {"cats": {"pos": 1, "neg": 0}}], ["bad", {"cats": {"pos": 0.0, "neg": 1.0}}]]

    def as_file(name: str, pairs: list[Any]) -> Path:
        array = {"classes": ["PER", "LOC"], "annotations": pairs} if form == "wrapped" else pairs
        content = lines(*pairs) if form == "jsonl" else json.dumps(array)
        return written(tmp_path, f"{name}.{'jsonl' if form == 'jsonl' else 'json'}", content)

    assert sentences_of(as_file("words", of_words)) == [
        [("Ana", "B-PER"), ("is", "O"), ("in", "O"), ("York", "B-LOC")], [("no", "O")],
    ]  # fmt: skip
    assert labels_of(as_file("texts", of_texts)) == ["pos", "neg"]


def test_the_configured_keys_of_spans_are_used(tmp_path: Path) -> None:
    found = [{"body": "in York", "marks": [[3, 7, "LOC"]], "text": "x"}, {"body": "no", "marks": []}]
    read = sentences_of(
        written(tmp_path, "a.jsonl", lines(*found)), format="spans", text_column="body", label_column="marks"
    )
    assert read == [[("in", "O"), ("York", "B-LOC")], [("no", "O")]]


# A word a row

ONE_A_ROW = [
    ("Café", "NN", "B-org"),
    ("opened", "VBD", "O"),
    ("NA", "NN", "O"),
    ('"', "``", "O"),
    ("Łodz", "NNP", "B-geo"),
]
SENTENCES = [[("Café", "B-org"), ("opened", "O")], [("NA", "O"), ('"', "O"), ("Łodz", "B-geo")]]


def word_table(every: bool) -> pd.DataFrame:
    """A table of two sentences, with their numbers on each word or on the first."""
    numbers = ["Sentence: 1", "Sentence: 1" if every else "", "Sentence: 2", *["Sentence: 2" if every else ""] * 2]
    table = pd.DataFrame(ONE_A_ROW, columns=["Word", "POS", "Tag"])
    table.insert(0, "Sentence #", numbers)
    return table


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("form", ["csv", "latin", "tsv", "xlsx", "parquet", "txt"])
def test_a_table_of_a_word_a_row_is_read_as_sentences(every: bool, form: str, tmp_path: Path) -> None:
    table, settings = word_table(every), {}
    path = tmp_path / f"a.{'csv' if form == 'latin' else form}"
    if form == "xlsx":
        table.to_excel(path, index=False)
    elif form == "parquet":
        table.to_parquet(path)
    elif form == "latin":
        table = table.replace("Łodz", "Lódz")
        table.to_csv(path, index=False, encoding="latin-1")
        settings["encoding"] = "latin-1"
    else:
        table.to_csv(path, index=False, sep="," if form == "csv" else "\t")
    expected = [
        [(word.replace("Łodz", "Lódz") if form == "latin" else word, tag) for word, tag in row] for row in SENTENCES
    ]
    assert sentences_of(path, **settings) == expected


def test_a_sentence_goes_on_where_its_number_is_nan(tmp_path: Path) -> None:
    table = word_table(every=False).assign(**{"Sentence #": [1.0, math.nan, 2.0, math.nan, math.nan]})
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False).set_column(
            0, "Sentence #", pa.array(table["Sentence #"].to_numpy(), from_pandas=False)
        ),
        tmp_path / "a.parquet",
    )
    assert sentences_of(tmp_path / "a.parquet") == SENTENCES


def test_columns_of_a_table_of_words_can_be_chosen(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "nr,w,p,t,doc\n1,a,X,O,d\n1,b,Y,B-x,d\n2,c,X,O,e\n")
    options = {"sentence_column": "nr", "text_column": "w", "label_column": "t"}
    assert rows(path, ReadOptions("tokens", **options)) == {
        "nr": ["1", "2"], "w": [["a", "b"], ["c"]], "p": ["X", "X"], "t": [["O", "B-x"], ["O"]], "doc": ["d", "e"], "#": [2, 4],
    }  # fmt: skip
    assert sentences_of(path, **options) == [[("a", "O"), ("b", "B-x")], [("c", "O")]]


def test_a_table_of_words_may_lack_a_header(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "s1\ta\tO\ns1\tb\tB-x\ns2\tc\tO\n")
    assert sentences_of(path, sentence_column=0, text_column=1, label_column=2) == [
        [("a", "O"), ("b", "B-x")],
        [("c", "O")],
    ]


def test_numbers_of_sentences_that_fall_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "a.csv", "sentence_id,word,tag\n2,a,O\n3,b,O\n1,c,O\n2,d,O\n")
    assert rows(path, TOKENS)["tokens"] == [["a"], ["b"], ["c"], ["d"]]
    assert "a.csv: sentence numbers decrease 1 times, first in line 4" in caplog.text


@given(
    st.lists(st.lists(st.text("ab\u00a0é,\"'", min_size=1, max_size=4), min_size=1, max_size=4), min_size=1, max_size=5)
)
def test_a_table_of_words_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[str]]
) -> None:
    table = pd.DataFrame(
        [(number, word, "O") for number, words in enumerate(sentences) for word in words],
        columns=["sentence_idx", "word", "tag"],
    )
    path = tmp_path_factory.mktemp("words") / "a.csv"
    table.to_csv(path, index=False)
    assert rows(path, TOKENS)["tokens"] == sentences


def test_words_and_tags_joined_by_spaces_are_split(tmp_path: Path) -> None:
    content = 'text,tags\n"Ana, is  in New\u00a0York",B-PER O  O B-LOC\n[ 1 ] no,O O O O\n'
    assert sentences_of(written(tmp_path, "a.csv", content)) == [
        [("Ana,", "B-PER"), ("is", "O"), ("in", "O"), ("New\u00a0York", "B-LOC")],
        [("[", "O"), ("1", "O"), ("]", "O"), ("no", "O")],
    ]
    mixed = written(tmp_path, "b.csv", 'tokens,labels\n"[""a"", ""b""]","[""O"", ""B-x""]"\nc d,O O\n')
    assert sentences_of(mixed) == [[("a", "O"), ("b", "B-x")], [("c", "O"), ("d", "O")]]
    listed = [written(tmp_path, "c.csv", "text,tags\nin [ York,\"['O', 'O', 'B-LOC']\"\nno,['O']\n")]
    listed += [
        written(
            tmp_path,
            "d.jsonl",
            lines({"text": "in [ York", "tags": ["O", "O", "B-LOC"]}, {"text": "no", "tags": ["O"]}),
        )
    ]
    for path in listed:
        assert sentences_of(path) == [[("in", "O"), ("[", "O"), ("York", "B-LOC")], [("no", "O")]]


@pytest.mark.parametrize("form", ["conll", "csv"])
def test_empty_words_are_told_all_at_once_or_left_out(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = [("a", "O"), ("", "O"), ("b", "B-x"), *[("", "O")] * 5, ("", "I-x")]
    content = "".join(f"{word}\t{tag}\n" for word, tag in found) + "\nc\tO\n"
    if form == "csv":
        content = "sentence,word,tag\n" + "".join(f"1,{word},{tag}\n" for word, tag in found) + "2,c,O\n"
    path = written(tmp_path, f"a.{form}", content)
    with pytest.raises(DataError) as error:
        rows(path, TOKENS)
    first = 2 if form == "conll" else 3
    shown = ", ".join(str(first + more) for more in (2, 3, 4, 5))
    assert f"line {first}: expected a word and its tag, and the word is empty, like 6 more ({shown} …)" in told(error)
    assert sentences_of(path, empty_words="drop") == [[("a", "O"), ("b", "B-x")], [("c", "O")]]
    assert f"left out 7 empty words, 1 of them with another tag than O, the first in line {first}" in caplog.text


# Classification as annotation tools export it


@pytest.mark.parametrize("label", [["pos"], "pos", {"pos": 1, "neg": 0}], ids=["list", "text", "object"])
@pytest.mark.parametrize("key", ["label", "labels", "cats"])
def test_one_label_is_read_however_it_is_nested(label: Any, key: str, tmp_path: Path) -> None:
    path = written(
        tmp_path, "a.jsonl", lines({"id": 1, "text": "fine", key: label}, {"id": 2, "text": "good", key: label})
    )
    assert labels_of(path) == ["pos", "pos"]


def task(text: str, *choices: str, skipped: bool = False, name: str = "tone") -> dict[str, Any]:
    result = {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(choices)}}
    skip = {"was_cancelled": True, "result": []}
    return {
        "id": 1,
        "data": {"text": text, "from": "x"},
        "annotations": [skip] if skipped else [skip, {"result": [result]}],
    }


@pytest.mark.parametrize("as_lines", [True, False])
def test_label_studios_choices_are_labels(as_lines: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tasks = [task("fine", "pos"), task("bad", "neg"), task("what", skipped=True)]
    path = written(tmp_path, "a.jsonl" if as_lines else "a.json", lines(*tasks) if as_lines else json.dumps(tasks))
    assert rows(path, TEXT) == {
        "text": ["fine", "bad"], "from": ["x", "x"], "tone": [["pos"], ["neg"]], "label": [["pos"], ["neg"]], "#": [1, 2],
    }  # fmt: skip
    assert "left out 1 tasks that the annotator skipped" in caplog.text
    assert labels_of(path) == labels_of(path, label_column="tone") == ["pos", "neg"]


def test_label_studios_several_choices_and_ratings_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    several = written(tmp_path, "a.json", json.dumps([task("a", "x", "y"), task("b"), task("c", "y")]))
    assert labels_of(several, target="labels") == [["x", "y"], [], ["y"]]
    rated = [
        {"data": {"text": text}, "annotations": [{"result": [{"from_name": "stars", "value": {"rating": stars}}]}]}
        for text, stars in (("a", 4), ("b", 1))
    ]
    assert labels_of(written(tmp_path, "b.json", json.dumps(rated)), target="number") == [4.0, 1.0]
    two = task("a", "x")
    two["annotations"].append({"result": [{"from_name": "tone", "type": "choices", "value": {"choices": ["y"]}}]})
    assert labels_of(written(tmp_path, "c.json", json.dumps([two, task("b", "y")]))) == ["x", "y"]
    assert "c.json: 1 tasks have annotations that differ" in caplog.text


def test_labels_of_regions_are_not_taken_for_one_of_the_text(tmp_path: Path) -> None:
    of_regions = task("a", "x")
    results = of_regions["annotations"][1]["result"]
    results.append({**results[0], "value": {"choices": ["y"]}})
    with pytest.raises(DataError) as error:
        labels_of(written(tmp_path, "a.json", json.dumps([task("b", "y"), of_regions])))
    assert "a.json, row 2: has several results of the control tone" in told(error)


SHORT = {"id": 1, "annotator": 1, "annotation_id": 5, "created_at": "2024", "updated_at": "2024", "lead_time": 3.5}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_label_studios_short_forms_are_read(form: str, tmp_path: Path) -> None:
    found: list[dict[str, Any]] = [
        {"text": "fine", "tone": "pos", **SHORT}, {"text": "bad", "tone": {"choices": ["neg", "pos"]}, **SHORT, "id": 2},
    ]  # fmt: skip
    if form == "json":
        path = written(tmp_path, "a.json", json.dumps(found))
    else:
        found[1]["tone"] = json.dumps(found[1]["tone"])
        pd.DataFrame(found).to_csv(tmp_path / "a.csv", index=False)
        path = tmp_path / "a.csv"
    read = rows(path, TEXT)
    assert read["label"] == read["tone"] == ["pos", ["neg", "pos"]]

    several = [{"text": "none", **SHORT}] if form == "json" else []
    several += [{"text": "a", "tone": "x", **SHORT}, {"text": "b", "tone": {"choices": ["x", "y"]}, **SHORT}]
    path = written(tmp_path, "b.json", json.dumps(several[::-1]))
    if form == "csv":
        for row in several:
            row["tone"] = json.dumps(row["tone"]) if isinstance(row["tone"], dict) else row["tone"]
        several.append({"text": "none", **SHORT})
        pd.DataFrame(several[1:] + several[:1]).to_csv(tmp_path / "b.csv", index=False)
        path = tmp_path / "b.csv"
    assert sorted(labels_of(path, target="labels")) == [[], ["x"], ["x", "y"]]


@pytest.mark.parametrize("hashed", [True, False])
def test_texts_whose_label_was_rejected_in_prodigy_are_left_out(
    hashed: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    answers = [("a", "x", "accept"), ("b", "x", "reject"), ("c", "y", "accept"), ("d", "y", "ignore")]
    found = [{"text": text, "label": label, "answer": answer} for text, label, answer in answers]
    path = written(tmp_path, "a.jsonl", lines(*({**row, "_task_hash": 1} if hashed else row for row in found)))
    assert labels_of(path) == (["x", "y"] if hashed else ["x", "x", "y", "y"])
    assert ("left out 2 rows that the annotator rejected" in caplog.text) == hashed


def test_any_task_of_label_studio_may_lack_a_choice(tmp_path: Path) -> None:
    tasks = [{"data": {"text": "none"}, "annotations": [{"result": []}]}, task("a", "x"), task("b", "y")]
    assert labels_of(written(tmp_path, "a.json", json.dumps(tasks)), target="labels") == [[], ["x"], ["y"]]
    other = task("c", "z")
    other["annotations"][1]["result"][0]["from_name"] = "other"
    with pytest.raises(DataError) as error:  # `label` could mean either
        labels_of(written(tmp_path, "b.json", json.dumps([*tasks[1:], other])))
    assert "set data.label_column to one of its columns: from, tone, other" in told(error)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_missing_list_of_labels_is_no_label(form: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["a", "b", "c"], "labels": [["x", "y"], None, []]})
    path = tmp_path / f"a.{form}"
    if form == "jsonl":
        table.to_json(path, orient="records", lines=True)
    elif form == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    assert labels_of(path, target="labels") == [["x", "y"], [], []]


# brat

LETTER = "Ana Lo went to\nNew York.\n\nShe met Bo.\n"
ANNOTATIONS = (
    "T1\tPER 0 6\tAna Lo\nT2\tLOC 15 23\tNew York\nR1\tIn Arg1:T1 Arg2:T2\nE1\tGo:T1\nA1\tSure T1\n#1\tAnnotatorNotes T1\tTom\n"
    "*\tEquiv T1 T3\n\nT3\tPER 34 36\tBo\n"
)


def brat_folder(folder: Path) -> Path:
    for name, content in {
        "10.txt": LETTER, "10.ann": ANNOTATIONS, "2.txt": "Bo\r\nran\r\n", "2.ann": "T1\tPER 0 2\tBo\r\n", "more/1.txt": "no one",
        "more/1.ann": "", "notes.txt": "no annotations",
    }.items():  # fmt: skip
        written(folder, name, content)
    return folder


FIRST = [
    [("Ana", "B-PER"), ("Lo", "I-PER"), ("went", "O"), ("to", "O")],
    [("New", "B-LOC"), ("York", "I-LOC"), (".", "O")],
    [("She", "O"), ("met", "O"), ("Bo", "B-PER"), (".", "O")],
]


def test_a_folder_of_brat_is_read_a_line_a_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = brat_folder(tmp_path / "brat")
    expected = [[("Bo", "B-PER")], [("ran", "O")], *FIRST, [("no", "O"), ("one", "O")]]
    assert sentences_of(folder) == expected
    assert rows(folder, TOKENS)["document"] == ["2", "2", "10", "10", "10", "more/1"]
    assert rows(folder, TOKENS)["#"] == [1, 2, 1, 2, 4, 1]
    assert "left out 1 texts without annotations (.ann), the first notes.txt" in caplog.text


@pytest.mark.parametrize("pattern", ["10.*", "10.txt", "10.ann"])
def test_a_document_of_brat_is_read_once_by_any_of_its_files(pattern: str, tmp_path: Path) -> None:
    folder = brat_folder(tmp_path / "brat")
    assert sentences_of(folder / pattern) == FIRST


@pytest.mark.parametrize("pattern", ["10.*", "10.txt", "10.ann"])
def test_the_digests_of_brat_are_of_both_files(pattern: str, tmp_path: Path) -> None:
    folder = brat_folder(tmp_path / "brat")
    digests = {sha256_of(folder / name) for name in ("10.txt", "10.ann")}
    assert set(made(folder / pattern, "tokens").report.sha256["train"]) == digests


def test_the_files_of_a_folder_of_brat_are_groups(tmp_path: Path) -> None:
    for number in range(12):
        written(tmp_path, f"brat/{number}.txt", f"Ana {number}\nBob {number}\n")
        written(tmp_path, f"brat/{number}.ann", "T1\tPER 0 3\tAna\n")
    config = FilesData(
        name="a", kind="tokens", source="files", train=str(tmp_path / "brat"), group_column="file", test_fraction=0.25
    )
    found = [{words[1] for words in split["tokens"]} for split in made_of(config).splits.values()]
    assert sum(map(len, found)) == len(set.union(*found)) == 12


def test_brat_is_read_from_an_archive(tmp_path: Path) -> None:
    folder = brat_folder(tmp_path / "brat")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in folder.rglob("*.*"):
            archive.write(file, file.relative_to(tmp_path))
    assert len(sentences_of(tmp_path / "a.zip")) == 6
    assert len(sentences_of(f"zip://brat::{tmp_path / 'a.zip'}")) == 6  # type: ignore[arg-type]


def test_a_span_of_brat_that_goes_on_behind_a_lines_end_joins_the_lines(tmp_path: Path) -> None:
    written(tmp_path, "a.txt", "so\nsaid Ana\nLo.\nYes")
    written(tmp_path, "a.ann", "T1\tPER 8 11;12 14\tAna Lo\n")
    assert sentences_of(tmp_path / "a.ann") == [
        [("so", "O")], [("said", "O"), ("Ana", "B-PER"), ("Lo", "I-PER"), (".", "O")], [("Yes", "O")],
    ]  # fmt: skip


# Labels before texts


def test_fasttexts_labels_are_read(tmp_path: Path) -> None:
    content = "__label__a one  two\n\n__label__b three\r\nfour __label__a five\n"
    path = written(tmp_path, "train.txt", content)
    assert rows(path, TEXT) == {"text": ["one  two", "three", "four five"], "label": ["a", "b", "a"], "#": [1, 3, 4]}
    several = written(tmp_path, "cooking.train", "__label__a __label__b one\nno\n__label__b two\n")
    assert labels_of(several, target="labels") == [["a", "b"], [], ["b"]]
    rated = written(tmp_path, "stars.txt", "__label__4 one\n__label__1 two\n")
    assert labels_of(rated, target="number") == [4.0, 1.0]


def test_trecs_questions_are_read_where_they_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.label", "DESC:manner How so ?\nENTY:other What : this ?\n".encode("latin-1"))
    read = rows(path, ReadOptions("text", format="trec"))
    assert read["text"] == ["How so ?", "What : this ?"] and read["label"] == ["DESC", "ENTY"]
    assert read["fine"] == ["DESC:manner", "ENTY:other"]
    assert labels_of(path, format="trec", label_column="fine") == ["DESC:manner", "ENTY:other"]
    with pytest.raises(DataError) as error:
        open_table(path, "a.label", TEXT)
    assert "neither its name nor its content" in told(error) and "trec" in told(error)
    coarse = written(tmp_path, "b", "DESC How so ?\nENTY\tWhat : this ?\n")
    assert rows(coarse, ReadOptions("text", format="trec")) == {
        "text": ["How so ?", "What : this ?"], "label": ["DESC", "ENTY"], "#": [1, 2],
    }  # fmt: skip


# What is broken, or not read


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return buffer.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)
ENCRYPTED = OLE + "EncryptedPackage".encode("utf-16-le") + bytes(100)
OLD_BOOK = OLE + "Workbook".encode("utf-16-le") + bytes(100)
BOMB = zipped(xl__workbook_dot_xml=b"<workbook/>", xl__worksheets__sheet1_dot_xml=bytes(200_000_000))
ENTITIES = by_hand(text_row(1, "text"), start='<!DOCTYPE x [<!ENTITY a "b">]>')
UNSTORED = by_hand(text_row(1, "text", "label"), '<row r="3"><c><v>1</v></c><c><f>1+1</f></c></row>')
FAULTY = by_hand(text_row(1, "text", "label"), '<row r="4"><c t="e"><v>#N/A</v></c><c><v>1</v></c></row>')
HEADLESS = workbook(["text", None], ["a", "x"])
TREC = ReadOptions("text", format="trec")
WORD_ROWS = ReadOptions("tokens", sentence_column="n")

BROKEN: list[tuple[str, str | bytes, ReadOptions, list[str]]] = [
    ("locked.xlsx", ENCRYPTED, TEXT, ["locked.xlsx: is protected by a password", "remove the password"]),
    ("old.xlsx", OLD_BOOK, TEXT, ["old.xlsx: is an old Excel workbook", "save it as .xlsx"]),
    ("other.csv", OLE, TEXT, ["other.csv: is an old Office file"]),
    ("bomb.xlsx", BOMB, TEXT, ["bomb.xlsx: unpacks to 200,000,011 bytes", "CSV"]),
    ("entities.xlsx", ENTITIES, TEXT, ["entities.xlsx: its part xl/worksheets/sheet1.xml defines entities"]),
    ("unstored.xlsx", UNSTORED, TEXT, ["unstored.xlsx, row 3: cell B3 holds a formula whose value is not stored"]),
    ("faulty.xlsx", FAULTY, TEXT, ["faulty.xlsx, row 4: cell A4 holds the error #N/A"]),
    ("headless.xlsx", HEADLESS, TEXT, ["headless.xlsx, row 2: cell B2 is in a column without a name", "merged"]),
    ("twice.xlsx", workbook([None], ["a", "a"]), TEXT, ["twice.xlsx, row 2: column 'a' occurs twice"]),
    ("empty.xlsx", workbook(), TEXT, ["empty.xlsx: its sheet 'Sheet' is empty"]),
    ("sheet.xlsx", workbook(["a"]), ReadOptions("text", sheet="b"), ["has no sheet 'b'", "data.sheet to one of 'Sheet'"]),
    ("sheet.csv", "text\na\n", ReadOptions("text", sheet="b"), ["sheet.csv: is csv, and data.sheet='b'"]),
    ("cut.xlsx", workbook(["a"])[:-100], TEXT, ["cut.xlsx: is a damaged ZIP archive"]),
    ("book.csv", workbook(["a"]), TEXT, ["book.csv: is read as csv and holds an Excel workbook", "data.format=xlsx"]),
    ("text.xlsx", "text,label\n", TEXT, ["text.xlsx: can't be read as an Excel workbook", "data.format"]),
    ("word.xlsx", zipped(word__document_dot_xml=b"<w/>"), TEXT, ["word.xlsx: is a Word document"]),
    ("calc.xlsx", zipped(mimetype=b"application/vnd.oasis.opendocument.spreadsheet"), TEXT, ["calc.xlsx"]),
    ("cut.spacy", BY_SPACY[:-20], TOKENS, ["cut.spacy: can't be read as a spaCy DocBin", "end too early"]),
    ("flip.spacy", BY_SPACY[:300] + b"\xff\xff" + BY_SPACY[302:], TOKENS, ["flip.spacy: can't be read as a spaCy DocBin"]),
    ("text.spacy", "text\n", TOKENS, ["text.spacy: can't be read as a spaCy DocBin: its first bytes"]),
    ("docbin.jsonl", BY_SPACY, TOKENS, ["docbin.jsonl: is read as jsonl and holds a spaCy DocBin", "data.format=spacy"]),
    ("short.spacy", changed(tokens=b""), TOKENS, ["short.spacy: can't be read as a spaCy DocBin", "words are there"]),
    ("keys.spacy", changed(lengths=None), TOKENS, ["keys.spacy: can't be read as a spaCy DocBin", "lengths"]),
    ("none.spacy", changed(lengths=b"", tokens=b"", spaces=b"", cats=[]), TOKENS, ["none.spacy: holds no document"]),
    ("strings.spacy", changed(strings=["Brandt"]), TOKENS, ["strings.spacy, document 1: string "]),
    ("attrs.spacy", changed(attrs=[65, *range(200, 212)]), TOKENS, ["attrs.spacy: was written without ENT_IOB"]),
    ("list.spacy", packed({"version": [1]}), TEXT, ["list.spacy: can't be read as a spaCy DocBin"]),
    ("blank.json", json.dumps([{"paragraphs": [paragraph(("a", None))]}]), TOKENS, ["blank.json, row 1: has words without", "-"]),
    ("tag.json", json.dumps([{"paragraphs": [paragraph(("a", "PER"))]}]), TOKENS, ["tag.json, row 1, paragraph 1", "'PER'"]),
    ("orth.json", json.dumps([{"paragraphs": [paragraph(("a", "O")), {"sentences": [{"tokens": [{}]}]}]}]), TOKENS,
     ["orth.json, row 1, paragraph 2: token 1 has no text under 'orth'"]),
    ("parts.json", json.dumps([V2[0], {"paragraphs": 5}]), TOKENS, ["parts.json, row 2: has no list of paragraphs"]),
    ("cats.json", json.dumps([{"paragraphs": [paragraph(cats=[5])]}]), TEXT, ["cats.json, row 1, paragraph 1: its cats"]),
    ("pair.jsonl", lines(["Ana", {"entities": [[0, 9, "PER"]]}]), TOKENS, ["pair.jsonl, line 1: span 0-9 PER"]),
    ("pairs.jsonl", lines(["Ana", {"entities": []}], ["Ana", []]), TOKENS, ["pairs.jsonl, line 2: is an array"]),
    ("first.csv", "Sentence #,Word,Tag\n,a,O\n", TOKENS, ["first.csv, line 2: is the first word and has no sentence"]),
    ("word.csv", "Sentence #,Word,Tag\n1,,O\n", TOKENS, ["word.csv, line 2: expected a word and its tag", "empty_words"]),
    ("column.csv", "nr,Word,Tag\n1,a,O\n", WORD_ROWS, ["column.csv: has no column n", "data.sentence_column"]),
    ("same.csv", "n,Word\n1,a\n", replace(WORD_ROWS, label_column="n"), ["choose three columns"]),
    ("rows.conll", "a O\n", WORD_ROWS, ["rows.conll: is conll, which has sentences", "data.sentence_column"]),
    ("none.json", json.dumps([{"data": {"text": "a"}, "annotations": []}]), TEXT, ["none.json, row 1: has no annotation"]),
    ("skipped.json", json.dumps([task("a", skipped=True)]), TEXT, ["skipped.json: every task was skipped"]),
    ("spans.json", json.dumps([{"data": {}, "annotations": [{"result": []}]}]), TEXT, ["spans.json: no task has a choice"]),
    ("result.json", json.dumps([task("a", "b"), {"data": {}, "annotations": [{}]}]), TEXT, ["result.json, row 2", "'result'"]),
    ("min.csv", "text,label,annotation_id,lead_time\na,b,1,2\n", TOKENS, ["min.csv: is Label Studio's CSV", "export as JSON"]),
    ("two.txt", "__label__a x\n__label__a __label__b y\n", TEXT, ["two.txt, line 2: has 2 labels", "task=multilabel"]),
    ("no.txt", "__label__a x\n\ny\n", TEXT, ["no.txt, line 3: has no label"]),
    ("nameless.txt", "__label__a x\n__label__ y\n", TEXT, ["nameless.txt, line 2: has __label__ without a name"]),
    ("words.txt", "__label__a x\n", ReadOptions("tokens", format="fasttext"), ["words.txt: is fasttext", "task=text"]),
    ("alone.label", "DESC:x What ?\nDESC:x\n", TREC, ["alone.label, line 2: expected LABEL:fine text"]),
    ("coarse.label", "DESC What ?\nDESC:x What ?\n", TREC, ["coarse.label, line 2: expected LABEL text"]),
    ("blank.label", "\n \n", TREC, ["blank.label: is empty"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "options", "expected"), BROKEN, ids=[case[0] for case in BROKEN])
def test_what_is_broken_is_told_in_one_line(
    name: str, content: str | bytes, options: ReadOptions, expected: list[str], tmp_path: Path
) -> None:
    told_of = fault(written(tmp_path, name, content), options)
    assert [words for words in expected if words not in told_of] == [], told_of


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ("T1\tPER 0 3\tAna\nT2\tPER 0 3;15 18\tAna New\n", "a.ann, line 2: T2 (PER 0 18) is discontinuous"),
        ("T1\tPER 0 6\tAna Lo\nT2\tX 4 6\tLo\n", "a.ann, line 2: T2 (X 4 6) is nested in T1 (PER 0 6)"),
        ("T1\tX 4 11\tLo went\nT2\tPER 0 6\tAna Lo\nT3\tX 4 6\tLo\n", "a.ann, line 1: T1 (X 4 11) overlaps T2 (PER 0 6) (and 1"),
        ("T1\tPER 0 99\tAna\n", "a.ann, line 1: T1 (PER 0 99) is empty or leaves the text, which has 38 characters"),
        ("T1\tPER 3 3\t\n", "a.ann, line 1: T1 (PER 3 3) is empty"),
        ("R1\tx\nT1 PER 0 3 Ana\n", "a.ann, line 2: expected"),
        ("T1\tPER 0 3\tBob\n", "a.ann, line 1: span 0-3 PER covers 'Ana', and the file says 'Bob'"),
        ("T1\tPER 3 4\t \n", "a.ann, line 1: span 3-4 PER covers no word"),
        ("T1\tPER 0 1\tA\nT2\tX 1 3\tna\n", "a.ann, line 2: span 1-3 X and the span before it share the word 'Ana'"),
    ],
)  # fmt: skip
def test_what_tags_cant_say_of_brat_is_told_with_file_and_line(annotations: str, expected: str, tmp_path: Path) -> None:
    written(tmp_path, "a.txt", LETTER)
    path = written(tmp_path, "a.ann", annotations)
    with pytest.raises(DataError) as error:
        rows(path, TOKENS)
    assert told(error).startswith(expected)


def test_half_a_document_of_brat_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "a.ann", ANNOTATIONS)
    with pytest.raises(DataError) as error:
        rows(path, TOKENS)
    assert told(error).startswith("a.ann: there is no a.txt beside it")


@pytest.mark.parametrize(
    "suffix",
    [
        "xml",
        "docx",
        "doc",
        "pdf",
        "xls",
        "ods",
        "html",
        "rtf",
        "pickle",
        "joblib",
        "npz",
        "db",
        "h5",
        "rds",
        "sav",
        "yaml",
        "7z",
        "pt",
        "XML",
        "xml.gz",
    ],
)
@pytest.mark.parametrize("options", [TEXT, TOKENS], ids=["text", "tokens"])
def test_a_form_that_is_not_read_is_refused_by_its_name(suffix: str, options: ReadOptions, tmp_path: Path) -> None:
    name = f"a.{suffix}"
    path = written(tmp_path, name, "whatever")
    with pytest.raises(DataError) as error:
        open_table(path, name, options)
    assert told(error).startswith(f"{name}: ") and ("; " in told(error) or "convert" in told(error))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'<?xml version="1.0"?><a/>', "XML"),
        (b"{\\rtf1 a}", "Rich Text"),
        (b"%PDF-1.7", "PDF"),
        (b"SQLite format 3\0", "SQLite"),
        (zipped(a_dot_npy=b"\x93NUMPY"), "NumPy"),
        (b"\x93NUMPY\x01", "NumPy"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"7z\xbc\xaf\x27\x1c", "archive"),
    ],
)  # fmt: skip
def test_a_form_that_is_not_read_is_refused_by_its_content(content: bytes, expected: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", content)
    with pytest.raises(DataError) as error:
        open_table(path, "a.csv", TEXT)
    assert told(error).startswith("a.csv: ") and expected in told(error)


def flip(file: Path) -> None:
    """Change some bytes, always the same ones."""
    content = bytearray(file.read_bytes())
    random = Random(len(content))
    for _ in range(8):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    file.write_bytes(bytes(content))


GOOD: dict[str, bytes] = {
    "a.xlsx": workbook(["text", "label"], *([f"text {row}", row] for row in range(40))),
    "a.spacy": BY_SPACY,
    "a.json": json.dumps(V2).encode(),
    "b.json": json.dumps([task("fine", "pos"), task("bad", "neg")]).encode(),
    "a.jsonl": lines(["Ana", {"entities": [[0, 3, "PER"]]}], ["b", {"entities": []}]).encode(),
    "a.csv": b"Sentence #,Word,Tag\n1,a,O\n,b,B-x\n2,c,O\n",
    "a.ann": ANNOTATIONS.encode(),
    "a.txt": b"__label__a x\n__label__b y\n",
}


@pytest.mark.parametrize("damage", [*(damage for damage in DAMAGES if damage is not delete), flip])
@pytest.mark.parametrize("name", GOOD)
def test_a_damaged_file_is_read_or_told(name: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = written(tmp_path, name, GOOD[name])
    if name == "a.ann":
        written(tmp_path, "a.txt", LETTER)
    damage(path)
    for options in (TEXT, TOKENS, ReadOptions("text", format="trec")):
        try:
            rows(path, options)
        except DataError as error:
            assert "\n" not in str(error) and str(error).startswith(name.partition(".")[0])


@given(
    st.sampled_from(list(GOOD)),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 10**6),
)
def test_any_change_of_bytes_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, name: str, changes: list[tuple[int, int]], end: int
) -> None:
    content = bytearray(GOOD[name])
    for place, byte in changes:
        content[place % len(content)] = byte
    folder = tmp_path_factory.mktemp("any")
    written(folder, "a.txt", LETTER)
    path = written(folder, name, bytes(content[: len(content) - end % len(content) if end % 3 == 0 else None]))
    for options in (TEXT, TOKENS):
        try:
            rows(path, options)
        except DataError as error:
            assert "\n" not in str(error)
