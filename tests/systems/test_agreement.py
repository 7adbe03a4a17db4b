"""Two files are joined only if what both say of the same rows agrees; what tells sentences and texts is used."""

from pathlib import Path
from typing import Any

import pytest

from stages.pipeline.errors import DataError
from stages.systems.joining import Columns, read_pair
from tests.support.joined_files import labels, pair, write, write_rows
from tests.support.told import told


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_rows_joined_in_order_are_of_the_same_texts() -> None:
    write("g.csv", "text,label\nfoo bar,a\nbaz,b\n")
    write("p.csv", "text,prediction\nbaz,b\nfoo bar,a\n")
    with pytest.raises(DataError) as error:
        pair("g.csv", "p.csv")
    assert "p.csv, line 2: has the text 'baz' where g.csv, line 2 has 'foo bar'; give predictions in the order" in told(
        error
    )
    ignoring = read_pair(Path("g.csv"), Path("p.csv"), Columns(), ignore_words=True)
    assert labels(ignoring.table) == (["a", "b"], ["b", "a"])
    write("p.csv", "text,prediction\nfoo  bar ,a\nbaz,a\n")
    assert labels(pair("g.csv", "p.csv")) == (["a", "b"], ["a", "a"])


def test_a_second_text_and_lists_of_tokens_are_compared_too() -> None:
    for column, one, other in (("hypothesis", "u", "v"), ("tokens", ["u"], ["v"])):
        write_rows(Path("g.jsonl"), [{"premise": "p", column: one, "label": "a"}])
        write_rows(Path("p.jsonl"), [{"premise": "p", column: other, "prediction": "a"}])
        with pytest.raises(DataError) as error:
            pair("g.jsonl", "p.jsonl")
        assert f"p.jsonl, line 1: has the {column} {other!r} where g.jsonl, line 1 has {one!r}" in told(error)


def test_gold_that_predictions_bring_along_is_that_of_the_gold_file() -> None:
    write("g.csv", "label\na\nb\n")
    write("p.csv", "label,prediction\nb,b\na,a\n")
    with pytest.raises(DataError) as error:
        pair("g.csv", "p.csv")
    assert "p.csv, line 2: its own column of gold has 'b' where g.csv, line 2 has 'a'" in told(error)
    for own in ("a,b\nb,a\n", ",b\n,a\n", "0,b\n1,a\n"):
        write("p.csv", f"label,prediction\n{own}")
        assert labels(pair("g.csv", "p.csv")) == (["a", "b"], ["b", "a"])
    write("n.csv", "gold\n1.5\n2.5\n")
    write("q.csv", "gold,predicted\n2.5,1\n1.5,1\n")
    with pytest.raises(DataError) as error:
        pair("n.csv", "q.csv")
    assert "q.csv, line 2: its own column of gold has 2.5 where n.csv, line 2 has 1.5" in told(error)


@pytest.mark.parametrize("names", [("ID", "ID"), ("id", "Id"), ("guid", "guid"), ("idx", "IDX"), ("index", "index")])
def test_ids_of_other_names_join_rows(names: tuple[str, str]) -> None:
    write("g.csv", f"{names[0]},label\n1,a\n2,b\n")
    write("p.csv", f"{names[1]},prediction\n2,b\n1,a\n")
    assert labels(pair("g.csv", "p.csv")) == (["a", "b"], ["a", "b"])


def test_columns_that_are_no_ids_join_nothing() -> None:
    write("g.csv", "index,label\n7,a\n9,b\n")
    write("p.csv", "index,prediction\n0,b\n1,a\n")
    assert labels(pair("g.csv", "p.csv")) == (["a", "b"], ["b", "a"])
    write("g.csv", "ID,label\n1,a\n1,b\n")
    write("p.csv", "ID,prediction\n1,b\n1,a\n")
    assert labels(pair("g.csv", "p.csv")) == (["a", "b"], ["b", "a"])


def test_sentence_ids_part_words_into_sentences() -> None:
    write("g.csv", "sentence_id,token,gold\ns,a,B-x\ns,c,O\nt,b,I-x\n")
    write("p.csv", "sentence_id,token,predicted\nt,b,O\ns,a,B-x\ns,c,O\n")
    table = pair("g.csv", "p.csv")
    assert labels(table) == (["B-x", "O", "I-x"], ["B-x", "O", "O"])
    assert table["word"].to_pylist() == [0, 1, 0]


def test_texts_with_labels_like_tags_have_no_entities() -> None:
    write("both.csv", "text,gold,predicted\nu,S-small,L-large\nv,L-large,L-large\n")
    assert "word" not in pair("both.csv").column_names
    write("g.csv", "text,label\nu,S-small\nv,L-large\n")
    write("p.txt", "S-small\nS-small\n")
    assert "word" not in pair("g.csv", "p.txt").column_names


@pytest.mark.parametrize("extra", [{"text": "u"}, {}])
def test_sets_of_labels_like_tags_are_sets(extra: dict[str, Any]) -> None:
    write_rows(Path("both.jsonl"), [{**extra, "gold": ["B-cat", "I-love"], "predicted": ["B-cat"]}])
    assert labels(pair("both.jsonl")) == ([["B-cat", "I-love"]], [["B-cat"]])


def test_lists_of_tags_with_an_outside_are_tags_beside_a_text() -> None:
    write_rows(Path("both.jsonl"), [{"text": "u v", "gold": ["B-x", "O"], "predicted": ["O", "B-x"]}])
    assert labels(pair("both.jsonl")) == (["B-x", "O"], ["O", "B-x"])


def test_blank_lines_part_sentences_of_csv() -> None:
    write("both.csv", "token,gold,predicted\na,B-x,B-x\n\nb,I-x,B-x\nc,O,O\n")
    assert pair("both.csv")["word"].to_pylist() == [0, 0, 1]
    write("g.csv", 'token,gold\n"a\n\na",DET\n\nb,NOUN\n')
    write("p.csv", 'token,predicted\n"a\n\na",DET\nb,DET\n')
    assert pair("g.csv", "p.csv")["word"].to_pylist() == [0, 0]
    write("texts.csv", "text,gold,predicted\na,B-x,B-x\n\nb,I-x,B-x\n")
    assert "word" not in pair("texts.csv").column_names


def test_gold_of_words_that_predictions_bring_along_is_compared() -> None:
    write_rows(Path("g.jsonl"), [{"tokens": ["u", "v"], "tags": ["B-x", "O"]}])
    write_rows(Path("p.jsonl"), [{"gold": ["B-x", "B-x"], "predicted": ["O", "O"]}])
    with pytest.raises(DataError) as error:
        pair("g.jsonl", "p.jsonl")
    assert "p.jsonl, line 1: its own column of gold has 'B-x' where g.jsonl, line 1 has 'O'" in told(error)


def test_chosen_words_go_before_others_of_gold() -> None:
    rows = {"form": ["u", "v"], "tokens": ["x", "y"], "ner": ["B-x", "O"]}
    write_rows(Path("g.jsonl"), [rows])
    write("p.conll", "u O\nv O\n")
    assert pair("g.jsonl", "p.conll", columns=["form", "ner"])["token"].to_pylist() == ["u", "v"]
